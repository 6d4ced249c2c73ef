"""Values on their way out of the notebook: each written to a file once, measured while it is."""

from __future__ import annotations

import hashlib
import io
import tempfile
from typing import IO, Any

import msgspec

from nds_jupyter.client.local_files import LocalFile
from nds_jupyter.errors import InvalidRequest, TooLarge
from nds_jupyter.sizes import size_text
from nds_jupyter.values import codec
from nds_jupyter.values.plain import NotPortable

FOLDER = "/nds/in"
"""Where a container has the files that were sent with its job."""

IN_MEMORY = 2**20
"""Bytes of a value that is kept in memory on its way; a larger one is on disk."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """A variable that is to travel, and the format that was asked for, if one was."""

    name: str
    suffix: str | None = None

    @classmethod
    def parse(cls, text: str, option: str) -> Wish:
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
        if suffix is not None and suffix not in codec.LOOKED_FOR:
            known = " ".join(codec.LOOKED_FOR)
            raise InvalidRequest(f"{option} {text}: {suffix} is none of the formats {known}.")
        return cls(name=name, suffix=suffix)


class Terms(msgspec.Struct, frozen=True, kw_only=True):
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


def pack(wish: Wish, value: object, terms: Terms) -> LocalFile:
    """Write a value to a file of its own, called by its name and format.

    Raises
    ------
    InvalidRequest
        If it can't travel.
    TooLarge
        If it has more bytes than it may.
    """
    if codec.bytes_at_least(value) > terms.most:
        raise _too_large(wish.name, terms.most)
    file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed when it is sent
    sink = _Measured(wish.name, file, terms.most)
    try:
        suffix = wish.suffix or codec.suffix_of(
            value, terms.allow_pickle, for_python=terms.for_python
        )
        _expect_allowed(wish, suffix, terms)
        codec.dump(value, suffix, sink)  # type: ignore[arg-type]
    except NotPortable as exc:
        file.close()
        raise InvalidRequest(f"--in {wish.name}: {exc}. {_advice(str(exc))}") from exc
    except BaseException:
        file.close()
        raise
    digest = sink.digest.hexdigest()
    return LocalFile(f"{FOLDER}/{wish.name}{suffix}", _as_file(file), size=sink.size, sha256=digest)


def _as_file(file: Any) -> IO[bytes]:
    binary: IO[bytes] = file
    return binary


def _expect_allowed(wish: Wish, suffix: str, terms: Terms) -> None:
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


class _Measured(io.RawIOBase):
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
