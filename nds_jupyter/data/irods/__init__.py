"""An iRODS zone as a filesystem: `fsspec.filesystem("irods")`, `pandas.read_csv("irods:///…")`."""

from nds_jupyter.data.irods.config import Account, environment_file
from nds_jupyter.data.irods.exceptions import (
    AuthenticationFailed,
    ChecksumMismatch,
    ConfigurationError,
    ContentMissing,
    ZoneUnavailable,
)
from nds_jupyter.data.irods.filesystem import IrodsFileSystem
from nds_jupyter.data.irods.replacement import ReplacementIncomplete

__all__ = [
    "Account",
    "AuthenticationFailed",
    "ChecksumMismatch",
    "ConfigurationError",
    "ContentMissing",
    "IrodsFileSystem",
    "ReplacementIncomplete",
    "ZoneUnavailable",
    "environment_file",
]
