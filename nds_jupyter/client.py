"""The REST API from Python, synchronous."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from nds_jupyter import routes
from nds_jupyter.data_client import DataClient
from nds_jupyter.discovery import ServerAddress, find_server
from nds_jupyter.errors import InvalidRequest, ServerNotFound
from nds_jupyter.job import Job
from nds_jupyter.job_array import JobArray
from nds_jupyter.job_list import JobList
from nds_jupyter.submission import encoded, request_fields
from nds_jupyter.transport import Transport
from nds_jupyter.views import ContainerRow, ContainerView, HealthView, ImageView, JobView, SpecView

T = TypeVar("T")


class Client:
    """A server that runs jobs.

    Parameters
    ----------
    url, token
        The server's base URL and token; found by themselves where left out.
    timeout
        Seconds for an answer to begin.

    Raises
    ------
    ServerNotFound
        If no server is found.
    """

    def __init__(
        self, url: str | None = None, token: str | None = None, *, timeout: float = 30.0
    ) -> None:
        self._transport = Transport(find_server(url or "", token or ""), timeout)

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
        """Where the server is, and how it was found."""
        return self._transport.address

    def __repr__(self) -> str:
        address = self._transport.address
        return f"<Client of {address.url}, found by {address.how}>"

    def submit(
        self,
        script: str | bytes | None = None,
        *,
        file: str | PathLike[str] | None = None,
        image: str | None = None,
        requirements: Sequence[str] | str | Path | None = None,
        dockerfile: str | Path | None = None,
        scriptname: str | None = None,
        name: str | None = None,
        command: Sequence[str] | None = None,
        args: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
        cpus: float | None = None,
        memory: str | int | None = None,
        timeout: float | None = None,
        network: str | None = None,
        constraint: Sequence[str] | None = None,
        gpus: int | None = None,
        retries: int | None = None,
        labels: Mapping[str, str] | None = None,
        data: Sequence[str | Mapping[str, str]] | str | None = None,
        output: str | None = None,
        overwrite: bool | None = None,
        output_on_failure: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """Submit a script as a job and return at once.

        Parameters
        ----------
        script, file
            Its text or bytes, or a file of it; exactly one.
        image
            ``name:tag``; the server's default where left out.
        requirements
            Packages that pip installs on top of the image, ``["numpy", "pandas>=2"]``; or the text
            of a file of them, or its path. Built once, then cached.
        dockerfile
            The text of a Dockerfile, or its path, to be built instead; without a FROM it begins
            from `image`. There are no files beside it.
        memory
            ``512m``, ``2g``, or bytes.
        timeout
            Seconds from the start of the script.
        constraint
            What the node must fulfil, on a Swarm: ``node.labels.gpu==true``.
        gpus
            Whole GPUs.
        retries
            How often the script may be run again when its node or its container was lost, so that
            nobody knows how it ended.
        data
            Paths of the data root that the script finds under ``/data``: a path, ``path:/where``,
            or an object of ``path`` and ``to``; one or several.
        output
            Collection of the data root that gets what is under ``/results`` at the end.
        overwrite
            Whether what `output` holds may be replaced.
        output_on_failure
            Whether results are delivered also when the script fails.

        Raises
        ------
        NdsError
            What the server said: `InvalidRequest`, `RefusedByPolicy`, `EngineUnavailable`, …
        """
        fields = request_fields(
            script=script,
            file=file,
            scriptname=scriptname,
            image=image,
            requirements=requirements,
            dockerfile=dockerfile,
            name=name,
            command=command,
            args=args,
            env=env,
            cpus=cpus,
            memory=memory,
            timeout=timeout,
            network=network,
            constraint=constraint,
            gpus=gpus,
            retries=retries,
            labels=labels,
            data=data,
            output=output,
            overwrite=overwrite,
            output_on_failure=output_on_failure,
        )
        return self._post(fields, idempotency_key)

    def submit_sweep(
        self,
        sweep: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]],
        *,
        max_concurrent: int | None = None,
        idempotency_key: str | None = None,
        **job: Any,
    ) -> JobArray:
        """Submit a script at many points, a job each, by one request.

        Parameters
        ----------
        sweep
            Values by name, to be crossed; or the points. The script finds its own as
            ``NDS_SWEEP_<NAME>`` and, as JSON, ``NDS_SWEEP``.
        max_concurrent
            Jobs of the sweep that run at one time.
        job
            What `submit` takes.
        """
        points = (
            {name: list(values) for name, values in sweep.items()}
            if isinstance(sweep, Mapping)
            else [dict(point) for point in sweep]
        )
        fields = request_fields(**job) | {"sweep": points}
        if max_concurrent is not None:
            fields["max_concurrent"] = max_concurrent
        views = self._posted(fields, idempotency_key, list[JobView])
        return JobArray(self._transport, [Job(self._transport, view) for view in views])

    def submit_spec(self, spec: SpecView, *, idempotency_key: str | None = None) -> Job:
        """Submit what another job was asked for, `Job.spec`, as a new job."""
        fields = {
            name: value for name, value in msgspec.structs.asdict(spec).items() if value is not None
        }
        return self._post(fields, idempotency_key)

    def submit_file(self, path: str | PathLike[str], *, idempotency_key: str | None = None) -> Job:
        """Submit what `Job.export` has written.

        Raises
        ------
        InvalidRequest
            If the file holds no such thing.
        """
        try:
            spec = msgspec.json.decode(Path(path).read_bytes(), type=SpecView, strict=True)
        except msgspec.DecodeError as exc:
            raise InvalidRequest(f"{path} holds no exported job: {exc}") from exc
        return self.submit_spec(spec, idempotency_key=idempotency_key)

    def _post(self, fields: Mapping[str, Any], key: str | None) -> Job:
        return Job(self._transport, self._posted(fields, key, JobView))

    def _posted(self, fields: Mapping[str, Any], key: str | None, wanted: type[T]) -> T:
        request: dict[str, Any] = {
            "content": encoded(fields),
            "headers": {
                "Content-Type": "application/json",
                "Idempotency-Key": key or uuid.uuid4().hex,
            },
        }
        try:
            return self._transport.call("POST", routes.UPLOAD, wanted, **request)
        except ServerNotFound:
            # The answer may have been lost, not the request: with its key it runs once.
            return self._transport.call("POST", routes.UPLOAD, wanted, **request)

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
        found = JobList()
        given = {key: value for key, value in query.items() if value is not None}
        for page in self._transport.pages(routes.JOBS, list[JobView], given):
            found.extend(Job(self._transport, view) for view in page)
            if len(found) >= limit:
                break
        del found[limit:]
        return found

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
        """Return an answer of the server as it is: status, headers, at most `most` bytes."""
        return self._transport.relay(verb, path, query, most=most, **request)

    def health(self) -> HealthView:
        """Return whether engine and journal work."""
        return self._transport.call("GET", routes.HEALTH, HealthView)

    def health_at(self) -> tuple[HealthView, str | None]:
        """Return the same, also of a server that is not well, and the server's time by HTTP."""
        return self._transport.health(routes.HEALTH, HealthView)

    def call(self, verb: str, path: str, query: Mapping[str, Any]) -> Any:
        """Make a request that has no method of its own, and return its JSON."""
        return self._transport.call(verb, path, Any, params=query)
