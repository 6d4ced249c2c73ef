"""A job on the server: its status, log and results, and actions on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Generator, Iterator
from os import PathLike
from pathlib import Path
from typing import IO, Any, Literal, Self, overload

import msgspec

from nds_jupyter.client import display
from nds_jupyter.client.archive_extraction import extract_archive, list_files
from nds_jupyter.client.job_log import async_log_texts, followed_lines, followed_text
from nds_jupyter.client.job_methods import job_method
from nds_jupyter.client.transport import CHUNK_SIZE, ProgressCallback, RetryPolicy, Transport
from nds_jupyter.errors import JobFailed, NdsError, PathNotFound, ServerNotFound, TooLarge
from nds_jupyter.jobs.byte_sizes import MAX_VALUE_BYTES, size_text
from nds_jupyter.jobs.job import JobState, Phase, SentFile
from nds_jupyter.rest import routes
from nds_jupyter.rest.views import (
    ChangeView,
    ContainerView,
    JobView,
    LogLine,
    LogText,
    MetricView,
    SpecView,
    StopView,
)

LONG_POLL = 20.0
"""Seconds that the server holds a request for a job's end before it responds without it."""

LAST_LOG_LINES = 20
"""Lines of its log that the error of a failed job shows."""


def exported_files_folder(path: Path) -> Path:
    """Return the folder of the files that an exported job was sent with."""
    return path.with_name(f"{path.stem}.files")


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
        """Its phase, which is finer than its state."""
        return self.view.phase

    @property
    def exit_code(self) -> int | None:
        """The script's exit code; None before its end."""
        return self.view.exit_code

    @property
    def is_finished(self) -> bool:
        """Whether it has reached its end."""
        return self.view.phase is Phase.FINISHED

    def refresh(self) -> Self:
        """Fetch its state from the server, and return this job."""
        self.view = self._transport.call("GET", routes.UPLOAD, JobView, params=self._query())
        return self

    def _query(self, **query: Any) -> dict[str, Any]:
        parameters = {key: value for key, value in query.items() if value is not None}
        return {"job_id": self.id, **parameters}

    def wait(self, timeout: float | None = None) -> Self:
        """Wait until it has ended, and return it; a server that is away for a while is waited for.

        Parameters
        ----------
        timeout
            Seconds; None for no bound.

        Raises
        ------
        TimeoutError
            If it has not ended by then; it goes on.
        """
        retry = RetryPolicy()
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            remaining = LONG_POLL if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                self._refresh_at_end(min(remaining, LONG_POLL))
            except ServerNotFound as exc:
                retry.wait_or_raise(exc)
                continue
            retry.reset()
            if self.is_finished:
                return self
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(f"Job {self.id} has not ended after {timeout:g} s; it goes on.")

    def _refresh_at_end(self, seconds: float) -> None:
        """Fetch its state by a request that the server holds until the end or for some seconds."""
        query = self._query(wait=seconds)
        self.view = self._transport.call(
            "GET", routes.UPLOAD, JobView, params=query, timeout=seconds + 30
        )

    def __await__(self) -> Generator[Any, None, Self]:
        return asyncio.to_thread(self.wait).__await__()

    def __repr__(self) -> str:
        return display.headline(self.view)

    def _repr_html_(self) -> str:
        return display.job_html(self.view)

    @overload
    def logs(
        self, *, tail: int | None = ..., stream: str = ..., follow: Literal[False] = ...
    ) -> str: ...

    @overload
    def logs(
        self, *, tail: int | None = ..., stream: str = ..., follow: Literal[True]
    ) -> Iterator[str]: ...

    def logs(
        self, *, tail: int | None = None, stream: str = "both", follow: bool = False
    ) -> str | Iterator[str]:
        """Return the log as text (its last MiB), or with `follow` an iterator of pieces of it.

        Parameters
        ----------
        tail
            Lines from the end.
        stream
            ``stdout``, ``stderr`` or ``both``.
        """
        query = self._query(tail=tail, stream=stream)
        if follow:
            return followed_text(self._transport, query)
        return self._transport.call("GET", routes.STDOUT, LogText, params=query).stdout

    def lines(self, *, tail: int | None = None) -> Generator[LogLine, None, None]:
        """Yield the log's lines with stream and time, as they come, until the job has ended.

        After a connection is lost, it is resumed at the same line.
        """
        return followed_lines(self._transport, self._query(tail=tail))

    def alogs(self) -> AsyncGenerator[str, None]:
        """Yield the lines of its log as they come, in asynchronous code, until it has ended."""
        return async_log_texts(self.lines(), self.id)

    def stop(self, timeout: float = 10.0) -> StopView:
        """Stop it; after `timeout` seconds it is killed."""
        query = self._query(timeout=timeout)
        stopped = self._transport.call(
            "POST", routes.STOP, StopView, params=query, timeout=timeout + 60
        )
        self.refresh()
        return stopped

    def diff(self) -> display.Table:
        """Return what it changed on its container's filesystem."""
        query = self._query(limit=1000)
        pages = self._transport.pages(routes.DIFF, list[ChangeView], query)
        return display.Table(
            ("kind", "path"), [(row.kind, row.path) for page in pages for row in page]
        )

    def metrics(self) -> MetricView:
        """Return what it uses and used."""
        return self._transport.call("GET", routes.METRIC, MetricView, params=self._query())

    def info(self) -> ContainerView:
        """Return its container."""
        if self.view.container_id is None:
            self.refresh()
        query = {"cont_id": self.view.container_id or f"nds-{self.id}"}
        return self._transport.call("GET", routes.INFO, ContainerView, params=query)

    def results(self) -> display.Table:
        """Return the list of files under ``/results``: name and size in bytes."""
        with self._transport.stream(routes.RESULTS, self._query()) as response:
            return display.Table(("name", "size"), list_files(response.iter_bytes()))

    def download(
        self, path: str | PathLike[str] = ".", *, source: str = "/results", overwrite: bool = False
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
        with self._transport.stream(routes.RESULTS, self._query(path=source)) as response:
            return list(
                extract_archive(response.iter_bytes(), Path(path), overwrite=overwrite).files
            )

    def copy_file(
        self, path: str, into: IO[bytes], *, most: int, progress: ProgressCallback | None = None
    ) -> int:
        """Copy one file of its container, and return its size in bytes.

        Parameters
        ----------
        path
            Relative to ``/results``, or absolute.
        most
            Bytes that the file may have.
        progress
            Called with the file's name, the bytes transferred, and its size.

        Raises
        ------
        TooLarge
            If it has more.
        PathNotFound
            If there is none.
        """
        query = self._query(path=path, format="raw")
        with self._transport.stream(routes.RESULTS, query) as response:
            size = int(response.headers.get("Content-Length", 0))
            if size > most:
                raise TooLarge(
                    f"{path} has {size_text(size)}, more than the {size_text(most)} that are read."
                )
            name, done = path.rpartition("/")[2], 0
            for data in response.iter_bytes(CHUNK_SIZE):
                into.write(data)
                done += len(data)
                if progress is not None:
                    progress(name, done, size)
        return size

    def value(self, name: str, *, allow_pickle: bool = False, most: int = MAX_VALUE_BYTES) -> Any:
        """Return a variable that its script left behind by ``--out``, at any time after its end.

        Parameters
        ----------
        name
            ``NAME``, or ``NAME.FORMAT`` for one of several formats: ``total.csv``.
        allow_pickle
            Whether to load a pickle, which runs what is in it.
        most
            Bytes of the value as a file; a larger one is refused.
        """
        return job_method("value")(self, name, allow_pickle=allow_pickle, most=most)

    def values(self, *, allow_pickle: bool = False, most: int = MAX_VALUE_BYTES) -> dict[str, Any]:
        """Return every variable that was asked for by ``--out``, by name; see `value`."""
        values: dict[str, Any] = job_method("values")(self, allow_pickle=allow_pickle, most=most)
        return values

    @property
    def spec(self) -> SpecView:
        """Its specification, the script included; `Client.submit_spec` takes it."""
        return self._transport.call("GET", routes.JOB.format(job_id=self.id), SpecView)

    def export(self, path: str | PathLike[str]) -> Path:
        """Write its specification to a file that `Client.submit_file` takes, and return its path.

        Files that were sent with it, as large values are, are written to a folder beside: those of
        ``job.json`` to ``job.files``. Variables of the environment are written, too: mind what is
        secret among them.
        """
        target = Path(path)
        spec = self.spec
        target.write_bytes(msgspec.json.format(msgspec.json.encode(spec), indent=2))
        folder = exported_files_folder(target)
        for each in spec.files or ():
            folder.mkdir(exist_ok=True)
            if not (folder / each.sha256).is_file():
                self._download_sent_file(each, folder / each.sha256)
        return target

    def _download_sent_file(self, file: SentFile, target: Path) -> None:
        partial = target.with_suffix(".part")
        try:
            with partial.open("wb") as into:
                try:
                    self._transport.download(routes.FILE.format(sha256=file.sha256), into)
                except PathNotFound:
                    # The server keeps it for a while only; its container, until retention.
                    self.copy_file(file.to, into, most=file.size)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    def rerun(self) -> Job:
        """Submit the same job again, and return the new one."""
        route = routes.RERUN.format(job_id=self.id)
        return Job(self._transport, self._transport.call("POST", route, JobView))

    def delete(self) -> None:
        """Stop it if it runs, and remove its container and record."""
        self._transport.delete(routes.JOB.format(job_id=self.id))

    def panel(self) -> Any:
        """Return its panel: log, metrics, diff, results and information, live in the notebook."""
        return job_method("panel")(self)

    def raise_if_failed(self) -> Job:
        """Return the job if it COMPLETED, or has not ended.

        Raises
        ------
        JobFailed
            With exit code, reason and the last 20 lines of its log.
        """
        if not self.is_finished or self.state is JobState.COMPLETED:
            return self
        raise JobFailed(f"{display.headline(self.view)}{self._last_lines()}", job_id=self.id)

    def _last_lines(self) -> str:
        try:
            lines = self.logs(tail=LAST_LOG_LINES).splitlines()
        except NdsError:
            return ""
        if not lines:
            return ""
        shown = [f"  {display.apply_carriage_returns(line)}" for line in lines[-LAST_LOG_LINES:]]
        return "\n".join(["\nThe end of its log:", *shown])
