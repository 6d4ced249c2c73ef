"""The bytes of objects between the socket and the vault."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from tests.irods_zone.codes import CallError, Status
from tests.irods_zone.connection import ConnectionLost, MessageConnection
from tests.irods_zone.faults import Faults
from tests.irods_zone.handlers import Caller, Reply
from tests.irods_zone.packing import number


def read(
    caller: Caller, connection: MessageConnection, faults: Faults, body: Element
) -> Reply | None:
    """Send a piece of an open object; the reply is sent with it."""
    descriptor = caller.descriptors.get(number(body, "l1descInx"))
    left = max(0, descriptor.size - descriptor.offset)
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
