"""Calls on paths in a mounted folder: the server does them on its own files, without rows."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from xml.etree.ElementTree import Element

from tests.irods_zone import special_collections
from tests.irods_zone.codes import Api, CallError, Flag, Level, Status
from tests.irods_zone.descriptors import Descriptor
from tests.irods_zone.handlers import Caller, Handler, Reply
from tests.irods_zone.packing import keywords, pack


def handler(caller: Caller, api: int, body: Element) -> Handler | None:
    """Give what answers a call if its path leads into a mounted folder."""
    if api not in _HANDLERS or not caller.store.has_special_collections:
        return None
    paths = [each.text or "" for each in body.iter() if each.tag in ("objPath", "collName")]
    with caller.store.catalogue.change() as db:
        found = [special_collections.mounted(db, each) for each in paths]
        if not found or found[0] is None:
            return None
        if None in found:
            # A path leads out of the folder; a server moves nothing between two of them.
            raise CallError(Status.INVALID_INPUT)
        places = [
            special_collections.require(db, caller.who, each, Level.WRITE) for each in found if each
        ]
    return lambda _, body: _answer(_HANDLERS[api], places, body)


def open_file(caller: Caller, path: str, flags: int, words: dict[str, str]) -> int | None:
    """Open a file in a mounted folder and give its number; None where the path is no such one."""
    if not caller.store.has_special_collections:
        return None
    writes = bool(flags & (Flag.WRITE | Flag.READ_WRITE))
    with caller.store.catalogue.change() as db:
        found = special_collections.mounted(db, path)
        if found is None:
            return None
        wanted = Level.WRITE if writes else Level.READ
        place = special_collections.require(db, caller.who, found, wanted)
    mode = os.O_RDWR if writes else os.O_RDONLY
    for flag, meant in ((Flag.CREATE, os.O_CREAT), (Flag.TRUNCATE, os.O_TRUNC)):
        mode |= meant if flags & flag and writes else 0
    try:
        file = os.open(place, mode, 0o600)
    except OSError as error:
        raise CallError(Status.NO_SUCH_PATH) from error
    opened = Descriptor(
        file=file,
        path=path,
        object_id=found.collection["id"],
        number=0,
        flags=flags,
        words=dict(words),
        declared_size=-1,
        writes=writes,
    )
    return caller.descriptors.add(opened)


def _answer(
    act: Callable[[list[Path], dict[str, str]], str], places: list[Path], body: Element
) -> Reply:
    try:
        return Reply(body=act(places, keywords(body)))
    except FileNotFoundError as error:
        raise CallError(Status.NO_ROWS) from error
    except FileExistsError as error:
        raise CallError(Status.ALREADY_EXISTS) from error
    except OSError as error:
        raise CallError(Status.COLLECTION_NOT_EMPTY) from error


def _unlink(places: list[Path], _: dict[str, str]) -> str:
    places[0].unlink()
    return ""


def _rename(places: list[Path], _: dict[str, str]) -> str:
    source, target = places
    if target.exists():
        raise FileExistsError
    source.rename(target)
    return ""


def _create(places: list[Path], words: dict[str, str]) -> str:
    recursive = "recursiveOpr" in words
    places[0].mkdir(parents=recursive, exist_ok=recursive)
    return ""


def _remove(places: list[Path], words: dict[str, str]) -> str:
    if "recursiveOpr" in words:
        shutil.rmtree(places[0])
    else:
        places[0].rmdir()
    counts = {"filesCnt": 0, "totalFileCnt": 0, "bytesWritten": 0}
    return pack("CollOprStat_PI", **counts, lastObjPath="")


_HANDLERS: dict[int, Callable[[list[Path], dict[str, str]], str]] = {
    Api.UNLINK: _unlink,
    Api.RENAME: _rename,
    Api.CREATE_COLLECTION: _create,
    Api.REMOVE_COLLECTION: _remove,
}
