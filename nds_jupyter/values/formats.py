"""File formats of values: which one a value travels in, how it is written and read.

Nothing that is read here can run code, except ``.pickle``, which the caller has to allow. The
modules `json_codec`, `tables` and this one are shipped to containers as they are: they need only
the standard library of Python 3.8, and numpy, pandas or pyarrow where a value does.
"""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable
from typing import IO, Any

from . import json_codec, tables
from .json_codec import NotSerializable, import_library

PICKLE = ".pickle"

SUFFIXES = (".json", ".arrow", ".npy", ".parquet", ".csv", ".txt", ".bin", PICKLE)
"""Suffixes of the formats, in the order in which a value is looked for."""


def choose_suffix(value: object, allow_pickle: bool, *, for_python: bool = True) -> str:
    """Return the suffix of the format that a value is written in.

    Parameters
    ----------
    for_python
        False for a script of another language, which reads text and bytes as they are.

    Raises
    ------
    NotSerializable
        If only a pickle could carry it, and none is allowed.
    """
    if tables.is_table(value):
        return ".arrow"
    if _is_array(value):
        return ".npy"
    if not for_python and type(value) in (str, bytes):
        return ".txt" if type(value) is str else ".bin"
    try:
        json_codec.encode(value)
    except (NotSerializable, RecursionError) as exc:
        if allow_pickle:
            return PICKLE
        if isinstance(exc, NotSerializable):
            raise
        raise NotSerializable("it holds itself, or is nested too deeply") from None
    return ".json"


def _is_array(value: Any) -> bool:
    kind = type(value)
    is_array = kind.__module__.partition(".")[0] == "numpy" and kind.__name__ == "ndarray"
    return is_array and not value.dtype.hasobject


def size_lower_bound(value: Any) -> int:
    """Return a lower bound of a value's encoded size, without encoding it."""
    if _is_array(value):
        return int(value.nbytes)
    return len(value) if type(value) in (str, bytes, bytearray) else 0


def dump(value: object, suffix: str, file: IO[bytes]) -> None:
    """Write a value to a binary file.

    Raises
    ------
    NotSerializable
        If the value is not of a kind that this format holds.
    """
    if suffix in _TABLE_SUFFIXES and not tables.is_table(value):
        raise NotSerializable(
            f"a {type(value).__qualname__} is no table, and {suffix} holds tables"
        )
    if suffix == ".npy" and not _is_array(value):
        raise NotSerializable(f"a {type(value).__qualname__} is no array, and .npy holds arrays")
    required_type = {".txt": str, ".bin": bytes}.get(suffix)
    if required_type is not None and type(value) is not required_type:
        raise NotSerializable(
            f"{suffix} holds {required_type.__name__}, not {type(value).__qualname__}"
        )
    _WRITERS[suffix](value, file)


def load(suffix: str, file: IO[bytes], allow_pickle: bool) -> Any:
    """Read a value from a binary file that can seek."""
    if suffix == PICKLE and not allow_pickle:
        raise NotSerializable("it is a pickle, and loading a pickle runs what is in it")
    return _READERS[suffix](file)


def _dump_npy(value: Any, file: IO[bytes]) -> None:
    import_library("numpy").save(file, value, allow_pickle=False)


def _load_npy(file: IO[bytes]) -> Any:
    return import_library("numpy").load(file, allow_pickle=False)


def _dump_pickle(value: Any, file: IO[bytes]) -> None:
    try:
        pickler: Any = importlib.import_module("cloudpickle")
    except ImportError:
        pickler = pickle
    pickler.dump(value, file, protocol=4)


def _dump_text(value: Any, file: IO[bytes]) -> None:
    file.write(value.encode("utf-8", "surrogatepass"))


def _dump_bytes(value: Any, file: IO[bytes]) -> None:
    file.write(value)


_TABLE_SUFFIXES = (".arrow", ".parquet", ".csv")

_WRITERS: dict[str, Callable[[Any, IO[bytes]], None]] = {
    ".json": json_codec.dump,
    ".arrow": tables.dump_arrow,
    ".parquet": tables.dump_parquet,
    ".csv": tables.dump_csv,
    ".npy": _dump_npy,
    ".txt": _dump_text,
    ".bin": _dump_bytes,
    PICKLE: _dump_pickle,
}

_READERS: dict[str, Callable[[IO[bytes]], Any]] = {
    ".json": json_codec.load,
    ".arrow": tables.load_arrow,
    ".parquet": tables.load_parquet,
    ".csv": tables.load_csv,
    ".npy": _load_npy,
    ".txt": lambda file: file.read().decode("utf-8", "replace"),
    ".bin": lambda file: file.read(),
    PICKLE: pickle.load,
}
