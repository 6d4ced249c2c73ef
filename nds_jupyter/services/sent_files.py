"""Files that were sent with jobs: their sizes for a new job, their return for a rerun."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import msgspec

from nds_jupyter.archives.tar_conversion import open_single_file
from nds_jupyter.data.spool import Spool
from nds_jupyter.engines.base import Engine
from nds_jupyter.errors import (
    ContainerNotFound,
    InvalidRequest,
    PathNotFound,
    Removed,
)
from nds_jupyter.jobs.job import Job, JobSpec, SentFile


class SentFiles:
    """The files of jobs, in the spool or in the containers of earlier jobs.

    Parameters
    ----------
    spool
        Has them until it expires them.
    engine
        Has them for as long as their job's container is kept.
    """

    def __init__(self, spool: Spool, engine: Engine) -> None:
        self._spool = spool
        self._engine = engine

    async def add_sizes(self, owner: str, specs: Sequence[JobSpec]) -> tuple[JobSpec, ...]:
        """Return the specifications of one request with the sizes of their files.

        Raises
        ------
        Conflict
            If a file was not sent.
        """
        sent_files = specs[0].files
        if not sent_files:
            return tuple(specs)
        files = await self._spool.with_sizes(owner, sent_files)
        return tuple(msgspec.structs.replace(spec, files=files) for spec in specs)

    async def restore(self, job: Job) -> None:
        """Put the files of a job back into the spool, from its container if need be.

        Raises
        ------
        Removed
            If one is in neither.
        """
        for each in job.spec.files:
            try:
                await self._spool.find(job.owner, each.sha256)
            except PathNotFound:
                await self._restore_from_container(job, each)

    async def _restore_from_container(self, job: Job, file: SentFile) -> None:
        gone = Removed(
            f"The file that was sent with job {job.job_id} for {file.to} is not kept any more. "
            "Submit the job again from where the file is made."
        )
        if job.container_id is None or job.removed is not None:
            raise gone
        archive = self._engine.archive(job.container_id, file.to)
        try:
            async with contextlib.aclosing(archive):
                raw = await open_single_file(archive)
                content = raw.read(0, raw.size)
                await self._spool.add(job.owner, file.sha256, content, raw.size)
        except (ContainerNotFound, PathNotFound, InvalidRequest) as exc:
            # The script may have changed or removed it.
            raise gone from exc
