"""What `--dry-run` shows instead of a job."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nds_jupyter.cell_archives import cell_of
from nds_jupyter.sizes import size_text

LONGEST = 20_000
"""Characters of a field that are shown."""


class Preview:
    """The body of a request that was not made.

    Parameters
    ----------
    fields
        Those of ``POST /upload``.
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.fields = dict(fields)

    def __repr__(self) -> str:
        shown = {name: _shown(value) for name, value in self.fields.items() if name != "script"}
        text = json.dumps(shown, indent=2, ensure_ascii=False, default=str)
        script = self.fields.get("script")
        cell = cell_of(self.fields.get("file") or b"")
        if cell is not None:
            script = cell.decode("utf-8", "replace")
        return f"POST /upload {text}" + (f"\n\n{script}" if script is not None else "")


def _shown(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"({size_text(len(value))})"
    if isinstance(value, str) and len(value) > LONGEST:
        return f"({len(value)} characters)"
    return value
