"""Bundle of a cell and its input values: one Python archive, large values beside it."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import IO, Any

import msgspec

from nds_jupyter.client.submit import LocalFile
from nds_jupyter.errors import InvalidRequest, TooLarge
from nds_jupyter.jobs.script import CELL_MEMBER
from nds_jupyter.jobs.sizes import size_text
from nds_jupyter.values import formats as codec
from nds_jupyter.values.json_codec import NotSerializable

INPUT_FOLDER = "/nds/in"
"""Where a container has the files that were sent with its job."""

MAX_IN_MEMORY = 2**20
"""Bytes of a value that is kept in memory on its way; a larger one is on disk."""


class RequestedValue(msgspec.Struct, frozen=True, kw_only=True):
    """A variable that is to travel, and the format that was asked for, if one was."""

    name: str
    suffix: str | None = None

    @classmethod
    def parse(cls, text: str, option: str) -> RequestedValue:
        """Return what ``NAME`` or ``NAME.FORMAT`` means.

        Raises
        ------
        InvalidRequest
            If it is neither.
        """
        name, dot, rest = text.partition(".")
        suffix = f"{dot}{rest}" or None
        if not name.isidentifier():
            raise InvalidRequest(f"{option}: {name!r} is not the name of a variable.")
        if suffix is not None and suffix not in codec.SUFFIXES:
            known = " ".join(codec.SUFFIXES)
            raise InvalidRequest(f"{option} {text}: {suffix} is none of the formats {known}.")
        return cls(name=name, suffix=suffix)


class ValueOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How values may travel.

    Parameters
    ----------
    allow_pickle
        Whether what is neither plain, nor a table or array, travels as a pickle.
    most
        Bytes of one value.
    for_python
        Whether a Python script takes them.
    """

    allow_pickle: bool
    most: int
    for_python: bool = True


def write_value_file(wish: RequestedValue, value: object, terms: ValueOptions) -> LocalFile:
    """Write a value to a file of its own, called by its name and format.

    Raises
    ------
    InvalidRequest
        If it can't travel.
    TooLarge
        If it has more bytes than it may.
    """
    if codec.size_lower_bound(value) > terms.most:
        raise _too_large(wish.name, terms.most)
    file = tempfile.SpooledTemporaryFile(MAX_IN_MEMORY)  # noqa: SIM115 - closed when it is sent
    sink = _LimitedWriter(wish.name, file, terms.most)
    try:
        suffix = wish.suffix or codec.choose_suffix(
            value, terms.allow_pickle, for_python=terms.for_python
        )
        _check_pickle_allowed(wish, suffix, terms)
        codec.dump(value, suffix, sink)  # type: ignore[arg-type]
    except NotSerializable as exc:
        file.close()
        raise InvalidRequest(f"--in {wish.name}: {exc}. {_advice(str(exc))}") from exc
    except BaseException:
        file.close()
        raise
    digest = sink.digest.hexdigest()
    return LocalFile(
        f"{INPUT_FOLDER}/{wish.name}{suffix}", _as_file(file), size=sink.size, sha256=digest
    )


def _as_file(file: Any) -> IO[bytes]:
    binary: IO[bytes] = file
    return binary


def _check_pickle_allowed(wish: RequestedValue, suffix: str, terms: ValueOptions) -> None:
    if suffix == codec.PICKLE and not terms.allow_pickle:
        raise InvalidRequest(f"--in {wish.name}{suffix}: a pickle needs --pickle.")


def _advice(said: str) -> str:
    if "is not installed" in said:
        return f"Install it in this kernel: %pip install {said.partition(' ')[0]}."
    return "Write it to a file and name that by --data, or give --pickle, which sends it as one."


def _too_large(name: str, most: int) -> TooLarge:
    return TooLarge(
        f"--in {name}: it has more than {size_text(most)}, the most that a value may have "
        "(%config NdsMagics.max_value_bytes). Write it to a file, put that into the data root by "
        "%ndsput, and name it by --data."
    )


