"""Transfers of a job: inputs before its script runs, results after."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator

from nds_jupyter.data.data_root import DataRoot
from nds_jupyter.data.delivery import Delivery, expect_place
from nds_jupyter.data.node_staging import NodeStaging
from nds_jupyter.data.spool import Spool
from nds_jupyter.data.staging import InputStaging, Report
from nds_jupyter.data.transfer_errors import TransferFailed, of_the_data
from nds_jupyter.engines.base import Engine
from nds_jupyter.errors import DataUnavailable, DeadlineExceeded
from nds_jupyter.jobs.job import Job, Progress, Reason
from nds_jupyter.jobs.state_machine import TransferProgressed
from nds_jupyter.runner.active_jobs import ActiveJobs
from nds_jupyter.runner.settings import RunnerSettings

TEMPORARY_ERRORS = (DataUnavailable, DeadlineExceeded)
RETRY_FIRST = 0.5


class InputsFailed(TransferFailed):
    """The script can't have its inputs."""


class OutputFailed(TransferFailed):
    """The results can't be where they are to be."""


class Transfers:
    """Brings inputs and delivers results.

    Parameters
    ----------
    store
        The data root.
    settings
        How much one job may have as inputs, and the image of helpers that fetch them.
    spool
        Where the files are that were sent with jobs; None: jobs have none.
    """

    def __init__(
        self,
        board: ActiveJobs,
        engine: Engine,
        store: DataRoot,
        settings: RunnerSettings,
        spool: Spool | None = None,
    ) -> None:
        self._board = board
        self._engine = engine
        self._store = store
        self._spool = spool
        self._most = settings.most_inputs
        self._staging = InputStaging(store, engine, self._most)
        self._fetching = NodeStaging(store, engine, settings.stager_image, self._most)

    async def folder_to_share(self, job: Job) -> str:
        """Return the folder of a job's container that a helper is to fill; empty for none."""
        with _raise_as(InputsFailed):
            return await self._fetching.folder(job.spec.data)

    async def check(self, job: Job) -> None:
        """Look whether inputs are there and the place of the results is free, cheaply.

        Raises
        ------
        InputsFailed, OutputFailed
            If not.
        """
        spec = job.spec
        if spec.output is not None:
            with _raise_as(OutputFailed):
                await expect_place(self._store, spec.output, overwrite=spec.overwrite)
        for each in spec.data:
            # What passes is left to the plan, which is tried again.
            with _raise_as(InputsFailed), contextlib.suppress(*TEMPORARY_ERRORS):
                await self._store.entry(each.path)

    async def bring(self, job: Job, container_id: str) -> None:
        """Bring the inputs into a container that was not started.

        Raises
        ------
        InputsFailed
            If they can't be brought; the container is then half filled.
        """
        report = self._reporting(job)
        with _raise_as(InputsFailed):
            if job.spec.data:
                fetching = self._fetching if await self.folder_to_share(job) else None
                await self._staging.bring(job.spec.data, container_id, report, fetching)
            if job.spec.files and self._spool is not None:
                await self._bring_sent(self._spool, job, container_id, report)

    async def _bring_sent(self, spool: Spool, job: Job, container_id: str, report: Report) -> None:
        files = job.spec.files
        lost = await spool.lost(job.owner, files)
        if lost is not None:
            raise InputsFailed(
                f"The file that was sent for {lost.to} is not on the server any more. Submit the "
                "job again."
            )
        staging = InputStaging(spool.store, self._engine, self._most)
        await staging.bring(spool.inputs(job.owner, files), container_id, report)

    async def deliver(self, job: Job, container_id: str) -> str:
        """Deliver the results, and return what else there is to know.

        Raises
        ------
        OutputFailed
            If they can't be delivered, after some attempts.
        """
        failures = 0
        while True:
            try:
                with _raise_as(OutputFailed):
                    delivery = Delivery(self._store, self._engine, job, self._reporting(job))
                    return await delivery.run(container_id)
            except OutputFailed as exc:
                failures += 1
                if not _is_temporary(exc) or failures > self._store.retries:
                    raise
                await asyncio.sleep(RETRY_FIRST * 2**failures)

    def _reporting(self, job: Job) -> Callable[[Progress], Awaitable[object]]:
        return lambda progress: self._board.apply(job.job_id, TransferProgressed(progress=progress))


def wants_results(job: Job) -> bool:
    """Whether the results of a script that has ended are to be delivered."""
    if job.spec.output is None or job.intent is Reason.STOPPED:
        return False
    failed = job.exit_code != 0 or job.intent is not None
    return job.spec.output_on_failure or not failed


def _is_temporary(exc: BaseException) -> bool:
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, TEMPORARY_ERRORS):
            return True
        cause = cause.__cause__
    return False


@contextlib.contextmanager
def _raise_as(kind: type[TransferFailed]) -> Iterator[None]:
    try:
        with of_the_data():
            yield
    except kind:
        raise
    except TransferFailed as exc:
        raise kind(exc.message) from exc
