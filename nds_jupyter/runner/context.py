"""Context that all job lifecycles share: engine, journal, data, settings."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import msgspec

from nds_jupyter.engines.base import Engine, EngineInfo
from nds_jupyter.errors import DeadlineExceeded, EngineUnavailable, NotReady
from nds_jupyter.runner.active_jobs import ActiveJobs
from nds_jupyter.runner.container_setup import ContainerSetup
from nds_jupyter.runner.metrics import MetricsSampler
from nds_jupyter.runner.slots import Slots, SweepSlots
from nds_jupyter.runner.transfers import Transfers

TRUST_ANSWER_FOR = 5.0
"""Seconds for which an engine that answered is taken to be up."""

ANSWER_DEADLINE = 3.0
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
        if asyncio.get_running_loop().time() - self.seen_up < TRUST_ANSWER_FOR:
            return
        # An engine that is slow to answer is not known to be down: the job waits for it.
        with contextlib.suppress(TimeoutError, DeadlineExceeded):
            async with asyncio.timeout(ANSWER_DEADLINE):
                await self.info()


RETRY_FIRST, RETRY_MOST = 0.2, 5.0
"""Seconds between attempts to reach an engine that does not answer."""

TEMPORARY_ERRORS = (EngineUnavailable, DeadlineExceeded, NotReady)
"""Errors that pass: nothing is wrong with the job."""


class RunnerContext(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of the runner that walks share.

    Parameters
    ----------
    default_grace
        Seconds between asking a script to end and killing it, where a stop does not say.
    """

    board: ActiveJobs
    engine: Engine
    places: Slots
    sweep_places: SweepSlots
    sampler: MetricsSampler
    stage: ContainerSetup
    transfers: Transfers
    log: logging.Logger
    default_grace: float
