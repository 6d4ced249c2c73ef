"""A cell and the values it needs as one Python archive, and the values that it left behind."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import IO, Any

from nds_jupyter.errors import InvalidRequest, NdsError, PathNotFound, TooLarge
from nds_jupyter.job import Job
from nds_jupyter.jobs import size_text
from nds_jupyter.values import codec

LARGEST = 2 * 2**30
"""Bytes of a value that is brought back; a larger one is a result to be downloaded."""

IN_MEMORY = 2**24
"""Bytes of a value that is on its way back, above which it is kept on disk."""


def write_value(name: str, value: object, file: IO[bytes], *, allow_pickle: bool) -> str:
    """Write a value, and return the suffix of how.

    Raises
    ------
    InvalidRequest
        If it can't travel.
    """
    try:
        suffix = codec.suffix_of(value, allow_pickle)
        codec.dump(value, suffix, file)
    except codec.NotPortable as exc:
        raise InvalidRequest(
            f"--in {name}: {exc}. Write it to a file and name that by --data, or give --pickle, "
            "which sends it as a pickle."
        ) from exc
    return suffix


def make_bundle(
    cell: str,
    values: Mapping[str, object],
    wanted: Sequence[str],
    *,
    allow_pickle: bool,
    path: str,
) -> tuple[bytes, dict[str, int]]:
    """Return the archive, and the size of each value in bytes.

    Parameters
    ----------
    values
        What the cell finds in its namespace.
    wanted
        The variables that it leaves behind.
    path
        The file that the cell believes to be.
    """
    sizes: dict[str, int] = {}
    entries: dict[str, str] = {}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in values.items():
            content = io.BytesIO()
            suffix = write_value(name, value, content, allow_pickle=allow_pickle)
            entries[name] = f"values/{name}{suffix}"
            sizes[name] = content.tell()
            archive.writestr(entries[name], content.getbuffer())
        plan = {
            "in": entries,
            "out": list(wanted),
            "pickle": allow_pickle,
            "file": path,
            "results": "/results",
        }
        archive.writestr("plan.json", json.dumps(plan))
        archive.writestr("cell.py", cell.encode("utf-8"))
        shipped = resources.files("nds_jupyter.values")
        archive.writestr("__main__.py", (shipped / "launcher.py").read_bytes())
        archive.writestr("_nds_codec.py", (shipped / "codec.py").read_bytes())
    return buffer.getvalue(), sizes


def read_value(job: Job, name: str, *, allow_pickle: bool = False) -> tuple[Any, int]:
    """Return a value that a job left behind, and its size in bytes.

    Raises
    ------
    NdsError
        If there is none of that name, or it can't be read without running what is in it.
    """
    for suffix in codec.SUFFIXES:
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
            try:
                size = job.copy_file(f"{name}{suffix}", file, most=LARGEST)
            except PathNotFound:
                continue
            except TooLarge as exc:
                raise TooLarge(f"{name}: {exc} Fetch it by %ndsget {job.id}.") from exc
            file.seek(0)
            return _loaded(name, suffix, file, allow_pickle), size
    files = ", ".join(f"{name}{suffix}" for suffix in codec.SUFFIXES)
    raise PathNotFound(
        f"Job {job.id} left no value {name}: there is none of {files} in /results. A script that "
        "is not Python writes its values there itself."
    )


def _loaded(name: str, suffix: str, file: Any, allow_pickle: bool) -> Any:
    try:
        return codec.load(suffix, file, allow_pickle)
    except codec.NotPortable as exc:
        hint = " Give --pickle if you trust the container." if suffix == ".pickle" else ""
        raise InvalidRequest(f"{name}: {exc}.{hint}") from exc
    except Exception as exc:
        # Whatever a library says of a file that a container wrote: it is not what it should be.
        raise NdsError(f"{name}{suffix} can't be read: {exc}") from exc


def sizes_text(sign: str, sizes: Mapping[str, int]) -> str:
    """Return sizes for people."""
    return ", ".join(f"{sign} {name} ({size_text(size)})" for name, size in sizes.items())
