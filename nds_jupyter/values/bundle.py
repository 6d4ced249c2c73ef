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
from typing import IO, Any, cast

import msgspec

from nds_jupyter.client.submit import LocalFile
from nds_jupyter.errors import InvalidRequest, TooLarge
from nds_jupyter.jobs.byte_sizes import size_text
from nds_jupyter.jobs.script import CELL_MEMBER
from nds_jupyter.values import formats
from nds_jupyter.values.json_codec import NotSerializable

INPUT_FOLDER = "/nds/in"
"""Folder of the container that has the files sent with its job."""

MAX_IN_MEMORY = 2**20
"""Bytes of an encoded value that are kept in memory; a larger one goes to a temporary file."""


class RequestedValue(msgspec.Struct, frozen=True, kw_only=True):
    """Name of a variable for ``--in`` or ``--out``, and its file format where one was given."""

    name: str
    suffix: str | None = None

    @classmethod
    def parse(cls, text: str, option: str) -> RequestedValue:
        """Parse ``NAME`` or ``NAME.FORMAT``.

        Raises
        ------
        InvalidRequest
            If it is neither.
        """
        name, dot, rest = text.partition(".")
        suffix = f"{dot}{rest}" or None
        if not name.isidentifier():
            raise InvalidRequest(f"{option}: {name!r} is not the name of a variable.")
        if suffix is not None and suffix not in formats.SUFFIXES:
            suffixes = " ".join(formats.SUFFIXES)
            raise InvalidRequest(f"{option} {text}: {suffix} is none of the formats {suffixes}.")
        return cls(name=name, suffix=suffix)


class ValueOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Limits on the format and size of values.

    Parameters
    ----------
    allow_pickle
        Whether what is neither plain, nor a table or array, is pickled.
    max_size
        Bytes of one encoded value.
    for_python
        Whether a Python script reads them.
    """

    allow_pickle: bool
    max_size: int
    for_python: bool = True


def write_value_file(requested: RequestedValue, value: object, options: ValueOptions) -> LocalFile:
    """Encode a value into a file of its own, named by its name and format.

    Raises
    ------
    InvalidRequest
        If it can't be encoded.
    TooLarge
        If it has more bytes than allowed.
    """
    if formats.size_lower_bound(value) > options.max_size:
        raise _too_large(requested.name, options.max_size)
    file = tempfile.SpooledTemporaryFile(MAX_IN_MEMORY)  # noqa: SIM115 - closed when it is sent
    sink = _LimitedWriter(requested.name, file, options.max_size)
    try:
        suffix = requested.suffix or formats.choose_suffix(
            value, options.allow_pickle, for_python=options.for_python
        )
        _check_pickle_allowed(requested, suffix, options)
        formats.dump(value, suffix, sink)  # type: ignore[arg-type]
    except NotSerializable as exc:
        file.close()
        raise InvalidRequest(f"--in {requested.name}: {exc}. {_advice(str(exc))}") from exc
    except BaseException:
        file.close()
        raise
    digest = sink.digest.hexdigest()
    return LocalFile(
        f"{INPUT_FOLDER}/{requested.name}{suffix}",
        cast("IO[bytes]", file),
        size=sink.size,
        sha256=digest,
    )


def _check_pickle_allowed(requested: RequestedValue, suffix: str, options: ValueOptions) -> None:
    if suffix == formats.PICKLE and not options.allow_pickle:
        raise InvalidRequest(f"--in {requested.name}{suffix}: a pickle needs --pickle.")


def _advice(message: str) -> str:
    if "is not installed" in message:
        return f"Install it in this kernel: %pip install {message.partition(' ')[0]}."
    return "Write it to a file and name that by --data, or give --pickle, which sends it as one."


def _too_large(name: str, max_size: int) -> TooLarge:
    return TooLarge(
        f"--in {name}: it has more than {size_text(max_size)}, the most that a value may have "
        "(%config NdsMagics.max_value_bytes). Write it to a file, put that into the data root by "
        "%ndsput, and name it by --data."
    )


class _LimitedWriter(io.RawIOBase):
    """Writer that computes size and SHA-256 of what is written, and enforces a limit."""

    def __init__(self, name: str, file: Any, max_size: int) -> None:
        self._name = name
        self._file = file
        self._max_size = max_size
        self.size = 0
        self.digest = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        chunk = memoryview(data).cast("B")
        self.size += len(chunk)
        if self.size > self._max_size:
            raise _too_large(self._name, self._max_size)
        self.digest.update(chunk)
        self._file.write(chunk)
        return len(chunk)


MAX_INLINE = 128 * 2**10
"""Bytes of values that are put into the archive, so that most jobs are one request and one file."""

_SHIPPED_MODULES = ("json_codec.py", "tables.py", "formats.py", "launcher.py")

_MAIN_MODULE = """\
import sys

