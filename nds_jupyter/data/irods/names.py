"""Logical paths and URLs of them."""

from __future__ import annotations

from typing import Any

PROTOCOL = "irods"


def logical_path(text: str) -> str:
    """Return the logical path that a path or URL names, with one slash between its parts."""
    if text.startswith(f"{PROTOCOL}://"):
        _, _, text = text[len(PROTOCOL) + 3 :].partition("/")
    elif text.startswith(f"{PROTOCOL}:"):
        text = text[len(PROTOCOL) + 1 :]
    return "/" + "/".join(part for part in text.split("/") if part)


def authority(url: str) -> dict[str, Any]:
    """Return user, host and port that a URL names; question marks and the like are of the path."""
    if not url.startswith(f"{PROTOCOL}://"):
        return {}
    named = url[len(PROTOCOL) + 3 :].partition("/")[0]
    user, _, place = named.rpartition("@")
    host, _, port = place.partition(":")
    found = {"user": user, "host": host, "port": int(port) if port.isdigit() else None}
    return {name: value for name, value in found.items() if value}
