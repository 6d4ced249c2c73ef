"""A journal whose server can be killed, and a log that keeps what the runner calls a defect."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from nds_jupyter.errors import StorageFull
from nds_jupyter.journal import Journal
from nds_jupyter.journal.journal import JournalThread


class CrashableJournal(JournalThread):
    """A journal that answers in the caller's turn, and no more once the server is dead."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._thread = ThreadPoolExecutor(1)
        self.full = False
        self.dead = False

    async def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(0)
        if self.dead:
            raise asyncio.CancelledError
        if self.full and function in {
            Journal.add_all,
            Journal.save,
            Journal.save_snapshot,
            Journal.delete,
        }:
            raise StorageFull("The record of jobs can't be written. Free space.")
        return function(self._journal, *args, **kwargs)


class Defects(logging.Handler):
    """Collects what the runner itself calls a defect."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.found.append(record)
