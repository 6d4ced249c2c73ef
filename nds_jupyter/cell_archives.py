"""The text of a cell that travels in an archive with its values. Pure."""

from __future__ import annotations

import io
import zipfile
import zlib

NAME = "cell.pyz"
"""The name of such an archive as a script."""

MEMBER = "cell.py"

LONGEST = 4 * 2**20
"""Bytes of a cell; an archive that claims to hold a longer one is shown as it is."""


def cell_of(script: bytes) -> bytes | None:
    """Return the cell in an archive; None if the script is no such archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(script)) as archive:
            if archive.getinfo(MEMBER).file_size > LONGEST:
                return None
            with archive.open(MEMBER) as file:
                return file.read(LONGEST)
    except (
        zipfile.BadZipFile,
        zlib.error,
        LookupError,
        RuntimeError,
        OSError,
        EOFError,
        ValueError,
    ):
        return None
