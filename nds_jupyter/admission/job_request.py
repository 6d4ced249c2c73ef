"""Request for a job, and the checks of its single fields. Pure."""

from __future__ import annotations

import re

import msgspec

from nds_jupyter.errors import InvalidRequest
from nds_jupyter.jobs.inputs import GivenFile
from nds_jupyter.jobs.job import Network
from nds_jupyter.jobs.parameter_sweep import Sweep

_ENV_NAME = re.compile(r"[^=\0]+")


class JobRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields of `POST /upload`, decoded but not judged.

    Parameters
    ----------
    script, file
        The script as text, or as bytes (base64 in JSON, an uploaded file in a form).
    memory
        ``512m``, ``2g``, or bytes.
    timeout
        Seconds.
    requirements
        Packages for pip, or the text of a file of them, to be built on top of the image.
    dockerfile
        The text of one, to be built instead; without a FROM it begins from the image.
    retries
        How often the script may be run again when nobody knows how it ended.
    files
        What was sent before by ``PUT /files/{sha256}``; sizes are not read.
    """

    script: str | None = None
    file: bytes | None = None
    scriptname: str | None = None
    image_name: str | None = None
    image_tag: str | None = None
    requirements: tuple[str, ...] | str | None = None
    dockerfile: str | None = None
    data: tuple[str | dict[str, str], ...] | str | None = None
    output: str | None = None
    overwrite: bool = False
    output_on_failure: bool = False
    name: str = ""
    command: tuple[str, ...] | None = None
    args: tuple[str, ...] = ()
    env: dict[str, str] = msgspec.field(default_factory=dict)
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    cpus: float | None = None
    memory: str | int | None = None
    timeout: float | None = None
    network: Network | None = None
    constraint: tuple[str, ...] | str | None = None
    gpus: int = 0
    retries: int = 0
    sweep: Sweep | None = None
    max_concurrent: int | None = None
    files: tuple[GivenFile, ...] = ()


def checked_scriptname(request: JobRequest) -> str:
    """Return the script's file name; `InvalidRequest` if it is not a valid one."""
    name = "script.py" if request.scriptname is None else request.scriptname
    bad = "/" in name or name in {"", ".", ".."} or any(ord(char) < 32 for char in name)
    if bad or len(name.encode()) > 255:
        raise InvalidRequest(
            f"scriptname: {name!r} is not a file name. Use a plain one, at most 255 bytes."
        )
    return name


def checked_command(request: JobRequest) -> tuple[str, ...] | None:
    """Return the command; `InvalidRequest` if it is empty, or `args` are given, too."""
    if request.command is None:
        return None
    if not request.command or not request.command[0]:
        raise InvalidRequest("command: it is empty. Give the program and its arguments.")
    if request.args:
        raise InvalidRequest("args: put them into command, which replaces the whole call.")
    return without_nul("command", request.command)


def without_nul(field: str, values: tuple[str, ...]) -> tuple[str, ...]:
    """Return arguments of a program; `InvalidRequest` if one holds a NUL."""
    if any("\0" in value for value in values):
        raise InvalidRequest(f"{field}: it holds a NUL character, which no program can be given.")
    return values


def checked_name(name: str) -> str:
    """Return a job's name; `InvalidRequest` if it is too long, or has several lines."""
    if len(name) > 200 or any(ord(char) < 32 for char in name):
        raise InvalidRequest("name: use at most 200 characters, on one line.")
    return name


def checked_env(env: dict[str, str]) -> dict[str, str]:
    """Return variables; `InvalidRequest` if one can't be set."""
    for name, value in env.items():
        if _ENV_NAME.fullmatch(name) is None or "\0" in value:
            raise InvalidRequest(f"env: {name!r} is not a variable that can be set.")
    return env


def checked_labels(labels: dict[str, str]) -> dict[str, str]:
    """Return labels; `InvalidRequest` if one is the server's own or malformed."""
    for name in labels:
        if not name or name.startswith("nds.") or "\0" in name or "=" in name:
            raise InvalidRequest(f"labels: {name!r} can't be set; nds. belongs to this server.")
    return labels
