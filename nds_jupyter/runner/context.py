"""Context that all job lifecycles share: engine, journal, data, settings."""

from __future__ import annotations

import logging

import msgspec

from nds_jupyter.engines.base import Engine
from nds_jupyter.errors import DeadlineExceeded, EngineUnavailable, NotReady
from nds_jupyter.runner.active_jobs import ActiveJobs
from nds_jupyter.runner.container_setup import ContainerSetup
from nds_jupyter.runner.metrics import MetricsSampler
from nds_jupyter.runner.slots import Slots, SweepSlots
from nds_jupyter.runner.transfers import Transfers

RETRY_FIRST, RETRY_MOST = 0.2, 5.0
"""Seconds between attempts to reach an engine that does not answer."""

AWAY = (EngineUnavailable, DeadlineExceeded, NotReady)
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
