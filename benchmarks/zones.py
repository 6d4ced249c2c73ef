"""The zone for tests in a process of its own, as a real server has one: no lock is shared."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irods.session import iRODSSession

from dev.engine import cache_folder
from dev.jupyter import temporary_folder
from nds_jupyter.data.irods import IrodsFileSystem


@contextlib.contextmanager
def zone_process(folder: Path, many: int) -> Iterator[Path]:
    """Run a zone with objects of 1 KiB in ``~/many``, and give its environment file."""
    command = [sys.executable, "-m", "tests.irods_zone", os.fspath(folder), f"--many={many}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            yield Path(child.stdout.readline().strip())
        finally:
            child.terminate()


@dataclass(frozen=True, kw_only=True)
class Clients:
    """The filesystem and the client's session on one zone, and a local folder."""

    fs: IrodsFileSystem
    session: Any
    folder: Path

    @property
    def home(self) -> str:
        """The account's home."""
        return self.fs.home


@contextlib.contextmanager
def clients(many: int = 0) -> Iterator[Clients]:
    """Run a zone, and connect to it by both ways."""
    with (
        temporary_folder(cache_folder()) as folder,
        zone_process(folder, many) as environment,
        iRODSSession(irods_env_file=os.fspath(environment)) as session,
        contextlib.closing(IrodsFileSystem(env_file=environment, skip_instance_cache=True)) as fs,
    ):
        yield Clients(fs=fs, session=session, folder=folder)
