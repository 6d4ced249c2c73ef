"""Logical paths of a zone and their URLs."""

from __future__ import annotations

import errno
import re
from typing import Any

PROTOCOL = "irods"


# Neither iRODS nor the XML that it speaks carries the others, and the last are no characters.
_IMPOSSIBLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def logical_path(text: str) -> str:
    """Return the logical path that a path or URL names, with one slash between its parts.

    Raises
    ------
    OSError
        With ``EINVAL``, for what can't be the path of anything.
    """
    if text.startswith(f"{PROTOCOL}://"):
        _, _, text = text[len(PROTOCOL) + 3 :].partition("/")
    elif text.startswith(f"{PROTOCOL}:"):
        text = text[len(PROTOCOL) + 1 :]
    parts = [part for part in text.split("/") if part]
    path = "/" + "/".join(parts)
    if "." in parts or ".." in parts:
        raise OSError(errno.EINVAL, f"{path}: a logical path has no parts '.' or '..'")
    if _IMPOSSIBLE.search(path):
        raise OSError(errno.EINVAL, f"{path!a}: iRODS has no names with such characters")
    return path


def zone_of(path: str) -> str:
    """Return whose catalogue knows a path; empty for the root, which every zone has."""
    return path.split("/")[1]


def authority(url: str) -> dict[str, Any]:
    """Return user, host and port that a URL names; question marks and the like are of the path."""
    if not url.startswith(f"{PROTOCOL}://"):
        return {}
    named = url[len(PROTOCOL) + 3 :].partition("/")[0]
    user, _, place = named.rpartition("@")
    host, _, port = place.partition(":")
    found = {"user": user, "host": host, "port": int(port) if port.isdigit() else None}
    return {name: value for name, value in found.items() if value}
