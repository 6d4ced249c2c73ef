"""Zone to measure on: the real one of `NDS_TEST_IRODS_ENV`, else the double in its own process.

A process of its own shares no lock with its clients, as a real server does not: the ratios tell.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ibridges import Session as IBridges
from irods.password_obfuscation import encode
from irods.session import iRODSSession

from dev.engine import cache_folder
from dev.jupyter import temporary_folder
from nds_jupyter.data.irods import IrodsFileSystem

MANY_SIZE = 1024
"""Bytes of each object of the collection ``many``."""


@dataclass(frozen=True, kw_only=True)
class Clients:
    """The filesystem and its rivals on one zone, and a local folder.

    Parameters
    ----------
    environment
        Path of an ``irods_environment.json``, with ``.irodsA`` beside it.
    home
        A collection for this measurement alone; it is removed at the end.
    """

    fs: IrodsFileSystem
    session: Any
    ibridges: Any
    environment: Path
    home: str
    folder: Path


@contextlib.contextmanager
def clients(many: int = 0) -> Iterator[Clients]:
    """Connect to the zone by all ways.

    Parameters
    ----------
    many
        Objects in the collection ``many`` below the home.
    """
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(temporary_folder(cache_folder()))
        environment = stack.enter_context(_zone(folder))
        session = stack.enter_context(iRODSSession(irods_env_file=os.fspath(environment)))
        session.connection_timeout = 600
        fs = IrodsFileSystem(env_file=environment, skip_instance_cache=True)
        stack.callback(fs.close)
        home = f"{fs.home}/measured-{secrets.token_hex(4)}"
        fs.mkdir(home)
        stack.callback(lambda: fs.rm(home, recursive=True, trash=False))
        settings = json.loads(environment.read_text())
        ibridges = IBridges(settings, password=fs.account.password, irods_home=fs.home)
        stack.callback(ibridges.close)
        if many:
            _fill(fs, folder, f"{home}/many", many)
        yield Clients(
            fs=fs,
            session=session,
            ibridges=ibridges,
            environment=environment,
            home=home,
            folder=folder,
        )


@contextlib.contextmanager
def _zone(folder: Path) -> Iterator[Path]:
    """Give the environment file of a zone."""
    if named := os.environ.get("NDS_TEST_IRODS_ENV"):
        yield _with_password_file(Path(named), folder)
        return
    command = [sys.executable, "-m", "tests.irods_zone", os.fspath(folder / "zone")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            yield Path(child.stdout.readline().strip())
        finally:
            child.terminate()


def _with_password_file(named: Path, folder: Path) -> Path:
    """Write the environment of the real zone anew, with its password where `iinit` puts it."""
    secret = folder / ".irodsA"
    secret.write_text(encode(os.environ["NDS_TEST_IRODS_PASSWORD"], uid=os.getuid()))
    secret.chmod(0o600)
    settings = json.loads(named.read_text())
    environment = folder / "irods_environment.json"
    environment.write_text(json.dumps(settings | {"irods_authentication_file": os.fspath(secret)}))
    return environment


def _fill(fs: IrodsFileSystem, folder: Path, collection: str, number: int) -> None:
    source = folder / "many"
    source.mkdir()
    for index in range(number):
        (source / f"object-{index:06d}").write_bytes(os.urandom(MANY_SIZE))
    fs.put(os.fspath(source), collection, recursive=True)
