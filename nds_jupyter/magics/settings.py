"""Settings of the magics: `%config NdsMagics`, `[tool.nds]` of a project, and defaults."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from traitlets import Bool, Float, Integer, TraitError, Unicode
from traitlets.config import Configurable

from nds_jupyter.errors import InvalidRequest
from nds_jupyter.jobs.byte_sizes import MAX_VALUE_BYTES

PROJECT_FILE = "pyproject.toml"
ATTRIBUTE_NAMES = {"raise": "raises"}
"""Attributes of keys that are words of Python."""


def project_settings(folder: Path, names: Collection[str]) -> dict[str, Any]:
    """Return the table of the nearest `pyproject.toml` that has one, upwards from a folder.

    Parameters
    ----------
    names
        Names of the settings.

    Raises
    ------
    InvalidRequest
        If the file is no TOML, or names a setting that does not exist.
    """
    for parent in (folder, *folder.parents):
        path = parent / PROJECT_FILE
        if path.is_file() and (table := _read_table(path)) is not None:
            settings = {ATTRIBUTE_NAMES.get(name, name): value for name, value in table.items()}
            for name in settings.keys() - set(names):
                raise InvalidRequest(f"{path}: {_unknown_setting_message(name, names)}")
            return settings
    return {}


def _read_table(path: Path) -> dict[str, Any] | None:
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


def _unknown_setting_message(name: str, names: Collection[str]) -> str:
    import difflib

    similar = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {similar[0]}?" if similar else f" There are {', '.join(sorted(names))}."
    return f"[tool.nds] has no setting {name}.{hint}"


class NdsMagics(Configurable):
    """Settings of all magics, for `%config`.

    Parameters
    ----------
    shell
        Its `%config` gets these instead of those of an earlier load.
    """

    url = Unicode("", help="The Jupyter server's base URL; empty: found by itself.").tag(
        config=True
    )
    token = Unicode("", help="Its token; empty: found by itself.").tag(config=True)
    image = Unicode("", help="Image of jobs that name none; empty: the server's.").tag(config=True)
    memory = Unicode("", help="Memory of jobs that ask for none.").tag(config=True)
    cpus = Float(None, allow_none=True, help="CPUs of jobs that ask for none.").tag(config=True)
    timeout = Float(None, allow_none=True, help="Time limit in seconds.").tag(config=True)
    quiet = Bool(False, help="Show no log while a job runs.").tag(config=True)
    raises = Bool(True, help="Raise when a job fails.").tag(config=True)
    max_log_chars = Integer(
        2_000_000, help="Characters of a log shown live; a notebook chokes on more."
    ).tag(config=True)

    max_value_bytes = Integer(
        MAX_VALUE_BYTES,
        min=1,
        help="Bytes that a value of --in or --out may have as a file.",
    ).tag(config=True)

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(parent=shell)
        configurables: list[Any] = shell.configurables
        own = type(self).__name__
        configurables[:] = [each for each in configurables if type(each).__name__ != own]
        configurables.append(self)

    def read_project(self, folder: Path) -> None:
        """Apply `[tool.nds]` of a project where neither `%config` nor a profile has set a value.

        Raises
        ------
        InvalidRequest
            If the table is wrong.
        """
        names = [name for name in self.trait_names(config=True) if name not in {"url", "token"}]
        for name, value in project_settings(folder, names).items():
            if name in self.config.get("NdsMagics", {}):
                continue
            try:
                self.set_trait(name, value)
            except TraitError as exc:
                raise InvalidRequest(f"[tool.nds] {name}: {exc}") from exc
