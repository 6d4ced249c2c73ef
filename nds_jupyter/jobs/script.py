"""The script of a job: its digest, its path in the container, its interpreter, its command."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from pathlib import PurePosixPath

from nds_jupyter.jobs.job import JobSpec

INTERPRETERS: dict[str, tuple[str, ...]] = {
    ".py": ("python3", "python"),
    ".pyz": ("python3", "python"),
    ".sh": ("sh",),
    ".R": ("Rscript",),
    ".r": ("Rscript",),
    ".jl": ("julia",),
}
"""Interpreters of a script without a shebang, by its suffix, in the order of preference."""


def inspect_script(script: bytes) -> tuple[str, bool]:
    """Return a script's SHA-256 in hexadecimal, and whether it begins with ``#!``."""
    return hashlib.sha256(script).hexdigest(), script.startswith(b"#!")


def script_path(spec: JobSpec) -> str:
    """Return the path of the script in the container."""
    return f"/nds/{spec.scriptname}"


def interpreter_candidates(spec: JobSpec) -> tuple[str, ...]:
    """Return the programs that could run the script; empty if nothing needs to be looked up."""
    if spec.command is not None or spec.script_shebang:
        return ()
    return INTERPRETERS.get(PurePosixPath(spec.scriptname).suffix, ())


def missing_program_message(spec: JobSpec, first_line: str = "") -> str:
    """Return the message of a job whose image lacks the program that should run its script.

    Parameters
    ----------
    first_line
        First line of the script; it matters where that is a shebang.
    """
    if spec.command is not None:
        return (
            f"The image {spec.image} has no program {spec.command[0]}. Choose an image that has "
            "it, or correct the command."
        )
    if spec.script_shebang and first_line.endswith("\r"):
        return (
            f"The first line of {spec.scriptname} ends with a carriage return, as on Windows, so "
            "that no program is found for it. Save the script with the line ends of Unix."
        )
    if spec.script_shebang:
        return (
            f"The image {spec.image} has no program for the first line of {spec.scriptname}, "
            f"{first_line}. Choose an image that has it, or change that line."
        )
    return (
        f"The image {spec.image} has no {' or '.join(interpreter_candidates(spec))} to run "
        f"{spec.scriptname} with. Choose another image, begin the script with #!, or give a "
        "command."
    )


def build_command(spec: JobSpec, interpreter: str | None) -> tuple[str, ...]:
    """Return the command of the container.

    Parameters
    ----------
    spec
        The job.
    interpreter
        The one of `interpreter_candidates` that the image has; None where there are none.
    """
    if spec.command is not None:
        return spec.command
    head = (interpreter,) if interpreter else ()
    return (*head, script_path(spec), *spec.args)


CELL_ARCHIVE_NAME = "cell.pyz"
"""Script name of a cell that is sent with its values, as a Python zip archive."""

CELL_MEMBER = "cell.py"

LONGEST_CELL = 4 * 2**20
"""Bytes of a cell; an archive that claims to hold a longer one is shown as it is."""


def extract_cell(script: bytes) -> bytes | None:
    """Return the source of the cell in a script; None if the script is no cell archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(script)) as archive:
            if archive.getinfo(CELL_MEMBER).file_size > LONGEST_CELL:
                return None
            with archive.open(CELL_MEMBER) as file:
                return file.read(LONGEST_CELL)
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
