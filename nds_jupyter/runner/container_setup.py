"""Setup of a job's container: pull or build its image, create it, copy the script in."""

from __future__ import annotations

import contextlib
import io
import tarfile
import time

from nds_jupyter.engines.base import (
    LABEL_ATTEMPT,
    LABEL_JOB,
    LABEL_OWNER,
    LABEL_SERVER,
    MAX_CONFIG_BYTES,
    ContainerSpec,
    ContainerStatus,
    Engine,
    Image,
)
from nds_jupyter.errors import (
    ContainerNotFound,
    EngineError,
    EngineUnavailable,
    ImageNotFound,
    NameTaken,
    NdsError,
    NodeLost,
    NoEndpoint,
    NotPlaced,
)
from nds_jupyter.jobs.job import BuildSpec, Job, container_name
from nds_jupyter.jobs.script import build_command, interpreter_candidates, missing_program_message
from nds_jupyter.jobs.state_machine import (
    BuildOutputReceived,
    ContainerReady,
    ImagePullStarted,
    StagingStarted,
    TransferProgressed,
)
from nds_jupyter.journal import Journal
from nds_jupyter.journal.journal import JournalThread
from nds_jupyter.runner.active_jobs import ActiveJobs
from nds_jupyter.runner.image_builds import ImageBuilds

PROGRESS_INTERVAL = 0.2
"""Seconds between two progress events of a pull or build."""

SCRIPT_ENVIRONMENT = {
    "NDS_DATA": "/data",
    "NDS_IN": "/nds/in",
    "NDS_OUT": "/results",
    "NDS_RESULTS": "/results",
    "PYTHONUNBUFFERED": "1",
}
"""Variables of every script; without PYTHONUNBUFFERED a Python log is not live."""


