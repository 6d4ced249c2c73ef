"""Image references: name, tag and digest. Pure."""

from __future__ import annotations

import re

from nds_jupyter.errors import InvalidRequest

_NAME = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_DOMAIN = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]+)?"
_REFERENCE = re.compile(
    rf"(?P<name>(?:{_DOMAIN}/)?{_NAME}(?:/{_NAME})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
"""The grammar of image references in the Docker distribution project, SHA-256 digests only."""


def image_reference(name: str, tag: str | None = None) -> str:
    """Return the full reference of an image.

    Parameters
    ----------
    name
        May carry a tag, a digest, a registry with port; then `tag` must be absent.
    tag
        ``latest`` where neither gives one.

    Raises
    ------
    InvalidRequest
        If the result is no image reference, or the tag is given twice.
    """
    match = _REFERENCE.fullmatch(name)
    if match is None:
        raise InvalidRequest(f"image_name: {name!r} is not the name of an image.")
    if tag is None:
        return name if match["tag"] or match["digest"] else f"{name}:latest"
    if match["tag"] or match["digest"]:
        raise InvalidRequest(
            f"image_tag: leave it out, since image_name {name!r} has a tag or digest already."
        )
    if _REFERENCE.fullmatch(f"{name}:{tag}") is None:
        raise InvalidRequest(f"image_tag: {tag!r} is not a tag.")
    return f"{name}:{tag}"
