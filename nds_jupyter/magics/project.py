"""`[tool.nds]` of the `pyproject.toml` beside a notebook: what all notebooks of a project share."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from nds_jupyter.errors import InvalidRequest

FILE = "pyproject.toml"
SPELT = {"raise": "raises"}
"""Keys that can't be the name of a Python attribute."""


def project_settings(folder: Path, known: Collection[str]) -> dict[str, Any]:
    """Return the table of the nearest `pyproject.toml` that has one, upwards from a folder.

    Parameters
    ----------
    known
        The settings there are.

    Raises
    ------
    InvalidRequest
        If the file is no TOML, or names a setting that does not exist.
    """
    for where in (folder, *folder.parents):
        path = where / FILE
        if path.is_file() and (table := _table(path)) is not None:
            settings = {SPELT.get(name, name): value for name, value in table.items()}
            for name in settings.keys() - set(known):
                raise InvalidRequest(f"{path}: {_unknown(name, known)}")
            return settings
    return {}


def _table(path: Path) -> dict[str, Any] | None:
    try:
        text = path.read_text("utf-8")
        if "nds" not in text:
            # Most have no such table, and the parser takes a while to import.
            return None
        import tomllib

        content = tomllib.loads(text)
    except (OSError, ValueError) as exc:
        raise InvalidRequest(f"{path} can't be read: {exc}") from exc
    tool = content.get("tool")
    table = tool.get("nds") if isinstance(tool, dict) else None
    return table if isinstance(table, dict) else None


def _unknown(name: str, known: Collection[str]) -> str:
    import difflib

    meant = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {meant[0]}?" if meant else f" There are {', '.join(sorted(known))}."
    return f"[tool.nds] has no setting {name}.{hint}"
