"""Transfers of a job: staging of inputs before its script runs, delivery of results after."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator

from nds_jupyter.data.data_root import DataRoot
from nds_jupyter.data.data_roots import DataRoots
from nds_jupyter.data.input_staging import (
    InputStaging,
    NodeStaging,
    ReportProgress,
    TransferFailed,
    transfer_errors,
)
from nds_jupyter.data.result_delivery import Delivery, expect_output_writable
from nds_jupyter.data.spool import Spool
from nds_jupyter.engines.base import Engine
from nds_jupyter.errors import DataUnavailable, DeadlineExceeded
from nds_jupyter.jobs.job import Job, Progress, Reason
from nds_jupyter.jobs.state_machine import TransferProgressed
from nds_jupyter.runner.active_jobs import ActiveJobs
from nds_jupyter.runner.runner_settings import RunnerSettings

TEMPORARY_ERRORS = (DataUnavailable, DeadlineExceeded)
FIRST_RETRY_DELAY = 0.5


class InputsFailed(TransferFailed):
    """The inputs of a job could not be staged."""


class OutputFailed(TransferFailed):
    """The results of a job could not be delivered."""


class Transfers:
    """Staging of inputs into containers, and delivery of results to the data root of the owner.

    Parameters
    ----------
    data_roots
        Has the owner's.
    settings
        How much one job may have as inputs, and the image of containers that fetch them.
    spool
        Has the files that were sent with jobs; None: jobs have none.
    """

    def __init__(
        self,
        active_jobs: ActiveJobs,
        engine: Engine,
        data_roots: DataRoots,
        settings: RunnerSettings,
        spool: Spool | None = None,
    ) -> None:
        self._active_jobs = active_jobs
        self._engine = engine
        self._data_roots = data_roots
        self._spool = spool
        self._most_inputs = settings.most_inputs
        self._stager_image = settings.stager_image

    async def find_staging_volume(self, job: Job) -> str:
        """Return the folder of a job's container that a stager will fill; empty for none."""
        if not job.spec.data:
            return ""
        with _raise_as(InputsFailed):
            data = await self._data_roots.for_owner(job.owner)
            return await self._node_staging(data).shared_folder(job.spec.data)

    def _node_staging(self, data: DataRoot) -> NodeStaging:
        return NodeStaging(data, self._engine, self._stager_image, self._most_inputs)

    async def check_paths(self, job: Job) -> None:
        """Check cheaply that the inputs exist and the target of the results is free.

        Raises
        ------
        InputsFailed, OutputFailed
            If not.
        """
        spec = job.spec
        if spec.output is not None:
            with _raise_as(OutputFailed):
                data = await self._data_roots.for_owner(job.owner)
                await expect_output_writable(data, spec.output, overwrite=spec.overwrite)
        for each in spec.data:
            # Temporary errors are left to the staging, which is tried again.
            with _raise_as(InputsFailed), contextlib.suppress(*TEMPORARY_ERRORS):
                data = await self._data_roots.for_owner(job.owner)
                await data.entry(each.path)

    async def stage_inputs(self, job: Job, container_id: str) -> None:
        """Stage the inputs into a container that was not started.

        Raises
        ------
        InputsFailed
            If they can't be staged; the container is then half filled.
        """
        report = self._progress_reporter(job)
        with _raise_as(InputsFailed):
            if job.spec.data:
                data = await self._data_roots.for_owner(job.owner)
                volume = await self.find_staging_volume(job)
                staging = InputStaging(data, self._engine, self._most_inputs)
                by_node = self._node_staging(data) if volume else None
                await staging.stage(job.spec.data, container_id, report, by_node)
            if job.spec.files and self._spool is not None:
                await self._stage_sent_files(self._spool, job, container_id, report)

    async def _stage_sent_files(
        self, spool: Spool, job: Job, container_id: str, report: ReportProgress
    ) -> None:
        files = job.spec.files
        missing = await spool.first_missing(job.owner, files)
        if missing is not None:
            raise InputsFailed(
                f"The file that was sent for {missing.to} is not on the server any more. Submit "
                "the job again."
            )
        staging = InputStaging(spool.data_root, self._engine, self._most_inputs)
        await staging.stage(spool.as_inputs(job.owner, files), container_id, report)

    async def deliver_results(self, job: Job, container_id: str) -> str:
        """Deliver the results, and return a remark for the job's message, mostly empty.

        Raises
        ------
        OutputFailed
            If they can't be delivered, after some attempts.
        """
        failures = 0
        while True:
            try:
                with _raise_as(OutputFailed):
                    data = await self._data_roots.for_owner(job.owner)
                    delivery = Delivery(data, self._engine, job, self._progress_reporter(job))
                    return await delivery.run(container_id)
            except OutputFailed as exc:
                failures += 1
                if not _is_temporary(exc) or failures > self._data_roots.retries:
                    raise
                await asyncio.sleep(FIRST_RETRY_DELAY * 2**failures)

    def _progress_reporter(self, job: Job) -> Callable[[Progress], Awaitable[object]]:
        return lambda progress: self._active_jobs.apply(
            job.job_id, TransferProgressed(progress=progress)
        )


def wants_results(job: Job) -> bool:
    """Return whether the results of a script that has ended are to be delivered."""
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
def _raise_as(error_class: type[TransferFailed]) -> Iterator[None]:
    try:
        with transfer_errors():
            yield
    except error_class:
        raise
    except TransferFailed as exc:
        raise error_class(exc.message) from exc
