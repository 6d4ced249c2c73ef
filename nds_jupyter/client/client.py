"""Synchronous client of the REST API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from nds_jupyter.client.data_client import DataClient
from nds_jupyter.client.discovery import ServerAddress, find_server
from nds_jupyter.client.job import Job
from nds_jupyter.client.job_array import JobList
from nds_jupyter.client.submit import SubmitMethods
from nds_jupyter.client.transport import Transport
from nds_jupyter.rest import routes
from nds_jupyter.rest.views import ContainerRow, ContainerView, HealthView, ImageView, JobView


class Client(SubmitMethods):
    """Client of a server that runs jobs.

    Parameters
    ----------
    url, token
        The server's base URL and token; discovered where left out.
    timeout
        Seconds for a response to begin.

    Raises
    ------
    ServerNotFound
        If no server is found.
    """

    def __init__(
        self, url: str | None = None, token: str | None = None, *, timeout: float = 30.0
    ) -> None:
        super().__init__(Transport(find_server(url or "", token or ""), timeout))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    @property
    def data(self) -> DataClient:
        """The data root."""
        return DataClient(self._transport)

    @property
    def address(self) -> ServerAddress:
        """The server's address, and how it was found."""
        return self._transport.address

    def __repr__(self) -> str:
        address = self._transport.address
        return f"<Client of {address.url}, found by {address.how}>"

    def job(self, job_id: str) -> Job:
        """Return a job by its id or a unique prefix of it."""
        query = {"job_id": job_id}
        return Job(
            self._transport, self._transport.call("GET", routes.UPLOAD, JobView, params=query)
        )

    def jobs(
        self,
        *,
        state: str | None = None,
        name: str | None = None,
        image: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
    ) -> JobList:
        """Return jobs, newest first."""
        query: dict[str, Any] = {"state": state, "name": name, "image": image}
        if since is not None:
            query["since"] = since.isoformat()
        query["limit"] = min(limit, 1000)
        jobs = JobList()
        params = {key: value for key, value in query.items() if value is not None}
        for page in self._transport.pages(routes.JOBS, list[JobView], params):
            jobs.extend(Job(self._transport, view) for view in page)
            if len(jobs) >= limit:
                break
        del jobs[limit:]
        return jobs

    def images(self) -> list[ImageView]:
        """Return the images that a job may use."""
        return self._transport.call("GET", routes.LIST_IMAGES, list[ImageView])

    def containers(self, *, include_ended: bool = True) -> list[ContainerRow]:
        """Return the containers of the owner's jobs, newest first."""
        query = {"all": int(include_ended), "limit": 1000}
        pages = self._transport.pages(routes.LIST_CONTAINER, list[ContainerRow], query)
        return [row for page in pages for row in page]

    def info(self, cont_id: str) -> ContainerView:
        """Return one container by its id, a prefix of it, or its name."""
        query = {"cont_id": cont_id}
        return self._transport.call("GET", routes.INFO, ContainerView, params=query)

    def relay(
        self, verb: str, path: str, query: str = "", *, most: int, **request: Any
    ) -> tuple[int, dict[str, str], bytes]:
        """Make a request, and return its response as it is: status, headers, body."""
        return self._transport.relay(verb, path, query, most=most, **request)

    def health(self) -> HealthView:
        """Return the health of the server, its engine and its journal."""
        return self._transport.call("GET", routes.HEALTH, HealthView)

    def health_at(self) -> tuple[HealthView, str | None]:
        """Return the health, also where it is bad, and the ``Date`` header of the response."""
        return self._transport.health(routes.HEALTH, HealthView)

    def call(self, verb: str, path: str, query: Mapping[str, Any]) -> Any:
        """Make a request that has no method of its own, and return its JSON."""
        return self._transport.call(verb, path, Any, params=query)
