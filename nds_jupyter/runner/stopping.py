"""The stop of one job's container, which a shorter grace overtakes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nds_jupyter.engines.base import Engine
from nds_jupyter.errors import ContainerNotFound, NdsError
from nds_jupyter.runner.around import RETRY_FIRST

_NEVER = float("inf")


class Stopping:
    """Asks an engine to stop a container, again until it has.

    Parameters
    ----------
    engine
        Where the container is.
    look
        Called when the container is worth a look.

    Attributes
    ----------
    wanted
        Set once the job is to end.
    """

    def __init__(self, engine: Engine, look: Callable[[], None]) -> None:
        self.wanted = asyncio.Event()
        self._engine = engine
        self._look = look
        self._grace = _NEVER
        self._asked = _NEVER
        self._calls: set[asyncio.Task[None]] = set()

    def want(self, grace: float) -> None:
        """Let the job end.

        Parameters
        ----------
        grace
            Seconds before the container is killed; the shortest that was given counts.
        """
        self._grace = min(self._grace, grace)
        self.wanted.set()
        self._look()

    def carry_out(self, container_id: str) -> None:
        """Ask the engine, unless it was asked already and with no longer grace."""
        if self._grace < self._asked:
            self._asked = self._grace
            call = asyncio.create_task(self._ask(container_id, self._grace))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    async def _ask(self, container_id: str, grace: float) -> None:
        try:
            await self._engine.stop(container_id, grace)
        except ContainerNotFound:
            pass
        except NdsError:
            await asyncio.sleep(RETRY_FIRST)
        # A container that runs on is asked again.
        self._asked = _NEVER
        self._look()

    async def close(self) -> None:
        """Wait no longer for the engine's answers."""
        calls = list(self._calls)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
