"""Calls that copy the content of objects on the server."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path
from xml.etree.ElementTree import Element

from tests.irods_zone import closing, hierarchy, objects, opening, vault
from tests.irods_zone.catalogue import now
from tests.irods_zone.codes import CallError, Flag, Level, Replica, Status
from tests.irods_zone.handlers import Caller, Reply
from tests.irods_zone.packing import keywords, pack, text
from tests.irods_zone.store import DOWN

PIECE = 1 << 20
NO_RESOURCE = (
    "SYS_RESC_DOES_NOT_EXIST: [-]\t/source/irods/server/core/src/irods_resource_manager.cpp:81:"
    "error irods::resource_manager::resolve(std::string, resource_ptr &) :  status"
    " [SYS_RESC_DOES_NOT_EXIST]  errno [] -- message [no resource found for name [{name}]]\n\n\n\n"
)


def copy(caller: Caller, body: Element) -> Reply:
    """Copy an object; one that is there is written over in its place, under the server's lock."""
    source_input, target_input = body.findall("DataObjInp_PI")
    source, target = text(source_input, "objPath"), text(target_input, "objPath")
    words = keywords(target_input)
    objects.check_path(caller.store, target)
    if source == target:
        raise CallError(Status.SAME_SOURCE_AND_TARGET)
    patiently = caller.store.catalogue.transactions.patiently
    reading = patiently(
        lambda: opening.open_path(caller, source, Flag.READ, keywords(source_input))
    )
    try:
        with caller.store.catalogue.change() as db:
            if objects.replicas(db, target) and "forceFlag" not in words:
                raise CallError(Status.OVERWRITE_WITHOUT_FORCE)
        writing = patiently(lambda: opening.open_path(caller, target, opening.OVERWRITING, words))
        size = _copy_bytes(caller, reading, writing)
    finally:
        closing.finalize(caller, reading)
    return Reply(body=pack("TransferStat_PI", numThreads=0, flags=0, bytesWritten=size))


def _copy_bytes(caller: Caller, reading: int, writing: int) -> int:
    source, target = caller.descriptors.get(reading), caller.descriptors.get(writing)
    size, limit = source.size, caller.store.copy_limit
    is_full = limit is not None and size > limit
    wanted, done = size // 2 if is_full else size, 0
    while done < wanted:
        done += os.pwrite(target.file, os.pread(source.file, min(PIECE, wanted - done), done), done)
    patiently = caller.store.catalogue.transactions.patiently
    patiently(lambda: closing.finalize(caller, writing, failed=is_full))
    if is_full:
        raise CallError(Status.WRITE_ERROR - errno.ENOSPC)
    return size


def replicate(caller: Caller, body: Element) -> Reply:
    """Copy an object to another resource."""
    words = keywords(body)
    if {"updateRepl", "all", "destRescName"} <= words.keys():
        raise CallError(Status.INCOMPATIBLE_PARAMETERS)
    with caller.store.catalogue.change() as db:
        rows = objects.require(db, caller.who, text(body, "objPath"), Level.READ)
        if caller.who.name in caller.store.over_quota:
            raise CallError(
                Status.QUOTA_EXCEEDED, "SYS_RESC_QUOTA_EXCEEDED: resource quota exceeded\n\n"
            )
        resource = _resource(db, words)
        sources = hierarchy.accessible(rows)
        if not sources:
            why = "HIERARCHY_ERROR: no valid resource found for data object\n\n"
            raise CallError(Status.HIERARCHY_ERROR, why)
        source, register = sources[0], bool(sources[0]["checksum"])
        if "updateRepl" in words:
            for row in rows:
                if row["status"] != Replica.GOOD:
                    _fill(caller, db, source, row, register=register)
            return Reply()
        if resource["status"] == DOWN:
            raise CallError(Status.REPLICA_INACCESSIBLE, _inaccessible(resource, source))
        there = [row for row in rows if row["resource"] == resource["name"]]
        if not there or there[0]["status"] != Replica.GOOD:
            made = there[0] if there else objects.insert_replica(caller.store, db, source, resource)
            _fill(caller, db, source, made, register=register)
    sent = {"numThreads": 0, "flags": 0, "bytesWritten": source["size"]}
    return Reply(body=pack("TransferStat_PI", **sent))


def _resource(db: sqlite3.Connection, words: dict[str, str]) -> sqlite3.Row:
    try:
        return objects.find_resource(db, words)
    except CallError as error:
        raise CallError(
            error.status, NO_RESOURCE.format(name=words.get("destRescName", ""))
        ) from error


def _inaccessible(resource: sqlite3.Row, source: sqlite3.Row) -> str:
    return (
        "SYS_REPLICA_INACCESSIBLE: hierarchy descending from specified destination resource name"
        f" [{resource['name']}] does not have a replica or the replica is inaccessible at this"
        f" time; resolved hierarchy:[{source['resource']}]\n\n"
    )


def _fill(
    caller: Caller,
    db: sqlite3.Connection,
    source: sqlite3.Row,
    made: sqlite3.Row,
    *,
    register: bool,
) -> None:
    file = vault.own_file(caller.store, db, made)
    vault.copy(source["path"], file)
    found = objects.checksum(file) if register else ""
    db.execute(
        "UPDATE replicas SET status = 1, size = ?, checksum = ?, path = ?, mtime = ?"
        " WHERE id = ? AND number = ?",
        (Path(file).stat().st_size, found, file, now(), made["id"], made["number"]),
    )
