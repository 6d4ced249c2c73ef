"""Protocol between server and stager container: JSON lines. Pure.

The helper (`nds_jupyter.data.stager`) may be of another version than the server, so that unknown
fields are ignored on both sides.
"""

from __future__ import annotations

from typing import Any

import msgspec

from nds_jupyter.jobs.job import Input

ERRAND = "/run/secrets/nds-errand"
"""Where the helper finds its errand, which holds a password."""

COMMAND = ("python3", "-m", "nds_jupyter.data.stager")


class StagerRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One job's inputs, and how to get at them.

    Parameters
    ----------
    settings
        Arguments of `IrodsFileSystem`, the password among them.
    certificates
        What the zone's certificate is checked against, in PEM; empty for the usual authorities.
    base
        The collection that is the data root; empty for the whole zone.
    most
        Collections and objects at most.
    """

    settings: dict[str, Any]
    base: str
    inputs: tuple[Input, ...]
    most: int
    certificates: str = ""


class StagerMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line: how far it is, in bytes; or what went wrong, as a sentence."""

    done: int = 0
    total: int | None = None
    error: str = ""


def said(line: str) -> StagerMessage | None:
    """Return what a line of the helper says; None for one that is nothing of ours."""
    try:
        return msgspec.json.decode(line, type=StagerMessage) if line.startswith("{") else None
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None
