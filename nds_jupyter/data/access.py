"""How the parts of a data root reach its filesystem: by logical paths, in threads, in time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from nds_jupyter.data.backend import Backend
from nds_jupyter.data.calls import Calls
from nds_jupyter.data.drafts import Drafts, Memory, Record
from nds_jupyter.data.entries import Entry
from nds_jupyter.datapaths import name_of
from nds_jupyter.errors import PathNotFound

T = TypeVar("T")

SLOWEST = 5 * 2**20
"""Bytes a second at which a whole object is read, checked or finished at the worst."""


class Access:
    """One data root's filesystem, and the threads that talk to it.

    Parameters
    ----------
    backend
        The filesystem, and the folder in it.
    threads
        Calls at one time.
    deadline
        Seconds for a call.
    retries
        How often a dropped connection is taken up again in one read.
    record
        Remembers what is being written; None: as long as this lives.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        threads: int = 8,
        deadline: float = 30.0,
        retries: int = 3,
        record: Record | None = None,
    ) -> None:
        self.backend = backend
        self.calls = Calls(threads, deadline, backend.foreign)
        self.deadline = deadline
        self.retries = retries
        self.drafts = Drafts(self, record or Memory())

    async def do(self, path: str, call: Callable[[str], T], size: int = 0) -> T:
        """Call something with the filesystem's path of a path of the root.

        Parameters
        ----------
        size
            Bytes that the call moves or reads, for which it is given time.
        """
        deadline = self.deadline + size / SLOWEST
        return await self.calls.do(path, lambda: call(self.backend.full(path)), deadline)

    async def entry(self, path: str) -> Entry:
        """Describe one path."""
        found = await self.do(path, self.backend.entry)
        return msgspec.structs.replace(found, path=path, name=name_of(path))

    async def find(self, path: str) -> Entry | None:
        """Describe one path; None if there is nothing."""
        try:
            return await self.entry(path)
        except PathNotFound:
            return None
