"""A journal in a thread of its own, so that a slow disk never blocks the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, ParamSpec, TypeVar

from nds_jupyter.journal.core import Journal

P = ParamSpec("P")
T = TypeVar("T")


class JournalThread:
    """A journal in a thread of its own, so that a slow disk never blocks the event loop.

    Calls are carried out one after another, in the order in which they were made.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="nds-journal")

    @property
    def server_id(self) -> str:
        """The journal's own id, the same over restarts."""
        return self._journal.server_id

    async def do(
        self, call: Callable[Concatenate[Journal, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call a method of `Journal` in the thread: ``await thread.do(Journal.save, job)``."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._thread, lambda: call(self._journal, *args, **kwargs)
        )

    def close(self) -> None:
        """Finish what is under way, then close the journal."""
        self._thread.shutdown(wait=True)
        self._journal.close()
