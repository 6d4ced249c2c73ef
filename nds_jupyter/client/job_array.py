"""Lists of jobs, the job array of a sweep, and waiting for several jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import msgspec

from nds_jupyter.client import display
from nds_jupyter.client.job import Job
from nds_jupyter.client.transport import Transport
from nds_jupyter.errors import JobFailed
from nds_jupyter.jobs.job import JobState
from nds_jupyter.jobs.parameter_sweep import table_columns
from nds_jupyter.rest import routes
from nds_jupyter.rest.views import JobView


class JobList(list[Job]):
    """Jobs that show as a table."""

    def to_frame(self) -> Any:
        """Return the jobs as a pandas data frame, a column for each field.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        import pandas as pd

        rows = [msgspec.to_builtins(job.view, builtin_types=(datetime,)) for job in self]
        columns = list(JobView.__struct_fields__)
        frame = pd.DataFrame(rows, columns=columns)
        for name in ("created", "started", "finished"):
            frame[name] = pd.to_datetime(frame[name], utc=True)
        return frame.drop(columns="progress")

    def _table(self) -> display.Table:
        return display.job_table([job.view for job in self])

    def __repr__(self) -> str:
        return repr(self._table())

    def _repr_html_(self) -> str:
        return self._table()._repr_html_()


POLL_INTERVAL = 1.0
"""Seconds that the server holds a request for one job's end before all are refreshed."""

MAX_REQUESTS = 8
"""Concurrent requests."""


class JobArray(JobList):
    """The jobs of a sweep, in the order of its points; shows as a table.

    Parameters
    ----------
    transport
        Connection to the server.
    jobs
        At least one.
    """

    def __init__(self, transport: Transport, jobs: Iterable[Job]) -> None:
        super().__init__(jobs)
        self._transport = transport

    @property
    def sweep_id(self) -> str:
        """Id that the jobs have in common."""
        point = self[0].view.sweep
        return "" if point is None else point.sweep_id

    @property
    def failed(self) -> JobArray:
        """The jobs that ended, and did not complete."""
        return self._filter(lambda job: job.is_finished and job.state is not JobState.COMPLETED)

    @property
    def running(self) -> JobArray:
        """The jobs that have not ended."""
        return self._filter(lambda job: not job.is_finished)

    def _filter(self, condition: Callable[[Job], bool]) -> JobArray:
        return JobArray(self._transport, filter(condition, self))

    def refresh(self) -> JobArray:
        """Fetch the state of all, by one request for a thousand jobs, and return this."""
        if self:
            query = {"sweep": self.sweep_id, "limit": 1000}
            pages = self._transport.pages(routes.JOBS, list[JobView], query)
            views = {view.job_id: view for page in pages for view in page}
            for job in self:
                job.view = views.get(job.id, job.view)
        return self

    def wait(self, tell: Callable[[str], object] | None = None) -> JobArray:
        """Wait until all have ended, and return this.

        Parameters
        ----------
        tell
            Called with a line of progress after each refresh; None shows a bar in the notebook.
        """
        show = tell or display.StatusLine().show
        while True:
            self.refresh()
            show(self.progress())
            running = self.running
            if not running:
                return self
            query = {"job_id": running[0].id, "wait": POLL_INTERVAL}
            self._transport.call("GET", routes.UPLOAD, JobView, params=query)

    def values(self, name: str, *, allow_pickle: bool = False) -> list[Any]:
        """Return a variable that every job left behind by ``--out``, in the order of the points."""
        return self._map(lambda job: job.value(name, allow_pickle=allow_pickle), self)

    def progress(self) -> str:
        """Return a progress bar, and the numbers of jobs that have ended and failed."""
        done, failed, total = len(self) - len(self.running), len(self.failed), len(self)
        bar = display.progress_bar(done, total)
        return f"{bar} {done} of {total} ended" + (f", {failed} failed" if failed else "")

    def stop(self, timeout: float = 10.0) -> JobArray:
        """Stop all that run or wait; after `timeout` seconds they are killed."""
        self._map(lambda job: job.stop(timeout), reversed(self.running))
        return self.refresh()

    def rerun_failed(self) -> JobArray:
        """Submit the points again that failed, and return the new jobs."""
        return JobArray(self._transport, self._map(Job.rerun, self.failed))

    def _map(self, function: Callable[[Job], Any], jobs: Iterable[Job]) -> list[Any]:
        """Call a function for each job, some at a time."""
        with ThreadPoolExecutor(MAX_REQUESTS) as pool:
            return list(pool.map(function, jobs))

    def raise_if_failed(self) -> JobArray:
        """Return this if every job COMPLETED.

        Raises
        ------
        JobFailed
            With how many did not, and the first one's error.
        """
        failed = self.failed
        if not failed:
            return self
        try:
            failed[0].raise_if_failed()
        except JobFailed as exc:
            message = f"{len(failed)} of {len(self)} jobs failed. The first one: {exc.message}"
            raise JobFailed(message, job_id=failed[0].id) from None
        return self

    def to_frame(self) -> Any:
        """Return the jobs as a pandas data frame: a column for each name of the sweep, then fields.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        frame = super().to_frame().drop(columns="sweep")
        points = [job.view.sweep.values if job.view.sweep else {} for job in self]
        for position, name in enumerate(table_columns(points)):
            column = name if name not in frame.columns else f"sweep_{name}"
            frame.insert(position, column, [point.get(name) for point in points])
        return frame


async def gather(*jobs: Job | Iterable[Job]) -> list[Job]:
    """Wait until all these jobs have ended, and return them in their order.

    Parameters
    ----------
    jobs
        Jobs, or one list of them.
    """
    every: list[Job] = []
    for each in jobs:
        every.extend(each if isinstance(each, Iterable) else [each])
    return list(await asyncio.gather(*(asyncio.to_thread(job.wait) for job in every)))
