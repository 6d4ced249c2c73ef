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


def parse_inputs(requested: RequestedInputs, resolve_path: PathResolver) -> tuple[Input, ...]:
    """Parse the field `data` of a request.

    Parameters
    ----------
    requested
        One path, one a line, a JSON array of paths, or an array of paths and of objects
        ``{"path": …, "to": …}``. A path may end in ``:/where``.
    resolve_path
        Makes a path of the data root from a path or URL, given the parameter's name.

    Raises
    ------
    InvalidRequest
        If one is malformed, or two would go to the same place.
    """
    inputs = tuple(_parse_input(each, resolve_path) for each in _iter_requested(requested))
    by_target: dict[str, Input] = {}
    for each in inputs:
        other = by_target.setdefault(each.to, each)
        if other is not each:
            raise InvalidRequest(
                f"data: {other.path} and {each.path} would both be {each.to}. Say where one of "
                "them is to go: path:/where."
            )
    return inputs


def _iter_requested(requested: RequestedInputs) -> Iterable[str | dict[str, str]]:
    if requested is None:
        return ()
    if not isinstance(requested, str):
        return requested
    if not requested.lstrip().startswith("["):
        return [line for line in map(str.strip, requested.split("\n")) if line]
    try:
        return msgspec.json.decode(requested, type=tuple[str | dict[str, str], ...])
    except msgspec.DecodeError as exc:
        raise InvalidRequest(f"data: it is not a JSON array of paths ({exc}).") from exc


def _parse_input(requested: str | dict[str, str], resolve_path: PathResolver) -> Input:
    if isinstance(requested, str):
        path, to = split_target(requested)
    else:
        if unknown := requested.keys() - {"path", "to"}:
            raise InvalidRequest(f"data: {sorted(unknown)[0]!r} is not known; path and to are.")
        path, to = requested.get("path", ""), requested.get("to")
    if not path:
        raise InvalidRequest("data: a path is empty.")
    resolved = resolve_path(path, "data")
    return Input(path=resolved, to=_container_path(to, resolved))


def split_target(text: str) -> tuple[str, str | None]:
    """Split ``path:/where`` into both, at the last ``:/`` that begins no ``://``."""
    at = len(text)
    while (at := text.rfind(":/", 0, at)) >= 0:
        if not text.startswith("://", at):
            return text[:at], text[at + 1 :]
    return text, None


def format_input(item: Input) -> str:
    """Return an input as text, as a user would write it."""
    if item.to == _container_path(None, item.path) and split_target(item.path)[1] is None:
        return item.path
    return f"{item.path}:{item.to}"


def unparse_input(item: Input) -> str | Input:
    """Return an input so that `parse_inputs` gives the same again: as text, if that is possible."""
    text = format_input(item)
    again = (item.path, None if text == item.path else item.to)
    return text if split_target(text) == again else item


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


def parse_files(requested: Iterable[GivenFile], inputs: Iterable[Input]) -> tuple[SentFile, ...]:
    """Parse the field `files` of a request.

    Parameters
    ----------
    requested
        Each `to` is an absolute path, or a plain name in `SENT_FILES_FOLDER`.
    inputs
        What else goes into the container.

    Raises
    ------
    InvalidRequest
        If one is malformed, or two would go to the same place.
    """
    files = tuple(_parse_file(each) for each in requested)
    targets = {each.to for each in inputs}
    for each in files:
        if each.to in targets:
            raise InvalidRequest(f"files: two inputs would be {each.to}. Give each its own place.")
        targets.add(each.to)
    return files


def _parse_file(requested: GivenFile) -> SentFile:
    digest = check_digest(requested.sha256)
    name = name_of(requested.to)
    if requested.to in {name, f"{SENT_FILES_FOLDER}/{name}"} and name not in {"", ".", ".."}:
        # The folder is reserved, except for this.
        _container_path(f"/data/{name}", name, "files")
        return SentFile(sha256=digest, to=f"{SENT_FILES_FOLDER}/{name}")
    if requested.to.endswith("/"):
        raise InvalidRequest(
            f"files: {requested.to!r} is a folder. Say what the file is called there."
        )
    return SentFile(sha256=digest, to=_container_path(requested.to, name, "files"))


def check_digest(text: str) -> str:
    """Return a valid SHA-256 in hexadecimal, or raise `InvalidRequest`."""
    if _SHA256.fullmatch(text) is None:
        raise InvalidRequest(
            f"sha256: {text[:80]!r} is no SHA-256: 64 hexadecimal digits in lower case."
        )
    return text


def parse_output(requested: str | None, resolve_path: PathResolver) -> str | None:
    """Parse the field `output` of a request: the collection that results go to."""
    if requested is None or not requested.strip():
        return None
    path = resolve_path(requested, "output")
    if path == "/":
        raise InvalidRequest("output: results need a collection of their own, like /results/run-1.")
    return path
