"""Faults on demand: connections that drop, stall or slow down, and a server that refuses them."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.irods_zone.codes import Api, CallError, Status
from tests.irods_zone.connection import ConnectionLost

STALL_LIMIT = 600.0
TRANSFERS = (Api.READ, Api.WRITE)


@dataclass(kw_only=True)
class Rule:
    """One fault: what happens at the nth call of a kind, and how often."""

    api: int | None
    nth: int
    times: int
    act: Callable[[], None]
    seen: int = 0

    def meets(self, api: int) -> bool:
        """Count a call, and tell whether the fault strikes now."""
        if self.api is not None and api != self.api:
            return False
        self.seen += 1
        return self.nth <= self.seen < self.nth + self.times


@dataclass(kw_only=True)
class Faults:
    """The faults of a zone; `clear` ends all of them."""

    version: tuple[int, int, int] = (5, 0, 2)
    genquery2: bool = True
    refusing: bool = False
    space: int | None = None
    bytes_left: int | None = None
    drop_all: Callable[[], None] = field(default=lambda: None)
    stalled: int = 0
    calls: list[int] = field(default_factory=list)
    _rules: list[Rule] = field(default_factory=list)
    _released: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def clear(self) -> None:
        """End every fault; what stalls goes on."""
        with self._lock:
            self._rules.clear()
            self._released.set()
            self._released = threading.Event()
            self.version, self.genquery2, self.refusing = (5, 0, 2), True, False
            self.space = self.bytes_left = None
            self.calls.clear()

    def drop(self, api: int | None = None, *, nth: int = 1, times: int = 1) -> None:
        """Close the connection instead of answering the nth call (of a kind) from now on."""
        self._add(api, nth, times, _drop)

    def drop_after(self, size: int) -> None:
        """Close a connection in the middle of a transfer, once, after this many bytes of objects.

        A client that reads into a buffer of its own (`open(...).read()`, `get`) then never
        returns: `_recv_message_into` of python-irodsclient 3.3 takes the end of the connection
        for an empty piece and asks again, as its issue #352 says of the function beside it.
        `conn.read_file(desc, size)` without a buffer raises.
        """
        self.bytes_left = size

    def drop_now(self) -> None:
        """Close every connection."""
        self.drop_all()

    def stall(self, api: int | None = None, *, nth: int = 1, times: int = 1) -> None:
        """Let the nth call (of a kind) wait for `clear`."""
        released = self._released
        self._add(api, nth, times, lambda: self._wait(released))

    def slow(self, seconds: float, api: int | None = None) -> None:
        """Answer calls (of a kind) late."""
        released = self._released
        self._add(api, 1, 10**9, lambda: _pause(released, seconds))

    def fail(self, status: int, api: int | None = None, *, nth: int = 1, times: int = 1) -> None:
        """Answer the nth call (of a kind) with a status."""

        def act() -> None:
            raise CallError(status)

        self._add(api, nth, times, act)

    def fill(self, room: int = 0) -> None:
        """Leave room for this many bytes; then the disk of the resource is full."""
        self.space = room

    def refuse(self) -> None:
        """Refuse new connections until `accept` or `clear`."""
        self.refusing = True

    def accept(self) -> None:
        """Accept new connections again."""
        self.refusing = False

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """Refuse new connections for a while, as a server does that reads its configuration."""
        self.refuse()
        try:
            yield
        finally:
            self.accept()

    def before(self, api: int) -> None:
        """Let a call meet its faults before it is answered."""
        with self._lock:
            self.calls.append(api)
            acts = [rule.act for rule in self._rules if rule.meets(api)]
        for act in acts:
            act()

    def between(self, step: int) -> None:
        """Let a call meet the faults between two of its steps (see `Between`)."""
        with self._lock:
            acts = [rule.act for rule in self._rules if rule.api == step and rule.meets(step)]
        for act in acts:
            act()

    def transferable(self, size: int) -> int:
        """Give how many of the bytes of an object pass before the connection drops."""
        with self._lock:
            if self.bytes_left is None:
                return size
            delivered = min(size, self.bytes_left)
            self.bytes_left = self.bytes_left - delivered if delivered == size else None
            return delivered

    def store(self, size: int) -> None:
        """Take room on the resource's disk, or refuse as a full one does."""
        with self._lock:
            if self.space is None:
                return
            if size > self.space:
                raise CallError(Status.WRITE_ERROR - errno.ENOSPC)
            self.space -= size

    def _wait(self, released: threading.Event) -> None:
        with self._lock:
            self.stalled += 1
        released.wait(STALL_LIMIT)
        with self._lock:
            self.stalled -= 1

    def _add(self, api: int | None, nth: int, times: int, act: Callable[[], None]) -> None:
        with self._lock:
            self._rules.append(Rule(api=api, nth=nth, times=times, act=act))


def _drop() -> None:
    raise ConnectionLost("a fault drops the connection")


def _pause(released: threading.Event, seconds: float) -> None:
    released.wait(seconds)
