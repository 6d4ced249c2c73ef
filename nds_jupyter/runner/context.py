"""Context that all job lifecycles share, and the remembered availability of the engine."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import msgspec

from nds_jupyter.engines.base import Engine, EngineInfo
from nds_jupyter.errors import DeadlineExceeded, EngineUnavailable, NotReady
from nds_jupyter.runner.active_jobs import ActiveJobs
from nds_jupyter.runner.container_setup import ContainerSetup
from nds_jupyter.runner.data_transfers import Transfers
from nds_jupyter.runner.metrics import MetricsSampler
from nds_jupyter.runner.slots import Slots, SweepSlots

TRUST_ANSWER_FOR = 5.0
"""Seconds for which an engine that answered is assumed to be up."""

ANSWER_DEADLINE = 3.0
"""Seconds that a POST waits for an engine that says nothing; after that the job simply queues."""


class EngineAvailability:
    """Cached knowledge whether the engine answers, so that not every submission asks it.

    Attributes
    ----------
    last_answer
        When it last answered, on the event loop's clock.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.last_answer = float("-inf")

    async def info(self) -> EngineInfo:
        """Return the engine's description, and remember that it answered."""
        info = await self._engine.info()
        self.last_answer = asyncio.get_running_loop().time()
        return info

    async def raise_if_down(self) -> None:
        """Raise `EngineUnavailable` if the engine is known to be down."""
        if asyncio.get_running_loop().time() - self.last_answer < TRUST_ANSWER_FOR:
            return
        # An engine that is slow to answer is not known to be down: the job waits for it.
        with contextlib.suppress(TimeoutError, DeadlineExceeded):
            async with asyncio.timeout(ANSWER_DEADLINE):
                await self.info()


FIRST_RETRY_DELAY, MAX_RETRY_DELAY = 0.2, 5.0
"""Seconds between attempts to reach an engine that does not answer."""

TEMPORARY_ERRORS = (EngineUnavailable, DeadlineExceeded, NotReady)
"""Errors that are tried again: nothing is wrong with the job."""


class RunnerContext(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of the runner that all lifecycles share.

    Parameters
    ----------
    default_grace
        Seconds between asking a script to end and killing it, where a stop does not say.
    """

    active_jobs: ActiveJobs
    availability: EngineAvailability
    engine: Engine
    slots: Slots
    sweep_slots: SweepSlots
    metrics_sampler: MetricsSampler
    container_setup: ContainerSetup
    transfers: Transfers
    log: logging.Logger
    default_grace: float
