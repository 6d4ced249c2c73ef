"""Runs a cell with values of the notebook in its namespace, and leaves others behind.

This is the ``__main__`` of a zip archive that `nds_jupyter.values.bundle` makes; it needs only the
standard library of Python 3.8.
"""

from __future__ import annotations

import importlib
import json
import linecache
import sys
import traceback
import types
import zipfile
from pathlib import Path
from typing import Any


def run(archive: str) -> None:
    """Run the cell of an archive."""
    codec: Any = importlib.import_module("_nds_codec")
    with zipfile.ZipFile(archive) as content:
        plan = json.loads(content.read("plan.json").decode())
        source = content.read("cell.py")
        values = {}
        for name, entry in plan["in"].items():
            with content.open(entry) as file:
                suffix = Path(entry).suffix
                values[name] = codec.load(suffix, file, plan["pickle"])
    namespace = _main_module(archive, plan["file"], source, values)
    _execute(compile(source, plan["file"], "exec", dont_inherit=True), namespace)
    for name in plan["out"]:
        if name not in namespace:
            sys.exit(f"--out {name}: the script ended without a variable {name}.")
        try:
            suffix = codec.suffix_of(namespace[name], plan["pickle"])
            with Path(plan["results"], name + suffix).open("wb") as file:
                codec.dump(namespace[name], suffix, file)
        except codec.NotPortable as exc:
            sys.exit(f"--out {name}: {exc}.")


def _main_module(archive: str, path: str, source: bytes, values: dict[str, Any]) -> dict[str, Any]:
    """Make the module that the cell believes to be, with the values in it."""
    module = types.ModuleType("__main__")
    module.__file__ = path
    module.__dict__.update(values)
    sys.modules["__main__"] = module
    sys.argv[0] = path
    sys.path[:] = [str(Path(path).parent) if each == archive else each for each in sys.path]
    # Tracebacks quote the lines of a file that is only in the archive.
    lines = source.decode("utf-8", "replace").splitlines(True)
    linecache.cache[path] = (len(source), None, lines, path)
    return module.__dict__


def _execute(code: types.CodeType, namespace: dict[str, Any]) -> None:
    try:
        exec(code, namespace)  # noqa: S102 - the user's own script
    except SystemExit as exc:
        if exc.code not in (None, 0):
            raise
    except BaseException as exc:  # noqa: BLE001 - shown as Python shows it, without this frame
        trace = exc.__traceback__
        exc = exc.with_traceback(trace.tb_next if trace else None)
        if sys.excepthook is sys.__excepthook__:
            # Python's own hook reads source lines from files alone.
            traceback.print_exception(type(exc), exc, exc.__traceback__)
        else:
            sys.excepthook(type(exc), exc, exc.__traceback__)
        sys.exit(1)


if __name__ == "__main__":
    run(sys.argv[0])
