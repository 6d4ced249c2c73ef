"""Open objects of one connection."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from tests.irods_zone.codes import CallError, Status

FIRST = 3


@dataclass(kw_only=True)
class Descriptor:
    """An object that is open: where its bytes are, and how it was asked for.

    Who only reads gets no further than to the size that the catalogue said (`readable`).
    """

    file: int
    path: str
    object_id: int
    number: int
    flags: int
    words: dict[str, str]
    declared_size: int
    readable: int | None = None
    writes: bool = False
    finalizes: bool = False
    checks_size: bool = False
    changed: bool = False
    previous_status: int = 1
    offset: int = 0
    token: str = ""
    vault_path: str = ""
    others: dict[int, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many bytes the file has now."""
        return os.fstat(self.file).st_size


class Descriptors:
    """The open objects of a connection by their numbers, of which the lowest free is given."""

    def __init__(self) -> None:
        self._open: dict[int, Descriptor] = {}

    def add(self, descriptor: Descriptor) -> int:
        """Give a number to an open object."""
        number = FIRST
        while number in self._open:
            number += 1
        self._open[number] = descriptor
        return number

    def get(self, number: int) -> Descriptor:
        """Find an open object."""
        if number not in self._open:
            raise CallError(Status.DESCRIPTOR_OUT_OF_RANGE)
        return self._open[number]

    def pop(self, number: int) -> Descriptor:
        """Take an open object out and close its file."""
        descriptor = self.get(number)
        del self._open[number]
        os.close(descriptor.file)
        return descriptor

    def numbers(self) -> list[int]:
        """Give the numbers of all that is open."""
        return list(self._open)
