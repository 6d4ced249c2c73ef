"""The bytes of objects between the socket and the vault."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from tests.irods_zone.calls import Caller, Reply
from tests.irods_zone.codes import Refused, Status
from tests.irods_zone.faults import Faults
from tests.irods_zone.packing import number
from tests.irods_zone.wire import Gone, Wire


def read(caller: Caller, wire: Wire, faults: Faults, body: Element) -> Reply | None:
    """Send a piece of an open object; the reply is sent with it."""
    descriptor = caller.descriptors.get(number(body, "l1descInx"))
    left = max(0, descriptor.size - descriptor.offset)
    size = min(number(body, "len"), left)
    passed = faults.transferable(size)
    if not size:
        return Reply()
    wire.send_file(size, descriptor.file, descriptor.offset, size, passed)
    if passed < size:
        raise Gone("a fault drops the connection in the middle of a transfer")
    descriptor.offset += size
    return None


def write(caller: Caller, wire: Wire, faults: Faults, size: int, body: Element) -> Reply:
    """Take a piece of an open object."""
    try:
        descriptor = caller.descriptors.get(number(body, "l1descInx"))
        if not descriptor.writes:
            raise Refused(Status.DESCRIPTOR_OUT_OF_RANGE)
        faults.store(size)
    except Refused:
        wire.discard(size)
        raise
    passed = faults.transferable(size)
    wire.receive_into(descriptor.file, descriptor.offset, passed)
    descriptor.changed = True
    if passed < size:
        raise Gone("a fault drops the connection in the middle of a transfer")
    descriptor.offset += size
    return Reply(status=size)
