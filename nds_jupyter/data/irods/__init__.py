"""An iRODS zone as a filesystem: `fsspec.filesystem("irods")`, `pandas.read_csv("irods:///…")`."""

from nds_jupyter.data.irods.config import Account, environment_file
from nds_jupyter.data.irods.exceptions import (
    AuthenticationFailed,
    ChecksumMismatch,
    ConfigurationError,
    ZoneUnavailable,
)
from nds_jupyter.data.irods.filesystem import IrodsFileSystem

__all__ = [
    "Account",
    "AuthenticationFailed",
    "ChecksumMismatch",
    "ConfigurationError",
    "IrodsFileSystem",
    "ZoneUnavailable",
    "environment_file",
]
