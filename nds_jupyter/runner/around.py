"""What every walk works with."""

from __future__ import annotations

import logging

import msgspec

from nds_jupyter.engines.base import Engine
from nds_jupyter.errors import DeadlineExceeded, EngineUnavailable, NotReady
from nds_jupyter.runner.board import Board
from nds_jupyter.runner.places import Places
from nds_jupyter.runner.sampler import Sampler
from nds_jupyter.runner.stage import Stage
from nds_jupyter.runner.sweep_places import SweepPlaces
from nds_jupyter.runner.transfers import Transfers

RETRY_FIRST, RETRY_MOST = 0.2, 5.0
"""Seconds between attempts to reach an engine that does not answer."""

AWAY = (EngineUnavailable, DeadlineExceeded, NotReady)
"""Errors that pass: nothing is wrong with the job."""


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of the runner that walks share.

    Parameters
    ----------
    default_grace
        Seconds between asking a script to end and killing it, where a stop does not say.
    """

    board: Board
    engine: Engine
    places: Places
    sweep_places: SweepPlaces
    sampler: Sampler
    stage: Stage
    transfers: Transfers
    log: logging.Logger
    default_grace: float