if sys.version_info < (3, 8):
    sys.exit("--in, --out: this image has Python %d.%d, and 3.8 is needed." % sys.version_info[:2])

from _nds_values import launcher

launcher.run(sys.argv[0])
"""
"""Source of the archive's ``__main__``, which any Python can parse."""


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """Script of a job with its input values.

    Parameters
    ----------
    script
        The archive, or a script of another language as it is.
    files
        Files that are sent with it, by path in the container.
    sizes
        Bytes of each encoded value.
    """

    script: bytes | str
    files: dict[str, LocalFile]
    sizes: dict[str, int]


def write_value_files(
    values: Mapping[RequestedValue, object], options: ValueOptions
) -> list[LocalFile]:
    """Encode values into files, all of them or none."""
    with contextlib.ExitStack() as stack:
        local_files: list[LocalFile] = []
        for requested, value in values.items():
            local_files.append(write_value_file(requested, value, options))
            stack.callback(local_files[-1].close)
        stack.pop_all()
    return local_files


def bundle_script(
    script: str, values: Mapping[RequestedValue, object], options: ValueOptions
) -> Bundle:
    """Return the bundle of a script of another language: every value is a file beside it."""
    local_files = write_value_files(values, options)
    return Bundle(
        script=script,
        files={file.to: file for file in local_files},
        sizes=_sizes(values, local_files),
    )


def bundle_cell(
    cell: str,
    values: Mapping[RequestedValue, object],
    outputs: Sequence[RequestedValue],
    options: ValueOptions,
    *,
    path: str,
    shebang: str = "",
    inline: int = MAX_INLINE,
) -> Bundle:
    """Return the bundle of a Python cell: an archive with the cell, its inputs and the launcher.

    Parameters
    ----------
    values
        Input values, which the cell finds in its namespace.
    outputs
        Variables that are saved after the cell.
    path
        Path that the cell has as its ``__file__``.
    shebang
        The cell's own first line, if it begins with ``#!``.
    inline
        Bytes of values that are put into the archive.
    """
    local_files = write_value_files(values, options)
    entries: dict[str, str] = {}
    files: dict[str, LocalFile] = {}
    buffer = io.BytesIO()
    if shebang:
        buffer.write(f"{shebang}\n".encode())
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for requested, file in zip(values, local_files, strict=True):
            if file.size <= inline:
                inline -= file.size
                entries[requested.name] = f"values/{file.name}"
                archive.writestr(entries[requested.name], file.content())
                file.close()
            else:
                entries[requested.name] = file.to
                files[file.to] = file
        plan = {
            "in": entries,
            "out": {requested.name: requested.suffix for requested in outputs},
            "pickle": options.allow_pickle,
            "file": path,
            "results": "/results",
        }
        archive.writestr("plan.json", json.dumps(plan))
        archive.writestr(CELL_MEMBER, cell.encode("utf-8"))
        _add_launcher(archive)
    return Bundle(script=buffer.getvalue(), files=files, sizes=_sizes(values, local_files))


def _sizes(values: Iterable[RequestedValue], local_files: Iterable[LocalFile]) -> dict[str, int]:
    return {requested.name: file.size for requested, file in zip(values, local_files, strict=True)}


def _add_launcher(archive: zipfile.ZipFile) -> None:
    archive.writestr("__main__.py", _MAIN_MODULE)
    archive.writestr("_nds_values/__init__.py", "")
    shipped = resources.files("nds_jupyter.values")
    for name in _SHIPPED_MODULES:
        archive.writestr(f"_nds_values/{name}", (shipped / name).read_bytes())
