"""XML bodies: written as the server writes them, read into elements."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from typing import Any
from xml.etree.ElementTree import Element, ParseError, fromstring

from tests.irods_zone.codes import CallError, Status

# The server takes control characters, which clients put into scrambled passwords; XML does not.
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"},
)


def escape(text: str) -> str:
    """Escape a text as the server does, quotes included."""
    return text.translate(_ESCAPES)


def field(name: str, value: object) -> str:
    """Write one field."""
    return f"<{name}>{escape(str(value))}</{name}>\n"


def pack(name: str, *parts: str, **fields: object) -> str:
    """Write a structure of fields, then of parts that are packed already."""
    written = "".join(field(key, value) for key, value in fields.items())
    return f"<{name}>\n{written}{''.join(parts)}</{name}>\n"


def pack_text(text: str) -> str:
    """Write the structure of a single text."""
    return pack("STR_PI", myStr=text)


def pack_json(value: object) -> str:
    """Write JSON as the server does: without spaces, ended by a zero byte, in base64."""
    data = json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    raw = data.encode() + b"\0"
    return pack("BinBytesBuf_PI", buflen=len(raw), buf=base64.b64encode(raw).decode())


DEBUG_MESSAGE = "DEBUG: \n"
OLD_TRUNCATE = "rxDataObjTruncate has been deprecated. Use rx_replica_truncate instead."
_NAMED = re.compile(r"[A-Z_]+: |verifyDataObjChksum: ")
_OTHERS = {DEBUG_MESSAGE: -1220000, OLD_TRUNCATE: -3001000}


def pack_error(message: str, status: int = 0) -> str:
    """Write the error body of a reply; a plugin of the server repeats its status there."""
    if not message:
        return ""
    is_named = "]  errno [" in message or _NAMED.match(message)
    told = _OTHERS.get(message, status if is_named else 0)
    return pack("RError_PI", pack("RErrMsg_PI", status=told, msg=message), count=1)


_CONTROLS = {code: 0xE000 + code for code in (*range(1, 9), *range(11, 32))}
"""Characters that XML can't hold, or not as they are, and what stands for them while it is read."""

_BACK = {stand_in: code for code, stand_in in _CONTROLS.items()}


def unpack(body: bytes) -> Element:
    """Read a body; an empty one is an empty element.

    A server takes control characters in a text as they are; clients send some: a new password is
    scrambled with whatever `string.printable` has.
    """
    if not body:
        return Element("empty")
    try:
        found = fromstring(body.replace(b"\0", b"").decode().translate(_CONTROLS))
    except (ParseError, UnicodeDecodeError) as error:
        raise CallError(Status.INVALID_INPUT, f"body is not XML: {error}") from error
    for element in found.iter():
        element.text = element.text and element.text.translate(_BACK)
    return found


def unpack_json(element: Element) -> dict[str, Any]:
    """Read JSON from a buffer, which old clients send as text and new ones in base64."""
    raw = text(element, "buf")
    data = base64.b64decode(raw) if element.tag == "BinBytesBuf_PI" else raw.encode()
    value = json.loads(data.replace(b"\0", b""))
    if not isinstance(value, dict):
        raise CallError(Status.INVALID_INPUT, "the body is no JSON object")
    return value


def text(element: Element, name: str) -> str:
    """Read a field as text; a missing one is empty."""
    return element.findtext(name) or ""


def number(element: Element, name: str) -> int:
    """Read a field as an integer; a missing one is zero."""
    return int(element.findtext(name) or 0)


def texts(element: Element, name: str) -> list[str]:
    """Read a repeated field."""
    return [found.text or "" for found in element.findall(name)]


def keywords(element: Element) -> dict[str, str]:
    """Read the key-value pairs of a structure."""
    pairs = element.find("KeyValPair_PI")
    if pairs is None:
        return {}
    return dict(zip(texts(pairs, "keyWord"), texts(pairs, "svalue"), strict=True))


def arguments(element: Element, names: Iterable[str]) -> list[str]:
    """Read numbered arguments in their order."""
    return [text(element, name) for name in names]
