"""Checksums in the notation of iRODS, computed while data is streamed."""

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

_SCHEME_BY_LENGTH = {32: "md5"}


def scheme_of(checksum: str) -> str:
    """Return the scheme of a registered checksum; MD5 is written without its name."""
    name, colon, _ = checksum.partition(":")
    return name if colon else _SCHEME_BY_LENGTH.get(len(checksum), "")


class Digest:
    """Incremental checksum of a stream in several schemes.

    Parameters
    ----------
    schemes
        Their names.
    """

    def __init__(self, schemes: tuple[str, ...]) -> None:
        self._hashes = {name: _SCHEMES[name]() for name in schemes}

    def update(self, data: bytes | memoryview) -> None:
        """Add data."""
        for each in self._hashes.values():
            each.update(data)

    def matches(self, checksum: str) -> bool | None:
        """Compare with a registered checksum; None if its scheme was not computed."""
        scheme = scheme_of(checksum)
        return self.text(scheme) == checksum if scheme in self._hashes else None

    def empty_copy(self) -> Digest:
        """Return a digest of the same schemes over no data."""
        return Digest(tuple(self._hashes))

    def equals(self, other: Digest) -> bool:
        """Compare with another of the same schemes."""
        return all(
            computed.digest() == other._hashes[name].digest()
            for name, computed in self._hashes.items()
        )

    def text(self, scheme: str) -> str:
        """Return the checksum as iRODS writes it."""
        computed = self._hashes[scheme]
        if scheme == "md5":
            return str(computed.hexdigest())
        return f"{scheme}:{base64.b64encode(computed.digest()).decode()}"


class ChecksumSchemes:
    """Registry of the schemes that the zone uses; the servers' default until one is seen.

    With a zone of another scheme the first object is read back, to compare what was stored.
    """

    DEFAULT = ("sha2",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: tuple[str, ...] = ()

    def digest(self) -> Digest:
        """Return a digest for one object."""
        return Digest(self._seen or self.DEFAULT)

    @property
    def preferred(self) -> str:
        """The scheme in which the zone is told a checksum."""
        return (self._seen or self.DEFAULT)[0]

    def add_scheme(self, checksum: str) -> None:
        """Register the scheme of a checksum that the zone gave."""
        scheme = scheme_of(checksum)
        with self._lock:
            if scheme in _SCHEMES and scheme not in self._seen:
                self._seen = (*self._seen, scheme)
