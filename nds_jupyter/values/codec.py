"""Values as files: JSON for plain values, Arrow for tables, ``.npy`` for arrays.

Nothing that is read here can run code, except ``.pickle``, which the caller has to allow. This
module is shipped to containers as it is: it needs only the standard library of Python 3.8, and
numpy, pandas or pyarrow where a value does.
"""

from __future__ import annotations

import base64
import datetime as dt
import importlib
import json
import pickle
from collections.abc import Callable
from typing import IO, Any

PLAIN = (str, int, float, bool, type(None))

SUFFIXES = (".json", ".arrow", ".npy", ".txt", ".pickle")
"""In the order in which a value is looked for."""

_TAG = "$nds"


class NotPortable(Exception):
    """A value that only a pickle could carry."""


def suffix_of(value: object, allow_pickle: bool) -> str:
    """Return how a value is written.

    Raises
    ------
    NotPortable
        If only a pickle could carry it, and none is allowed.
    """
    kind = type(value)
    family = kind.__module__.partition(".")[0]
    if family in ("pandas", "pyarrow") and kind.__name__ in ("DataFrame", "Series", "Table"):
        return ".arrow"
    if family == "numpy" and kind.__name__ == "ndarray" and not value.dtype.hasobject:  # type: ignore[attr-defined]
        return ".npy"
    try:
        _encoded(value)
    except NotPortable:
        if allow_pickle:
            return ".pickle"
        raise
    return ".json"


def dump(value: object, suffix: str, file: IO[bytes]) -> None:
    """Write a value to a binary file."""
    _WRITERS[suffix](value, file)


def load(suffix: str, file: IO[bytes], allow_pickle: bool) -> Any:
    """Read a value from a binary file that can seek."""
    if suffix == ".pickle" and not allow_pickle:
        raise NotPortable("it is a pickle, and loading a pickle runs what is in it")
    return _READERS[suffix](file)


def _dump_json(value: object, file: IO[bytes]) -> None:
    file.write(json.dumps(_encoded(value), ensure_ascii=False).encode("utf-8", "surrogatepass"))


def _load_json(file: IO[bytes]) -> Any:
    return _decoded(json.loads(file.read().decode("utf-8", "surrogatepass")))


def _encoded(value: Any) -> Any:
    kind = type(value)
    if kind in PLAIN:
        return value
    if kind is list:
        return [_encoded(each) for each in value]
    if kind is dict:
        if all(type(key) is str for key in value) and _TAG not in value:
            return {key: _encoded(each) for key, each in value.items()}
        return {
            _TAG: "dict",
            "of": [[_encoded(key), _encoded(each)] for key, each in value.items()],
        }
    for name, (wanted, encode, _decode) in _TAGGED.items():
        if kind is wanted:
            return {_TAG: name, "of": encode(value)}
    if hasattr(value, "item") and kind.__module__ == "numpy" and type(value.item()) in PLAIN:
        return value.item()
    raise NotPortable(
        f"a {kind.__module__}.{kind.__qualname__} is neither a plain value, nor a table, nor an "
        "array"
    )


def _decoded(value: Any) -> Any:
    if type(value) is list:
        return [_decoded(each) for each in value]
    if type(value) is not dict:
        return value
    if _TAG not in value:
        return {key: _decoded(each) for key, each in value.items()}
    name, content = value[_TAG], value["of"]
    if name == "dict":
        return {_decoded(key): _decoded(each) for key, each in content}
    return _TAGGED[name][2](content)


def _list(values: Any) -> Any:
    return [_encoded(each) for each in values]


_TAGGED: dict[str, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "tuple": (tuple, _list, lambda content: tuple(map(_decoded, content))),
    "set": (set, _list, lambda content: set(map(_decoded, content))),
    "frozenset": (frozenset, _list, lambda content: frozenset(map(_decoded, content))),
    "bytes": (bytes, lambda value: base64.b64encode(value).decode(), base64.b64decode),
    "complex": (
        complex,
        lambda value: [value.real, value.imag],
        lambda content: complex(*content),
    ),
    "datetime": (
        dt.datetime,
        lambda value: value.isoformat(),
        dt.datetime.fromisoformat,
    ),
    "date": (dt.date, lambda value: value.isoformat(), dt.date.fromisoformat),
    "time": (dt.time, lambda value: value.isoformat(), dt.time.fromisoformat),
    "timedelta": (
        dt.timedelta,
        lambda value: [value.days, value.seconds, value.microseconds],
        lambda content: dt.timedelta(*content),
    ),
}


def _needed(name: str) -> Any:
    """Import what a value needs, or say what is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as exc:
        raise NotPortable(f"{name.partition('.')[0]} is not installed, which it needs") from exc


def _dump_arrow(value: Any, file: IO[bytes]) -> None:
    arrow = _needed("pyarrow")
    table = value
    kind = type(value).__name__
    if kind != "Table":
        frame = value.to_frame() if kind == "Series" else value
        table = arrow.Table.from_pandas(frame)
    noted = {**(table.schema.metadata or {}), b"nds": kind.encode()}
    table = table.replace_schema_metadata(noted)
    with arrow.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def _load_arrow(file: IO[bytes]) -> Any:
    arrow = _needed("pyarrow")
    table = arrow.ipc.open_file(file).read_all()
    kind = (table.schema.metadata or {}).get(b"nds", b"Table")
    if kind == b"Table":
        return table
    _needed("pandas")
    frame = table.to_pandas()
    return frame.iloc[:, 0] if kind == b"Series" else frame


def _dump_npy(value: Any, file: IO[bytes]) -> None:
    _needed("numpy").save(file, value, allow_pickle=False)


def _load_npy(file: IO[bytes]) -> Any:
    return _needed("numpy").load(file, allow_pickle=False)


def _dump_pickle(value: Any, file: IO[bytes]) -> None:
    try:
        pickler = importlib.import_module("cloudpickle")
    except ImportError:
        pickler = pickle
    pickler.dump(value, file, protocol=4)


_WRITERS: dict[str, Callable[[Any, IO[bytes]], None]] = {
    ".json": _dump_json,
    ".arrow": _dump_arrow,
    ".npy": _dump_npy,
    ".pickle": _dump_pickle,
}

_READERS: dict[str, Callable[[IO[bytes]], Any]] = {
    ".json": _load_json,
    ".arrow": _load_arrow,
    ".npy": _load_npy,
    ".txt": lambda file: file.read().decode("utf-8", "replace"),
    ".pickle": pickle.load,
}
