"""A group of options of `%%ndsjob`: the options, and the request fields they add."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from nds_jupyter.client.job import Job
from nds_jupyter.jobs.sizes import MAX_VALUE_BYTES
from nds_jupyter.magics.cell_run import UploadProgress
from nds_jupyter.magics.parser import MagicOption
from nds_jupyter.magics.settings import NdsMagics


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """What a job gets whose cell does not say; None leaves it to the server.

    Parameters
    ----------
    timeout
        Seconds.
    most_of_value
        Bytes of a variable that travels.
    """

    image: str | None = None
    memory: str | None = None
    cpus: float | None = None
    timeout: float | None = None
    most_of_value: int = MAX_VALUE_BYTES


def defaults_of(settings: NdsMagics) -> Defaults:
    """Return what the settings of a notebook say."""
    return Defaults(
        image=settings.image or None,
        memory=settings.memory or None,
        cpus=settings.cpus,
        timeout=settings.timeout,
        most_of_value=settings.max_value_bytes,
    )


def _nothing(options: argparse.Namespace, job: Job, context: CellContext) -> None:
    """Leave a job that has ended alone."""


class CellContext(msgspec.Struct, frozen=True, kw_only=True):
    """What the options of a cell are read against.

    Parameters
    ----------
    text
        The cell without its first line.
    namespace
        The notebook's variables.
    notes
        What the user should be told, beside the log.
    sending
        Told how far the cell is with what it sends.
    """

    text: str
    defaults: Defaults
    namespace: dict[str, Any]
    notes: list[str] = msgspec.field(default_factory=list)
    sending: UploadProgress = msgspec.field(default_factory=lambda: UploadProgress(quiet=True))


class JobOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options that belong together.

    Parameters
    ----------
    fields
        From the values of a line to arguments of `Client.submit`; None leaves a field out.
    finished
        What is to be done when the job has COMPLETED.
    """

    options: tuple[MagicOption, ...]
    fields: Callable[[argparse.Namespace, CellContext], Mapping[str, Any]]
    finished: Callable[[argparse.Namespace, Job, CellContext], None] = _nothing
