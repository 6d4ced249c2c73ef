"""From a call in Python to the fields of ``POST /upload``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import msgspec

from nds_jupyter.client.local_files import LocalFile
from nds_jupyter.errors import InvalidRequest

RENAMED = {"image": "image_name"}
"""Arguments that the REST API knows by another name."""


BY_FILE = frozenset({"requirements", "dockerfile"})
"""Arguments whose text may be in a file."""


def _content(given: object) -> object:
    return given.read_text(encoding="utf-8") if isinstance(given, Path) else given


def request_fields(
    *,
    script: str | bytes | None = None,
    file: str | PathLike[str] | None = None,
    scriptname: str | None = None,
    files: Sequence[LocalFile] = (),
    **others: Any,
) -> dict[str, Any]:
    """Return the fields of a request; those that are None are left out.

    Parameters
    ----------
    script, file
        A script's text or bytes, or a file of it.
    files
        What is sent beside it.
    others
        What else `Client.submit` takes.

    Raises
    ------
    InvalidRequest
        If both script and file are given.
    """
    if script is not None and file is not None:
        raise InvalidRequest("script, file: give exactly one of them; both are there.")
    fields: dict[str, Any] = {"script": script, "scriptname": scriptname}
    if file is not None:
        path = Path(file)
        fields = {"file": path.read_bytes(), "scriptname": scriptname or path.name}
    elif isinstance(script, bytes):
        fields = {"file": script, "scriptname": scriptname}
    if files:
        fields["files"] = [each.row() for each in files]
    others |= {name: _content(others[name]) for name in BY_FILE & others.keys()}
    fields |= {RENAMED.get(name, name): value for name, value in others.items()}
    return {name: value for name, value in fields.items() if value is not None}


def encoded(fields: Mapping[str, Any]) -> bytes:
    """Return fields as JSON; bytes become base64."""
    return msgspec.json.encode(dict(fields), enc_hook=_plain)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, Sequence) else str(value)
