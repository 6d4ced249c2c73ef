"""Conditional requests: entity tags and the conditions that name them (RFC 9110, 8.8 and 13)."""

from __future__ import annotations

import hashlib
import re

from nds_jupyter.data.entries import Entry
from nds_jupyter.errors import PreconditionFailed

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


def entity_tag(entry: Entry) -> str:
    """Return a tag that changes whenever the content does: from its checksum where there is one."""
    if entry.checksum:
        return f'"{entry.checksum}"'
    facts = f"{entry.stamp} {entry.size} {entry.modified}"
    return f'"{hashlib.sha256(facts.encode()).hexdigest()[:32]}"'


def names(header: str, tag: str | None) -> bool:
    """Whether a header, ``*`` or a list of tags, names the version that is there.

    Parameters
    ----------
    tag
        None if nothing is there.
    """
    if header.strip() == "*":
        return tag is not None
    return tag is not None and tag in {each.removeprefix("W/") for each in _TAG.findall(header)}


def expect(if_match: str | None, if_none_match: str | None, tag: str | None, path: str) -> None:
    """Hold a request that changes something to its conditions.

    Raises
    ------
    PreconditionFailed
        If it is meant for another version than the one that is there.
    """
    if if_match is not None and not names(if_match, tag):
        what = "has changed" if tag else "does not exist"
        raise PreconditionFailed(f"If-Match: {path} {what}. Look at it again.")
    if if_none_match is not None and names(if_none_match, tag):
        raise PreconditionFailed(f"If-None-Match: {path} exists already.")
