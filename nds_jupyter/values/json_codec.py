"""Plain Python values as JSON, with types that JSON lacks tagged by the key ``$nds``."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import importlib
import json
from collections.abc import Callable
from typing import IO, Any

JSON_TYPES = (str, float, bool, type(None))

_TAG = "$nds"

MAX_DECIMAL_BITS = 10_000
"""Bits of an integer that is written in decimal digits; Python refuses to convert longer ones."""


class NotSerializable(Exception):
    """A value that a format can't hold, or a file that can't be loaded here."""


def dump(value: object, file: IO[bytes]) -> None:
    """Write a value as JSON."""
    try:
        text = json.dumps(encode(value), ensure_ascii=False)
    except RecursionError:
        raise NotSerializable("it holds itself, or is nested too deeply") from None
    file.write(text.encode("utf-8", "surrogatepass"))


def load(file: IO[bytes]) -> Any:
    """Read JSON, of ours or anybody's."""
    try:
        return _decode(json.loads(file.read().decode("utf-8", "surrogatepass")))
    except RecursionError:
        raise NotSerializable("it is nested too deeply") from None


def encode(value: Any) -> Any:
    """Return a value as one that `json` can write.

    Raises
    ------
    NotSerializable
        If something in it is no plain value.
    """
    kind = type(value)
    if kind in JSON_TYPES:
        return value
    if kind is int:
        short = value.bit_length() <= MAX_DECIMAL_BITS
        return value if short else {_TAG: "int", "of": hex(value)}
    if kind is list:
        return [encode(each) for each in value]
    if kind is dict:
        if all(type(key) is str for key in value) and _TAG not in value:
            return {key: encode(each) for key, each in value.items()}
        return {_TAG: "dict", "of": [[encode(key), encode(each)] for key, each in value.items()]}
    for name, (tagged_type, encode_content, _) in _TAGGED.items():
        if kind is tagged_type:
            return {_TAG: name, "of": encode_content(value)}
    return _encode_scalar(value)


def _encode_scalar(value: Any) -> Any:
    kind = type(value)
    family = kind.__module__.partition(".")[0]
    if family == "numpy" and hasattr(value, "item"):
        plain = value.item()
        if type(plain) in (*JSON_TYPES, int, complex):
            return encode(plain)
    if family == "pandas" and kind.__name__ == "Timestamp":
        return {_TAG: "timestamp", "of": [value.isoformat(), _zone_name(value)]}
    raise NotSerializable(
        f"a {kind.__module__}.{kind.__qualname__} is neither a plain value, nor a table, nor an "
        "array"
    )


def _decode(value: Any) -> Any:
    if type(value) is list:
        return [_decode(each) for each in value]
    if type(value) is not dict:
        return value
    if _TAG not in value:
        return {key: _decode(each) for key, each in value.items()}
    name, content = value[_TAG], value["of"]
    if name == "dict":
        return {_decode(key): _decode(each) for key, each in content}
    if name == "int":
        return int(content, 16)
    if name == "timestamp":
        return _decode_timestamp(*content)
    return _TAGGED[name][2](content)


def _encode_items(values: Any) -> Any:
    return [encode(each) for each in values]


def _zone_name(value: Any) -> Any:
    """Return the name of a value's time zone, if it has one beyond its offset."""
    return getattr(value.tzinfo, "key", None) or getattr(value.tzinfo, "zone", None)


def _load_zone(name: str) -> Any:
    """Return a time zone; None where this Python does not know it, and the offset has to do."""
    try:
        return importlib.import_module("zoneinfo").ZoneInfo(name)
    except (ImportError, ValueError, KeyError):
        return None


def _to_zone(moment: Any, zone: Any) -> Any:
    loaded_zone = _load_zone(zone) if zone else None
    return moment if loaded_zone is None else moment.astimezone(loaded_zone)


def _decode_time(text: str, zone: Any) -> Any:
    time = dt.time.fromisoformat(text)
    return time.replace(tzinfo=_load_zone(zone)) if zone else time


def _decode_timestamp(text: str, zone: Any) -> Any:
    moment = import_library("pandas").Timestamp(text)
    loaded_zone = _load_zone(zone) if zone else None
    return moment if loaded_zone is None else moment.tz_convert(loaded_zone)


def import_library(name: str) -> Any:
    """Import a library that a value needs.

    Raises
    ------
    NotSerializable
        If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as exc:
        raise NotSerializable(f"{name.partition('.')[0]} is not installed, which it needs") from exc


_TAGGED: dict[str, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "tuple": (tuple, _encode_items, lambda content: tuple(map(_decode, content))),
    "set": (set, _encode_items, lambda content: set(map(_decode, content))),
    "frozenset": (frozenset, _encode_items, lambda content: frozenset(map(_decode, content))),
    "bytes": (bytes, lambda value: base64.b64encode(value).decode(), base64.b64decode),
    "bytearray": (
        bytearray,
        lambda value: base64.b64encode(value).decode(),
        lambda content: bytearray(base64.b64decode(content)),
    ),
    "complex": (
        complex,
        lambda value: [value.real, value.imag],
        lambda content: complex(*content),
    ),
    "decimal": (decimal.Decimal, str, decimal.Decimal),
    "datetime": (
        dt.datetime,
        lambda value: [value.isoformat(), _zone_name(value)],
        lambda content: _to_zone(dt.datetime.fromisoformat(content[0]), content[1]),
    ),
    "date": (dt.date, lambda value: value.isoformat(), dt.date.fromisoformat),
    "time": (
        dt.time,
        lambda value: [value.isoformat(), _zone_name(value)],
        lambda content: _decode_time(*content),
    ),
    "timedelta": (
        dt.timedelta,
        lambda value: [value.days, value.seconds, value.microseconds],
        lambda content: dt.timedelta(*content),
    ),
}
