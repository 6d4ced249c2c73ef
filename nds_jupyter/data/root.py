"""From the URL of a data root to its backend."""

from __future__ import annotations

import os
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem

from nds_jupyter.data.backend import Backend
from nds_jupyter.data.folder import Folder

IRODS = "irods://"
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
    fs, path = fsspec.core.url_to_fs(url, skip_instance_cache=True)
    if isinstance(fs, LocalFileSystem):
        return Folder(fs, path)
    return Backend(fs, path)
