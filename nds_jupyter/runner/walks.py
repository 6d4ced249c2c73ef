"""The walks under way, each a task of its own."""

from __future__ import annotations

import asyncio

from nds_jupyter.engines.base import EngineEvent
from nds_jupyter.jobs import Job
from nds_jupyter.runner.around import Surroundings
from nds_jupyter.runner.walk import Walk


class Walks:
    """Begins walks, tells them what the engine says, and leaves them when the server ends."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._walks: dict[str, Walk] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._walks

    def begin(self, job: Job) -> None:
        """Put a job on the board and let it walk."""
        self._around.board.put(job)
        walk = self._walks[job.job_id] = Walk(job.job_id, self._around)
        task = asyncio.create_task(self._to_its_end(walk))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _to_its_end(self, walk: Walk) -> None:
        try:
            await walk.run()
        except Exception:  # A restart resumes the job.
            self._around.log.exception("Job %s is left as it stands.", walk.job_id)
        finally:
            self._walks.pop(walk.job_id, None)

    def tell(self, event: EngineEvent) -> None:
        """Pass on what happened to a container, if its job walks."""
        walk = self._walks.get(event.job_id)
        if walk is None:
            return
        if event.action in {"die", "destroy"}:
            walk.look(event)
        elif event.action == "start":
            walk.placed()

    def look_again(self) -> None:
        """Let every walk look at its container: events may have been missed."""
        for walk in self._walks.values():
            walk.look()

    def stop(self, job_id: str, grace: float) -> None:
        """Carry out a stop that the journal has recorded, if the job still walks."""
        if (walk := self._walks.get(job_id)) is not None:
            walk.stop(grace)

    async def close(self) -> None:
        """Leave every job as it stands."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
