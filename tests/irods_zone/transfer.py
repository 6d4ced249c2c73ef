"""The bytes of objects between the socket and the vault."""

from __future__ import annotations

import os
from xml.etree.ElementTree import Element

from tests.irods_zone import closing, descriptor_calls
from tests.irods_zone.codes import CallError, Status
from tests.irods_zone.connection import ConnectionLost, MessageConnection
from tests.irods_zone.faults import Faults
from tests.irods_zone.handlers import Caller, Reply
from tests.irods_zone.packing import keywords, number


def read(
    caller: Caller, connection: MessageConnection, faults: Faults, body: Element
) -> Reply | None:
    """Send a piece of an open object; the reply is sent with it."""
    descriptor = caller.descriptors.get(number(body, "l1descInx"))
    end = descriptor.size
    if descriptor.readable is not None:
        end = min(end, descriptor.readable)
    left = max(0, end - descriptor.offset)
    size = min(number(body, "len"), left)
    delivered = faults.transferable(size)
    if not size:
        return Reply()
    connection.send_file(size, descriptor.file, descriptor.offset, size, delivered)
    if delivered < size:
        raise ConnectionLost("a fault drops the connection in the middle of a transfer")
    descriptor.offset += size
    return None


def write(
    caller: Caller, connection: MessageConnection, faults: Faults, size: int, body: Element
) -> Reply:
    """Take a piece of an open object."""
    try:
        descriptor = caller.descriptors.get(number(body, "l1descInx"))
        if not descriptor.writes:
            raise CallError(Status.DESCRIPTOR_OUT_OF_RANGE)
        faults.store(size)
    except CallError:
        connection.discard(size)
        raise
    delivered = faults.transferable(size)
    connection.receive_into(descriptor.file, descriptor.offset, delivered)
    descriptor.changed = True
    if delivered < size:
        raise ConnectionLost("a fault drops the connection in the middle of a transfer")
    descriptor.offset += size
    return Reply(status=size)


def receive(connection: MessageConnection, faults: Faults, size: int) -> bytes:
    """Take the bytes that a message brings along."""
    delivered = faults.transferable(size)
    content = connection.receive(delivered)
    if delivered < size:
        raise ConnectionLost("a fault drops the connection in the middle of a transfer")
    return content


def put(caller: Caller, faults: Faults, content: bytes, body: Element) -> Reply:
    """Write a whole object, whose content the message brought along."""
    if "dataIncluded" not in keywords(body):
        raise CallError(Status.INVALID_INPUT, "a put over connections of its own is not supported")
    patiently = caller.store.catalogue.transactions.patiently
    inx = patiently(lambda: descriptor_calls.open_for_put(caller, body))
    descriptor = caller.descriptors.get(inx)
    try:
        faults.store(len(content))
        os.pwrite(descriptor.file, content, 0)
    except CallError:
        patiently(lambda: closing.finalize(caller, inx, failed=True))
        raise
    patiently(lambda: closing.finalize(caller, inx))
    return Reply()
