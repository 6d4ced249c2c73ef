"""The REST API from Python: `Client` and `Job`, synchronous."""

from __future__ import annotations

import codecs
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Any

import msgspec

from nds_jupyter import reprs, routes
from nds_jupyter.discovery import find_server
from nds_jupyter.errors import JobFailed, NdsError, ServerNotFound
from nds_jupyter.extract import open_archive, unpack
from nds_jupyter.jobs import JobState, Phase
from nds_jupyter.transport import Transport
from nds_jupyter.views import (
    ChangeView,
    ContainerRow,
    ContainerView,
    HealthView,
    ImageView,
    JobView,
    LogLine,
    LogText,
    MetricView,
    StopView,
)

LAST_LINES = 20
"""Lines of its log that the error of a failed job shows."""


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

    def __repr__(self) -> str:
        address = self._transport.address
        return f"<Client of {address.url}, found by {address.how}>"

    def submit(
        self,
        script: str | None = None,
        *,
        file: str | PathLike[str] | None = None,
        image: str | None = None,
        scriptname: str | None = None,
        name: str | None = None,
        command: Sequence[str] | None = None,
        args: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
        cpus: float | None = None,
        memory: str | int | None = None,
        timeout: float | None = None,
        network: str | None = None,
        labels: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """Submit a script as a job and return at once.

        Parameters
        ----------
        script, file
            Its text, or a file of it; exactly one.
        image
            ``name:tag``; the server's default where left out.
        memory
            ``512m``, ``2g``, or bytes.
        timeout
            Seconds from the start of the script.

        Raises
        ------
        NdsError
            What the server said: `InvalidRequest`, `RefusedByPolicy`, `EngineUnavailable`, …
        """
        fields: dict[str, Any] = {
            "script": script,
            "scriptname": scriptname,
            "image_name": image,
            "name": name,
            "command": command,
            "args": args,
            "env": env,
            "cpus": cpus,
            "memory": memory,
            "timeout": timeout,
            "network": network,
            "labels": labels,
        }
        if file is not None:
            path = Path(file)
            fields["file"] = msgspec.to_builtins(path.read_bytes())
            fields["scriptname"] = scriptname or path.name
        given = {key: value for key, value in fields.items() if value is not None}
        key = idempotency_key or uuid.uuid4().hex
        return Job(self._transport, self._post(given, key))

    def _post(self, fields: Mapping[str, Any], key: str) -> JobView:
        request: dict[str, Any] = {
            "content": json.dumps(fields, default=_plain),
            "headers": {"Content-Type": "application/json", "Idempotency-Key": key},
        }
        try:
            return self._transport.call("POST", routes.UPLOAD, JobView, **request)
        except ServerNotFound:
            # The answer may have been lost, not the request: with its key it runs once.
            return self._transport.call("POST", routes.UPLOAD, JobView, **request)

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

    def health(self) -> HealthView:
        """Return whether engine and journal work."""
        return self._transport.call("GET", routes.HEALTH, HealthView)


class Job:
    """One job; its properties are those of the last `refresh`."""

    def __init__(self, transport: Transport, view: JobView) -> None:
        self._transport = transport
        self.view = view

    @property
    def id(self) -> str:
        """Its id: 16 hexadecimal digits."""
        return self.view.job_id

    @property
    def state(self) -> JobState:
        """RUNNING, COMPLETED, FAILED or UNKNOWN."""
        return self.view.state

    @property
    def phase(self) -> Phase:
        """Where it stands, finer than its state."""
        return self.view.phase

    @property
    def exit_code(self) -> int | None:
        """The script's exit code; None before its end."""
        return self.view.exit_code

    @property
    def is_finished(self) -> bool:
        """Whether it has reached its end."""
        return self.view.phase is Phase.FINISHED

    def refresh(self) -> Job:
        """Ask the server anew, and return this job."""
        self.view = self._transport.call("GET", routes.UPLOAD, JobView, params=self._id())
        return self

    def _id(self, **query: Any) -> dict[str, Any]:
        given = {key: value for key, value in query.items() if value is not None}
        return {"job_id": self.id, **given}

    def logs(self, *, tail: int | None = None, stream: str = "both", follow: bool = False) -> Any:
        """Return the log as text (its last MiB), or with `follow` an iterator of pieces of it.

        Parameters
        ----------
        tail
            Lines from the end.
        stream
            ``stdout``, ``stderr`` or ``both``.
        """
        if follow:
            return self._followed(self._id(tail=tail, stream=stream, follow=1))
        query = self._id(tail=tail, stream=stream)
        return self._transport.call("GET", routes.STDOUT, LogText, params=query).stdout

    def _followed(self, query: Mapping[str, Any]) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        with self._transport.stream(routes.STDOUT, query, "text/plain") as answer:
            for data in answer.iter_bytes():
                yield decoder.decode(data)
        yield decoder.decode(b"", final=True)

    def lines(self, *, follow: bool = True, tail: int | None = None) -> Iterator[LogLine]:
        """Yield the log's lines with stream and time; followed, until the job has ended.

        A connection that drops is taken up again after the last line that came.
        """
        last: LogLine | None = None
        while True:
            since = f"{last.time[:26]}Z" if last else None
            query = self._id(follow=int(follow), tail=None if last else tail, since=since)
            try:
                for line in self._read_lines(query):
                    if last is None or line.time > last.time:
                        last = line
                        yield line
                    elif line.time == last.time and line != last:
                        yield line
                return
            except ServerNotFound:
                # Only a server that is really gone ends this: then refresh raises, too.
                if not follow or (self.refresh().is_finished and last is None):
                    raise

    def _read_lines(self, query: Mapping[str, Any]) -> Iterator[LogLine]:
        decode = msgspec.json.Decoder(LogLine).decode
        with self._transport.stream(routes.STDOUT, query, "application/x-ndjson") as answer:
            rest = b""
            for data in answer.iter_bytes():
                *lines, rest = (rest + data).split(b"\n")
                yield from map(decode, lines)

    def wait(self) -> Job:
        """Wait until it has ended, and return it; the server tells, nothing is polled."""
        while not self.refresh().is_finished:
            for _ in self.logs(tail=0, follow=True):
                pass
        return self

    def stop(self, timeout: float = 10.0) -> StopView:
        """Stop it; after `timeout` seconds it is killed."""
        query = self._id(timeout=timeout)
        answer = self._transport.call(
            "POST", routes.STOP, StopView, params=query, timeout=timeout + 60
        )
        self.refresh()
        return answer

    def diff(self) -> reprs.Table:
        """Return what it changed on its container's filesystem."""
        query = self._id(limit=1000)
        pages = self._transport.pages(routes.DIFF, list[ChangeView], query)
        return reprs.Table(
            ("kind", "path"), [(row.kind, row.path) for page in pages for row in page]
        )

    def metrics(self) -> MetricView:
        """Return what it uses and used."""
        return self._transport.call("GET", routes.METRIC, MetricView, params=self._id())

    def info(self) -> ContainerView:
        """Return its container."""
        if self.view.container_id is None:
            self.refresh()
        query = {"cont_id": self.view.container_id or f"nds-{self.id}"}
        return self._transport.call("GET", routes.INFO, ContainerView, params=query)

    def results(self) -> reprs.Table:
        """Return the list of files under ``/results``: name and size in bytes."""
        with (
            self._transport.stream(routes.RESULTS, self._id()) as answer,
            open_archive(answer.iter_bytes()) as archive,
        ):
            rows = [(each.name.partition("/")[2], each.size) for each in archive if each.isreg()]
        return reprs.Table(("name", "size"), rows)

    def download(
        self,
        path: str | PathLike[str] = ".",
        *,
        source: str = "/results",
        overwrite: bool = False,
    ) -> list[Path]:
        """Download a path of its container into a folder, and return the files.

        Parameters
        ----------
        path
            The folder; made if it is not there.
        source
            A folder or file in the container.
        overwrite
            Whether files that exist are replaced.

        Raises
        ------
        Conflict
            If a file exists.
        """
        with self._transport.stream(routes.RESULTS, self._id(path=source)) as answer:
            return list(unpack(answer.iter_bytes(), Path(path), overwrite=overwrite).files)

    def rerun(self) -> Job:
        """Submit the same job again, and return the new one."""
        route = routes.RERUN.format(job_id=self.id)
        return Job(self._transport, self._transport.call("POST", route, JobView))

    def delete(self) -> None:
        """Stop it if it runs, and remove its container and record."""
        self._transport.discard(routes.JOB.format(job_id=self.id))

    def raise_if_failed(self) -> Job:
        """Return the job if it COMPLETED.

        Raises
        ------
        JobFailed
            With exit code, reason and the last 20 lines of its log.
        """
        if not self.is_finished or self.state is JobState.COMPLETED:
            return self
        raise JobFailed(f"{reprs.headline(self.view)}{self._last_lines()}", job_id=self.id)

    def _last_lines(self) -> str:
        try:
            lines = self.logs(tail=LAST_LINES).splitlines()
        except NdsError:
            return ""
        if not lines:
            return ""
        return "\nThe end of its log:\n" + "\n".join(f"  {line}" for line in lines)

    def __repr__(self) -> str:
        return reprs.headline(self.view)

    def _repr_html_(self) -> str:
        return reprs.job_html(self.view)


class JobList(list[Job]):
    """Jobs that show as a table."""

    def _table(self) -> reprs.Table:
        return reprs.job_table([job.view for job in self])

    def __repr__(self) -> str:
        return repr(self._table())

    def _repr_html_(self) -> str:
        return self._table()._repr_html_()


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, Sequence) else str(value)
