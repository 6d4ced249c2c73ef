"""Whether the engine is known to be available."""

from __future__ import annotations

import asyncio
import contextlib

from nds_jupyter.engines.base import Engine, EngineInfo
from nds_jupyter.errors import DeadlineExceeded

BELIEVED_UP = 5.0
"""Seconds for which an engine that answered is taken to be up."""

ANSWER_BY = 3.0
"""Seconds that a POST waits for an engine that says nothing; after that the job simply queues."""


class EngineAvailability:
    """Remembers when the engine last answered, so that not every job has to ask.

    Attributes
    ----------
    seen_up
        When that was, on the event loop's clock.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.seen_up = float("-inf")

    async def info(self) -> EngineInfo:
        """Ask the engine what it is."""
        info = await self._engine.info()
        self.seen_up = asyncio.get_running_loop().time()
        return info

    async def refuse_if_down(self) -> None:
        """Raise `EngineUnavailable` if the engine is known to be down."""
        if asyncio.get_running_loop().time() - self.seen_up < BELIEVED_UP:
            return
        # An engine that is slow to answer is not known to be down: the job waits for it.
        with contextlib.suppress(TimeoutError, DeadlineExceeded):
            async with asyncio.timeout(ANSWER_BY):
                await self.info()
