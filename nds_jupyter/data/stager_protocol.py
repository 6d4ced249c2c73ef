"""Protocol between server and stager container: one JSON request, JSON lines as answers. Pure.

The stager (`nds_jupyter.data.stager`) may be of another version than the server, so both sides
ignore unknown fields, and the names of fields in JSON never change.
"""

from __future__ import annotations

from typing import Any

import msgspec

from nds_jupyter.jobs.job import Input

REQUEST_PATH = "/run/secrets/nds-errand"
"""Where the stager finds its request, a secret, since it holds a password."""

COMMAND = ("python3", "-m", "nds_jupyter.data.stager")

CA_FILE = "irods_ssl_ca_certificate_file"
"""The setting that names a file of certificates; their content travels in the request."""


class StagerRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One job's inputs, and the settings of the zone that has them.

    Parameters
    ----------
    settings
        Arguments of `IrodsFileSystem`, the password among them.
    certificates
        What the zone's certificate is checked against, in PEM; empty for the usual authorities.
    base
        The collection that is the data root; empty for the whole zone.
    max_entries
        Collections and objects at most.
    """

    settings: dict[str, Any]
    base: str
    inputs: tuple[Input, ...]
    max_entries: int = msgspec.field(name="most")
    certificates: str = ""


class StagerMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the stager's output: progress in bytes, or an error as a sentence."""

    done: int = 0
    total: int | None = None
    error: str = ""


def parse_message(line: str) -> StagerMessage | None:
    """Parse a line of the stager's output; None for one that is not of this protocol."""
    try:
        return msgspec.json.decode(line, type=StagerMessage) if line.startswith("{") else None
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None
