"""Logical paths: their normal form, names that iRODS can't carry, and collections above homes."""

from __future__ import annotations

import errno
import re

from nds_jupyter.data.irods.config import PROTOCOL

# Neither iRODS nor its XML protocol can carry control characters, and surrogates are none.
_INVALID_CHARACTERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def logical_path(text: str) -> str:
    """Return the logical path of a path or URL, with one slash between its parts.

    Raises
    ------
    OSError
        With ``EINVAL``, for what is no valid path.
    """
    if text.startswith(f"{PROTOCOL}://"):
        _, _, text = text[len(PROTOCOL) + 3 :].partition("/")
    elif text.startswith(f"{PROTOCOL}:"):
        text = text[len(PROTOCOL) + 1 :]
    parts = [part for part in text.split("/") if part]
    path = "/" + "/".join(parts)
    if "." in parts or ".." in parts:
        raise OSError(errno.EINVAL, f"{path}: a logical path has no parts '.' or '..'")
    if _INVALID_CHARACTERS.search(path):
        raise OSError(errno.EINVAL, f"{path!a}: iRODS has no names with such characters")
    if any(map(_breaks_queries, (path, *parts))):
        raise OSError(
            errno.EINVAL,
            f"{path}: no query of iRODS can name it, because of '||' or '&&' after a single "
            "quote. Choose another name",
        )
    return path


def _breaks_queries(value: str) -> bool:
    """Whether GenQuery1, which the server itself uses, reads a value as several conditions.

    Quotes in a value are not escaped, so that after an odd number of them it is outside of quotes.
    """
    if "'" not in value:
        return False
    outside = value.split("'")[1::2]
    return any("||" in each or "&&" in each for each in outside)


def zone_of(path: str) -> str:
    """Return the zone of a path; empty for the root, which every zone has."""
    return path.split("/")[1]


def top_collections(zone: str) -> tuple[str, ...]:
    """Return the collections above the homes, which ordinary users don't see in the catalogue."""
    return ("/", f"/{zone}", f"/{zone}/home")


def parent_of(path: str) -> str:
    """Return the collection that a path is in."""
    return path.rpartition("/")[0] or "/"