class ContainerSetup:
    """Preparation of jobs' containers, up to where they only need to be started.

    Parameters
    ----------
    active_jobs
        Gets an event for each step.
    engine
        Creates the containers.
    journal
        Has the scripts.
    builds
        Builds the images of jobs that ask for it.
    """

    def __init__(
        self, active_jobs: ActiveJobs, engine: Engine, journal: JournalThread, builds: ImageBuilds
    ) -> None:
        self._active_jobs = active_jobs
        self._engine = engine
        self._journal = journal
        self._builds = builds
        self._interpreters: dict[tuple[str, tuple[str, ...]], str] = {}
        self._waiting_for_node: set[str] = set()

    async def fetch_image(self, job: Job) -> Image:
        """Return the job's image; pull or build it first if the engine does not have it.

        Raises
        ------
        ImageNotFound
            If it can't be had.
        """
        reference, build = job.spec.run_image, job.spec.build
        try:
            return await self._engine.image(reference)
        except ImageNotFound:
            if build is None:
                await self._active_jobs.apply(job.job_id, ImagePullStarted())
        if build is not None:
            await self._build(job, build)
            return await self._engine.image(reference)
        try:
            await self._pull(job)
        except EngineUnavailable:
            raise
        except EngineError as exc:
            # The engine is well, and can't get the image: no registry, no disk, no permission.
            raise ImageNotFound(exc.message) from exc
        return await self._engine.image(job.spec.image)

    async def _pull(self, job: Job) -> None:
        reported = 0.0
        async with contextlib.aclosing(self._engine.pull(job.spec.image)) as reports:
            async for progress in reports:
                if time.monotonic() - reported >= PROGRESS_INTERVAL:
                    reported = time.monotonic()
                    await self._active_jobs.apply(job.job_id, TransferProgressed(progress=progress))

    async def _build(self, job: Job, build: BuildSpec) -> None:
        reported = 0.0
        with self._builds.join(job.spec, build) as image_build:
            await self._active_jobs.apply(job.job_id, ImagePullStarted())
            async for lines in image_build.follow():
                if time.monotonic() - reported >= PROGRESS_INTERVAL:
                    reported = time.monotonic()
                    await self._active_jobs.apply(
                        job.job_id, BuildOutputReceived(message=lines[-1].text)
                    )
            await image_build.wait()

    async def create_container(self, job: Job, image: Image, volume: str = "") -> tuple[str, bool]:
        """Create the job's container, or take over one that was started before a crash.

        Parameters
        ----------
        volume
            A folder of it that a stager container will fill; empty for none.

        Returns
        -------
        tuple
            Its id, and whether it is new, so that its inputs are still to be staged.

        Raises
        ------
        ImageNotFound
            If the image has nothing to run the script with.
        NotPlaced
            If the engine has no room for it yet; calling this again goes on waiting.
        """
        await self._active_jobs.apply(job.job_id, StagingStarted(image_digest=image.id))
        if job.attempts:
            await self._remove_earlier_attempt(job)
        running = await self._recover_container(job)
        try:
            container_id = running or await self._create_new_container(job, image, volume)
        except NotPlaced:
            self._waiting_for_node.add(job.job_id)
            raise
        self._waiting_for_node.discard(job.job_id)
        return container_id, running is None

    async def record_ready(self, job: Job, container_id: str) -> None:
        """Record that a container is ready to be started."""
        worker = await self._engine.worker(container_id)
        await self._active_jobs.apply(
            job.job_id, ContainerReady(container_id=container_id, worker=worker)
        )

    async def _recover_container(self, job: Job) -> str | None:
        """Return the container that a crash left if it has run; remove one that is half made."""
        if job.phase is not job.phase.STAGING or job.job_id in self._waiting_for_node:
            return None
        try:
            container = await self._engine.inspect(container_name(job.job_id))
        except (ContainerNotFound, NodeLost, NoEndpoint):
            return None
        if container.state is not ContainerStatus.CREATED:
            return container.id
        await self._engine.remove(container.name)
        return None

    async def _remove_earlier_attempt(self, job: Job) -> None:
        """Remove the container that was lost, wherever it is; one that waits for a node is new."""
        if job.job_id in self._waiting_for_node:
            return
        name = container_name(job.job_id)
        with contextlib.suppress(ContainerNotFound, NodeLost):
            left = await self._engine.inspect(name)
            if int(left.labels.get(LABEL_ATTEMPT, "1")) > job.attempts:
                return
        await self._engine.remove(name)

    async def _create_new_container(self, job: Job, image: Image, volume: str) -> str:
        candidates = interpreter_candidates(job.spec)
        known = self._interpreters.get((image.id, candidates))
        guess = known or (candidates[0] if candidates else None)
        script = await self._journal.call(Journal.script, job.job_id)
        spec = self._spec(job, guess, script, volume)
        container_id = await self._create(job, spec)
        await self._engine.put_archive(
            container_id, "/", _base_archive(job.spec.scriptname, script)
        )
        if not candidates or known:
            return container_id
        try:
            # The node that has got the container has the image, which none may have had before.
            with contextlib.suppress(ImageNotFound):
                image = await self._engine.image(job.spec.run_image)
            found = await self._find_interpreter(container_id, image, candidates)
        except NoEndpoint:
            # It can't be looked for there; the script's log says so if there is none.
            return container_id
        if found is None:
            raise ImageNotFound(missing_program_message(job.spec))
        self._interpreters[image.id, candidates] = found
        if found == guess:
            return container_id
        await self._engine.remove(container_id)
        return await self._create_new_container(job, image, volume)

    def _spec(self, job: Job, interpreter: str | None, script: bytes, volume: str) -> ContainerSpec:
        return ContainerSpec(
            name=container_name(job.job_id),
            image=job.spec.run_image,
            command=build_command(job.spec, interpreter),
            env=SCRIPT_ENVIRONMENT | {"NDS_JOB_ID": job.job_id} | job.spec.env,
            labels=self._labels(job),
            limits=job.spec.limits,
            network=job.spec.network,
            constraints=job.spec.constraints,
            gpus=job.spec.gpus,
            transfers=_needs_transfers(job, script),
            volume=volume,
        )

    async def _create(self, job: Job, spec: ContainerSpec) -> str:
        try:
            return await self._engine.create(spec)
        except NameTaken:
            # Only a container that this job left by a request whose answer was lost can have the
            # name; it was never started, since no transition to running is in the journal.
            left = await self._engine.inspect(spec.name)
            if left.labels.get(LABEL_JOB) != job.job_id or left.state != ContainerStatus.CREATED:
                raise NdsError(f"Another container has the name {spec.name}.") from None
            await self._engine.remove(left.name)
            return await self._engine.create(spec)

    def _labels(self, job: Job) -> dict[str, str]:
        whose = {LABEL_OWNER: job.owner, LABEL_SERVER: self._journal.server_id}
        attempt = {LABEL_ATTEMPT: str(job.attempts + 1)} if job.attempts else {}
        return {**job.spec.labels, LABEL_JOB: job.job_id, **whose, **attempt}

    async def script_first_line(self, job: Job) -> str:
        """Return what a job's script begins with, at most 200 characters of its first line."""
        script = await self._journal.call(Journal.script, job.job_id)
        return script.partition(b"\n")[0].decode(errors="replace")[:200]

    async def _find_interpreter(
        self, container_id: str, image: Image, candidates: tuple[str, ...]
    ) -> str | None:
        for name in candidates:
            for folder in image.path:
                if await self._engine.path_exists(container_id, f"{folder}/{name}"):
                    return name
        return None

    async def discard_container(self, job_id: str) -> None:
        """Remove the container of a job whose script never ran, kill one that runs."""
        self._waiting_for_node.discard(job_id)
        try:
            container = await self._engine.inspect(container_name(job_id))
        except ContainerNotFound:
            # What still waits for a node has no container, but the name.
            await self._engine.remove(container_name(job_id))
            return
        if container.state is ContainerStatus.CREATED:
            await self._engine.remove(container.name)
        elif container.state is ContainerStatus.RUNNING:
            await self._engine.stop(container.id, 0)


def _needs_transfers(job: Job, script: bytes) -> bool:
    """Whether more goes into the job's container, or out of it, than a script."""
    return bool(job.spec.data) or job.spec.output is not None or len(script) > MAX_CONFIG_BYTES


def _base_archive(scriptname: str, script: bytes) -> bytes:
    """Return the tar archive of folders and script, readable for whatever user the image has."""
    buffer = io.BytesIO()
    now = time.time()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        modes = {"nds": 0o755, "nds/in": 0o755, "data": 0o1777, "results": 0o1777}
        for folder, mode in modes.items():
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, mode, now
            archive.addfile(entry)
        entry = tarfile.TarInfo(f"nds/{scriptname}")
        entry.size, entry.mode, entry.mtime = len(script), 0o755, now
        archive.addfile(entry, io.BytesIO(script))
    return buffer.getvalue()
