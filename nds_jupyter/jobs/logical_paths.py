"""Logical paths of the data root: absolute, normalized, never outside it."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import unquote

from nds_jupyter.errors import InvalidRequest

MAX_LEVELS = 255
"""Collections inside each other; deeper ones have no path that a container could open."""

LONGEST_NAME = 255
"""Bytes of a name, as filesystems have it."""

LONGEST_PATH = 4000
"""Bytes of a path; Linux takes 4096, with what comes before it in a container."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def is_url(text: str) -> bool:
    """Whether a text names its filesystem, like ``irods:///zone/home``."""
    return _URL.match(text) is not None


def logical_path(text: str, home: str = "/", field: str = "path") -> str:
    """Return a path of the data root in its one normal form.

    Parameters
    ----------
    text
        A path; a relative one begins at `home`.
    field
        The parameter that it came in, for the sentence of the error.

    Raises
    ------
    InvalidRequest
        If it holds ``..`` or a NUL, or is too long or too deep.
    """
    if "\0" in text or ".." in text.split("/"):
        raise InvalidRequest(f"{field}: {text[:200]!r} holds '..' or a NUL. Write the path out.")
    whole = text if text.startswith("/") else f"{home}/{text}"
    names = [name for name in whole.split("/") if name not in {"", "."}]
    path = "/" + "/".join(names)
    try:
        sizes = [len(name.encode()) for name in names]
    except UnicodeEncodeError:
        raise InvalidRequest(f"{field}: {text[:200]!r} is not UTF-8 text.") from None
    if len(names) > MAX_LEVELS or len(path.encode()) > LONGEST_PATH:
        raise InvalidRequest(
            f"{field}: {path[:60]}… is too deep: at most {MAX_LEVELS} levels and {LONGEST_PATH} "
            "bytes can be used in a container."
        )
    if max(sizes, default=0) > LONGEST_NAME:
        raise InvalidRequest(f"{field}: a name in {path[:60]}… has over {LONGEST_NAME} bytes.")
    return path


_ROUTE = re.compile(r"(?P<head>.*?)/(?:data(?P<path>/[^?]*)|list_data\?path=(?P<listed>[^&]*))\Z")


def split_route(text: str, head: str) -> tuple[str, str] | None:
    """Split the `url` of a row of `/list_data` into what comes before the route, and the path.

    Parameters
    ----------
    head
        What comes before the routes of this server; a gateway has another one.

    Returns
    -------
    tuple or None
        None for a text that is no such URL.
    """
    if not text.startswith("/"):
        return None
    own = _ROUTE.match(text.removeprefix(head)) if text.startswith(f"{head}/") else None
    if own is not None and not own["head"]:
        return head, unquote(own["path"] or own["listed"])
    other = _ROUTE.match(text)
    return other and (other["head"], unquote(other["path"] or other["listed"]))


def name_of(path: str) -> str:
    """Return the last name of a path; empty for the root."""
    return PurePosixPath(path).name


def parent_of(path: str) -> str:
    """Return the collection that a path is in."""
    return str(PurePosixPath(path).parent)


def join(collection: str, name: str) -> str:
    """Return the path of a name, which may hold slashes, in a collection."""
    return f"{collection.rstrip('/')}/{name}"


def is_inside(path: str, collection: str) -> bool:
    """Whether a path is a collection, or in it at any depth."""
    return path == collection or path.startswith(f"{collection.rstrip('/')}/")
