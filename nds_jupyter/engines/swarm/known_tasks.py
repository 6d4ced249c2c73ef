"""The manager's tasks of jobs, remembered for a moment unless something is heard to change."""

from __future__ import annotations

import time

from nds_jupyter.engines.swarm.nodes import BELIEVED, Nodes
from nds_jupyter.engines.swarm.tasks import Task


class KnownTasks:
    """Answers for lists: whoever asks in the same second is told the same.

    What this server makes or removes, and whatever a node tells of, is asked for anew at once.
    """

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._known: dict[tuple[str, ...], tuple[float, tuple[Task, ...]]] = {}
        self._changes = 0

    def changed(self) -> None:
        """Take note that what was answered may not be so any more."""
        self._changes += 1
        self._known.clear()

    async def with_labels(self, labels: tuple[str, ...]) -> tuple[Task, ...]:
        """Return the tasks that carry all these labels."""
        asked_at, known = self._known.get(labels, (float("-inf"), ()))
        if time.monotonic() - asked_at < BELIEVED:
            return known
        before, now = self._changes, time.monotonic()
        tasks = await self._nodes.ask_manager(
            lambda manager: manager.tasks({"label": list(labels)})
        )
        if before == self._changes:
            self._known = {labels: (now, tasks)} | {
                each: answer
                for each, answer in self._known.items()
                if now - answer[0] < BELIEVED and each != labels
            }
        return tasks
