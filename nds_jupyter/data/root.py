"""From the URL of a data root to its backend."""

from __future__ import annotations

import os
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from nds_jupyter.data.backend import Backend
from nds_jupyter.data.folder import Folder
from nds_jupyter.errors import DataError

PROTOCOL = "irods"
IRODS = f"{PROTOCOL}://"
FOLDER = "nds-data"


def default_root(server_root: str) -> str:
    """Return the data root of a server that configures none.

    Parameters
    ----------
    server_root
        The Jupyter server's root folder.
    """
    named = os.environ.get("IRODS_ENVIRONMENT_FILE")
    environment = Path(named) if named else Path.home() / ".irods" / "irods_environment.json"
    return IRODS if environment.is_file() else str(Path(server_root, FOLDER))


def open_backend(url: str) -> Backend:
    """Return the backend of a URL; nothing talks to its server yet.

    Parameters
    ----------
    url
        Any that fsspec knows, or a path of this machine.
    """
    # One instance for all threads: fsspec would keep one for each, with connections of its own.
    try:
        fs, path = fsspec.core.url_to_fs(url, skip_instance_cache=True)
    except (ImportError, ValueError) as exc:
        # The jobs of a server must not suffer from a data root that can't be used.
        return Unusable(f"The data root {url.partition('?')[0]} can't be used: {exc}")
    if isinstance(fs, LocalFileSystem):
        return Folder(fs, path)
    if fs.protocol == PROTOCOL:
        from nds_jupyter.data.zone import ZoneRoot

        return ZoneRoot(fs, path)
    return Backend(fs, path)


class Unusable(Backend):
    """A data root that is configured wrongly: every use of it says so.

    Parameters
    ----------
    why
        A sentence.
    """

    def __init__(self, why: str) -> None:
        super().__init__(MemoryFileSystem(), "")
        self._why = why

    def full(self, path: str) -> str:
        """Say why there is no such path."""
        del path
        raise DataError(self._why)

    def prepare(self) -> None:
        """Make nothing."""

    def free(self) -> int | None:
        """Know nothing."""
        return None

    def version(self) -> str:
        """Say what is wrong."""
        raise DataError(self._why)
