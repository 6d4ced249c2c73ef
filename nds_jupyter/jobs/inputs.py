"""Inputs and outputs of a job: paths of the data root, and their paths in the container."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import msgspec

from nds_jupyter.errors import InvalidRequest
from nds_jupyter.jobs.job import Input, SentFile
from nds_jupyter.jobs.logical_paths import LONGEST_NAME, LONGEST_PATH, is_inside, join, name_of

DATA_FOLDER = "/data"
"""Folder in the container of inputs that name no path of their own."""

SENT_FILES_FOLDER = "/nds/in"
"""Folder in the container of files sent with a job that name no path of their own."""

_RESERVED_FOLDERS = ("/nds", "/proc", "/sys", "/dev")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class GivenFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that was sent, as a request names it; its `size` is not read."""

    sha256: str
    to: str
    size: int = 0


RequestedInputs = tuple[str | dict[str, str], ...] | str | None
PathResolver = Callable[[str, str], str]


def parse_inputs(given: RequestedInputs, logical: PathResolver) -> tuple[Input, ...]:
    """Parse the field `data` of a request.

    Parameters
    ----------
    given
        One path, one a line, a JSON array of paths, or an array of paths and of objects
        ``{"path": …, "to": …}``. A path may end in ``:/where``.
    logical
        Makes a path of the data root from a path or URL, given the parameter's name.

    Raises
    ------
    InvalidRequest
        If one is malformed, or two would go to the same place.
    """
    inputs = tuple(_parse_input(each, logical) for each in _iter_requested(given))
    by_target: dict[str, Input] = {}
    for each in inputs:
        other = by_target.setdefault(each.to, each)
        if other is not each:
            raise InvalidRequest(
                f"data: {other.path} and {each.path} would both be {each.to}. Say where one of "
                "them is to go: path:/where."
            )
    return inputs


def _iter_requested(given: RequestedInputs) -> Iterable[str | dict[str, str]]:
    if given is None:
        return ()
    if not isinstance(given, str):
        return given
    if not given.lstrip().startswith("["):
        return [line for line in map(str.strip, given.split("\n")) if line]
    try:
        return msgspec.json.decode(given, type=tuple[str | dict[str, str], ...])
    except msgspec.DecodeError as exc:
        raise InvalidRequest(f"data: it is not a JSON array of paths ({exc}).") from exc


def _parse_input(given: str | dict[str, str], logical: PathResolver) -> Input:
    if isinstance(given, str):
        path, to = split_target(given)
    else:
        if unknown := given.keys() - {"path", "to"}:
            raise InvalidRequest(f"data: {sorted(unknown)[0]!r} is not known; path and to are.")
        path, to = given.get("path", ""), given.get("to")
    if not path:
        raise InvalidRequest("data: a path is empty.")
    found = logical(path, "data")
    return Input(path=found, to=_container_path(to, found))


def split_target(text: str) -> tuple[str, str | None]:
    """Split ``path:/where`` into both, at the last ``:/`` that begins no ``://``."""
    at = len(text)
    while (at := text.rfind(":/", 0, at)) >= 0:
        if not text.startswith("://", at):
            return text[:at], text[at + 1 :]
    return text, None


def format_input(given: Input) -> str:
    """Return an input as text, as a user would write it."""
    if given.to == _container_path(None, given.path) and split_target(given.path)[1] is None:
        return given.path
    return f"{given.path}:{given.to}"


def unparse_input(given: Input) -> str | Input:
    """Return an input so that `parse_inputs` gives the same again: as text, if that is possible."""
    text = format_input(given)
    again = (given.path, None if text == given.path else given.to)
    return text if split_target(text) == again else given


def _container_path(to: str | None, path: str, field: str = "data") -> str:
    name = name_of(path)
    if to is None:
        return join(DATA_FOLDER, name).rstrip("/")
    if not to.startswith("/") or "\0" in to or ".." in to.split("/"):
        raise InvalidRequest(f"{field}: {to!r} is no absolute path in a container.")
    whole = f"{to}{name}" if to.endswith("/") else to
    parts = [part for part in whole.split("/") if part not in {"", "."}]
    target = "/" + "/".join(parts)
    try:
        fits = len(target.encode()) <= LONGEST_PATH
        fits = fits and all(len(part.encode()) <= LONGEST_NAME for part in parts)
    except UnicodeEncodeError:
        raise InvalidRequest(f"{field}: {to!r} is not UTF-8 text.") from None
    if not fits:
        raise InvalidRequest(f"{field}: {to[:60]}… is too long for a path in a container.")
    if not parts or any(is_inside(target, each) for each in _RESERVED_FOLDERS):
        raise InvalidRequest(
            f"{field}: {target} in the container is not for data. Use {DATA_FOLDER}."
        )
    return target


def parse_files(given: Iterable[GivenFile], inputs: Iterable[Input]) -> tuple[SentFile, ...]:
    """Parse the field `files` of a request.

    Parameters
    ----------
    given
        Each `to` is an absolute path, or a plain name in `SENT_FILES_FOLDER`.
    inputs
        What else goes into the container.

    Raises
    ------
    InvalidRequest
        If one is malformed, or two would go to the same place.
    """
    files = tuple(_parse_file(each) for each in given)
    taken = {each.to for each in inputs}
    for each in files:
        if each.to in taken:
            raise InvalidRequest(f"files: two inputs would be {each.to}. Give each its own place.")
        taken.add(each.to)
    return files


def _parse_file(given: GivenFile) -> SentFile:
    digest = check_digest(given.sha256)
    name = name_of(given.to)
    if given.to in {name, f"{SENT_FILES_FOLDER}/{name}"} and name not in {"", ".", ".."}:
        # The folder is reserved, except for this.
        _container_path(f"/data/{name}", name, "files")
        return SentFile(sha256=digest, to=f"{SENT_FILES_FOLDER}/{name}")
    if given.to.endswith("/"):
        raise InvalidRequest(f"files: {given.to!r} is a folder. Say what the file is called there.")
    return SentFile(sha256=digest, to=_container_path(given.to, name, "files"))


def check_digest(text: str) -> str:
    """Return a valid SHA-256 in hexadecimal, or raise `InvalidRequest`."""
    if _SHA256.fullmatch(text) is None:
        raise InvalidRequest(
            f"sha256: {text[:80]!r} is no SHA-256: 64 hexadecimal digits in lower case."
        )
    return text


def parse_output(given: str | None, logical: PathResolver) -> str | None:
    """Parse the field `output` of a request: the collection that results go to."""
    if given is None or not given.strip():
        return None
    path = logical(given, "output")
    if path == "/":
        raise InvalidRequest("output: results need a collection of their own, like /results/run-1.")
    return path
