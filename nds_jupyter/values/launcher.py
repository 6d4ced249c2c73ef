"""Launcher in the container: runs a cell with input values and saves its output values.

`nds_jupyter.values.bundle` ships it to containers, behind a check of Python's version; it needs
only the standard library of Python 3.8.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import linecache
import sys
import traceback
import types
import zipfile
from pathlib import Path
from typing import Any

from . import formats
from .json_codec import NotSerializable


def run(archive: str) -> None:
    """Run the cell of an archive."""
    with zipfile.ZipFile(archive) as content:
        plan = json.loads(content.read("plan.json").decode())
        source = content.read("cell.py")
        values = {name: _load_input(name, path, content, plan) for name, path in plan["in"].items()}
    if plan["out"] and _is_installed("pandas") and not _is_installed("pyarrow"):
        sys.stderr.write(
            "--out: this image has pandas without pyarrow; a table could not be brought back.\n"
        )
    namespace = _install_main_module(archive, plan["file"], source, values)
    _run_code(compile(source, plan["file"], "exec", dont_inherit=True), namespace)
    errors = [_save_output(name, suffix, namespace, plan) for name, suffix in plan["out"].items()]
    if any(errors):
        sys.exit("\n".join(filter(None, errors)))


def _is_installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _load_input(name: str, path: str, archive: zipfile.ZipFile, plan: dict[str, Any]) -> Any:
    """Load an input value from the archive, or from a file that was sent beside it."""
    try:
        is_file = path.startswith("/")
        with Path(path).open("rb") if is_file else archive.open(path) as file:
            return formats.load(Path(path).suffix, file, plan["pickle"])
    except NotSerializable as exc:
        sys.exit(
            f"--in {name}: {exc}. Choose an image that has it, or let --requirements install it."
        )
    except Exception as exc:  # noqa: BLE001 - whatever a library of another version says of it
        sys.exit(f"--in {name}: this image can't read it: {type(exc).__name__}: {exc}")


def _save_output(
    name: str, suffix: str | None, namespace: dict[str, Any], plan: dict[str, Any]
) -> str:
    """Save an output value under the results; return the error, or nothing."""
    if name not in namespace:
        return f"--out {name}: the script ended without a variable {name}."
    value, folder = namespace[name], Path(plan["results"])
    try:
        chosen = suffix or formats.choose_suffix(value, plan["pickle"])
        _write(value, folder / f"{name}{chosen}", chosen)
    except NotSerializable as exc:
        return f"--out {name}: {exc}.{_save_pickle(name, value, folder)}"
    except OSError as exc:
        return f"--out {name}: it can't be written: {exc.strerror}."
    return ""


def _write(value: object, path: Path, suffix: str) -> None:
    # Under another name first: a partial file must not be taken for a value.
    partial = path.with_name(f".{path.name}.part")
    try:
        with partial.open("wb") as file:
            formats.dump(value, suffix, file)
        partial.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()


def _save_pickle(name: str, value: object, folder: Path) -> str:
    """Save as a pickle what no other format holds: it may have taken hours to compute."""
    try:
        _write(value, folder / f"{name}{formats.PICKLE}", formats.PICKLE)
    except Exception:  # noqa: BLE001 - not everything can be pickled, and nothing is lost by trying
        return ""
    return (
        f" It is kept as {name}{formats.PICKLE}: job.value({name!r}, allow_pickle=True) loads it, "
        "if you trust what ran here; loading a pickle runs what is in it."
    )


def _install_main_module(
    archive: str, path: str, source: bytes, values: dict[str, Any]
) -> dict[str, Any]:
    """Replace the ``__main__`` module by one for the cell, with the input values in it."""
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


def _run_code(code: types.CodeType, namespace: dict[str, Any]) -> None:
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
