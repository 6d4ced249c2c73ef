"""Unicode forms of names: ``ü`` is one character (NFC) or two (NFD), and looks the same.

iRODS and Linux keep both as two names; macOS writes the second form.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

FORMS = ("NFC", "NFD")


def has_other_form(path: str) -> bool:
    """Whether a path can be written in another form."""
    return not path.isascii() and any(_form(form, path) != path for form in FORMS)


def look_alike(path: str, other: str) -> bool:
    """Whether two paths are different, but look the same."""
    return path != other and _form("NFC", path) == _form("NFC", other)


def find_other_form(path: str, find: Callable[[str], T | None]) -> tuple[str, T] | None:
    """Find a path that is not there as it is written, each of its names in the other form.

    Parameters
    ----------
    find
        Returns what is at a path exactly as it is written, or None.

    Returns
    -------
    tuple or None
        The path that is there, and what is at it.
    """
    if not has_other_form(path):
        return None
    parent, _, name = path.rpartition("/")
    above = parent
    if has_other_form(parent) and find(parent) is None:
        if (found := find_other_form(parent, find)) is None:
            return None
        above, _ = found
    for each in dict.fromkeys((name, *(_form(form, name) for form in FORMS))):
        candidate = f"{above}/{each}"
        if candidate != path and (there := find(candidate)) is not None:
            return candidate, there
    return None


def _form(form: str, text: str) -> str:
    return unicodedata.normalize("NFC" if form == "NFC" else "NFD", text)
