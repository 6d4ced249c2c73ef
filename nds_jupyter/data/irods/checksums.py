"""Checksums in iRODS's notation, computed while data streams."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable
from typing import Any

_SCHEMES: dict[str, Callable[[], Any]] = {
    "sha2": hashlib.sha256,
    "md5": lambda: hashlib.md5(usedforsecurity=False),
    "sha512": hashlib.sha512,
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
}

_lengths = {32: "md5"}


def scheme_of(checksum: str) -> str:
    """Return the scheme of a registered checksum; MD5 is written without its name."""
    name, colon, _ = checksum.partition(":")
    return name if colon else _lengths.get(len(checksum), "")


class Digest:
    """The checksum of what was fed to it, in the schemes that the zone may use.

    Parameters
    ----------
    schemes
        Names of schemes.
    """

    def __init__(self, schemes: tuple[str, ...]) -> None:
        self._hashes = {name: _SCHEMES[name]() for name in schemes}

    def update(self, data: bytes | memoryview) -> None:
        """Feed it."""
        for each in self._hashes.values():
            each.update(data)

    def matches(self, checksum: str) -> bool | None:
        """Compare with a registered checksum; None if its scheme was not computed."""
        made = self._hashes.get(scheme_of(checksum))
        return None if made is None else self.text(scheme_of(checksum)) == checksum

    def empty_copy(self) -> Digest:
        """Return one of the same schemes that has seen nothing."""
        return Digest(tuple(self._hashes))

    def equals(self, other: Digest) -> bool:
        """Compare with another of the same schemes."""
        return all(
            made.digest() == other._hashes[name].digest() for name, made in self._hashes.items()
        )

    def text(self, scheme: str) -> str:
        """Return the checksum as iRODS writes it."""
        made = self._hashes[scheme]
        if scheme == "md5":
            return str(made.hexdigest())
        return f"{scheme}:{base64.b64encode(made.digest()).decode()}"


class ChecksumSchemes:
    """Which schemes the zone was seen to use: all likely ones until the first checksum is seen."""

    LIKELY = ("sha2", "md5")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: tuple[str, ...] = ()

    def digest(self) -> Digest:
        """Return a digest for one object."""
        return Digest(self._seen or self.LIKELY)

    def add_scheme(self, checksum: str) -> None:
        """Remember the scheme of a checksum."""
        scheme = scheme_of(checksum)
        with self._lock:
            if scheme in _SCHEMES and scheme not in self._seen:
                self._seen = (*self._seen, scheme)
