"""What a group of options of `%%ndsjob` is."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from nds_jupyter.client.job import Job
from nds_jupyter.magics.defaults import Defaults
from nds_jupyter.magics.parser import Option
from nds_jupyter.magics.sending import Sending


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
    sending: Sending = msgspec.field(default_factory=lambda: Sending(quiet=True))


class JobOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options that belong together.

    Parameters
    ----------
    fields
        From the values of a line to arguments of `Client.submit`; None leaves a field out.
    finished
        What is to be done when the job has COMPLETED.
    """

    options: tuple[Option, ...]
    fields: Callable[[argparse.Namespace, CellContext], Mapping[str, Any]]
    finished: Callable[[argparse.Namespace, Job, CellContext], None] = _nothing