class _LimitedWriter(io.RawIOBase):
    """A file that measures what is written to it, and takes no more than it may."""

    def __init__(self, name: str, file: Any, most: int) -> None:
        self._name = name
        self._file = file
        self._most = most
        self.size = 0
        self.digest = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = memoryview(data).cast("B")
        self.size += len(piece)
        if self.size > self._most:
            raise _too_large(self._name, self._most)
        self.digest.update(piece)
        self._file.write(piece)
        return len(piece)


MAX_INLINE = 128 * 2**10
"""Bytes of values that travel in the archive, so that most jobs are one request and one file."""

_SHIPPED_MODULES = ("json_codec.py", "tables.py", "formats.py", "launcher.py")

_MAIN_MODULE = """\
import sys

if sys.version_info < (3, 8):
    sys.exit("--in, --out: this image has Python %d.%d, and 3.8 is needed." % sys.version_info[:2])

from _nds_values import launcher

launcher.run(sys.argv[0])
"""
"""The archive's ``__main__``, which any Python can read."""


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """What a request is made of.

    Parameters
    ----------
    script
        The archive, or a script of another language as it is.
    files
        What is sent beside it, by place in the container.
    sizes
        Bytes of each value.
    """

    script: bytes | str
    files: dict[str, LocalFile]
    sizes: dict[str, int]


def write_value_files(
    values: Mapping[RequestedValue, object], terms: ValueOptions
) -> list[LocalFile]:
    """Write values to files; all of them, or an error and none."""
    with contextlib.ExitStack() as stack:
        packed: list[LocalFile] = []
        for wish, value in values.items():
            packed.append(write_value_file(wish, value, terms))
            stack.callback(packed[-1].close)
        stack.pop_all()
    return packed


def bundle_script(
    script: str, values: Mapping[RequestedValue, object], terms: ValueOptions
) -> Bundle:
    """Return what a script of another language needs: every value a file beside it."""
    packed = write_value_files(values, terms)
    return Bundle(
        script=script,
        files={file.to: file for file in packed},
        sizes=_sizes(values, packed),
    )


def bundle_cell(
    cell: str,
    values: Mapping[RequestedValue, object],
    wanted: Sequence[RequestedValue],
    terms: ValueOptions,
    *,
    path: str,
    shebang: str = "",
    inline: int = MAX_INLINE,
) -> Bundle:
    """Return what a Python cell needs to find values in its namespace, and to leave others.

    Parameters
    ----------
    values
        What the cell finds in its namespace.
    wanted
        The variables that it leaves behind.
    path
        The file that the cell believes to be.
    shebang
        The cell's own first line, if it begins with ``#!``.
    inline
        Bytes of values that travel in the archive.
    """
    packed = write_value_files(values, terms)
    entries: dict[str, str] = {}
    files: dict[str, LocalFile] = {}
    buffer = io.BytesIO()
    if shebang:
        buffer.write(f"{shebang}\n".encode())
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for wish, file in zip(values, packed, strict=True):
            if file.size <= inline:
                inline -= file.size
                entries[wish.name] = f"values/{file.name}"
                archive.writestr(entries[wish.name], file.content())
                file.close()
            else:
                entries[wish.name] = file.to
                files[file.to] = file
        plan = {
            "in": entries,
            "out": {wish.name: wish.suffix for wish in wanted},
            "pickle": terms.allow_pickle,
            "file": path,
            "results": "/results",
        }
        archive.writestr("plan.json", json.dumps(plan))
        archive.writestr(CELL_MEMBER, cell.encode("utf-8"))
        _add_launcher(archive)
    return Bundle(script=buffer.getvalue(), files=files, sizes=_sizes(values, packed))


def _sizes(values: Iterable[RequestedValue], packed: Iterable[LocalFile]) -> dict[str, int]:
    return {wish.name: file.size for wish, file in zip(values, packed, strict=True)}


def _add_launcher(archive: zipfile.ZipFile) -> None:
    archive.writestr("__main__.py", _MAIN_MODULE)
    archive.writestr("_nds_values/__init__.py", "")
    shipped = resources.files("nds_jupyter.values")
    for name in _SHIPPED_MODULES:
        archive.writestr(f"_nds_values/{name}", (shipped / name).read_bytes())
