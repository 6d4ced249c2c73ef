"""Record of partial writes to the data root, in the journal."""

from __future__ import annotations

import hashlib

import msgspec

from nds_jupyter.data.partial_writes import PartialWrite
from nds_jupyter.journal.journal import Journal, JournalThread


class JournaledPartialWrites:
    """Remembers drafts beyond the life of a process.

    Parameters
    ----------
    journal
        Owned by this process alone: what it has from before belongs to nobody that lives.
    url
        The data root's; what was written in another one is left to the server that has that.
    """

    def __init__(self, journal: JournalThread, url: str) -> None:
        self._journal = journal
        # A URL may hold a password.
        self._root = hashlib.sha256(url.encode()).hexdigest()

    async def add(self, draft: PartialWrite) -> None:
        """Remember one, in the place of another of its path."""
        body = msgspec.json.encode(draft)
        await self._journal.do(Journal.add_draft, self._root, draft.path, body)

    async def remove(self, path: str) -> None:
        """Forget one."""
        await self._journal.do(Journal.remove_draft, self._root, path)

    async def drafts(self) -> list[PartialWrite]:
        """Return all of them."""
        bodies = await self._journal.do(Journal.drafts, self._root)
        return [msgspec.json.decode(body, type=PartialWrite) for body in bodies]
