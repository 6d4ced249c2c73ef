"""Malformed messages, early disconnects and odd names from clients."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from irods import exception
from irods.meta import iRODSMeta
from irods.models import Collection, DataObject
from irods.session import iRODSSession

from tests.irods_zone.codes import Api, Status
from tests.irods_zone.collation import sort_key
from tests.irods_zone.zone import HOST, Zone

STARTUP = (
    b"<StartupPack_PI><proxyUser>rods</proxyUser><clientUser>rods</clientUser>"
    b"<option>test</option></StartupPack_PI>"
)
# What XML 1.0 can carry, without the separator of paths; the client can send no other.
NAMES = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Cn"), exclude_characters="/"),
    min_size=1,
    max_size=40,
).filter(lambda name: name not in (".", ".."))


@pytest.fixture(scope="module")
def zone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zone]:
    with Zone(tmp_path_factory.mktemp("connection") / "zone") as zone:
        yield zone


@pytest.fixture(scope="module")
def session(zone: Zone) -> Iterator[iRODSSession]:
    with zone.session() as session:
        yield session


def header(kind: str, body: int = 0, info: int = 0) -> bytes:
    packed = (
        f"<MsgHeader_PI><type>{kind}</type><msgLen>{body}</msgLen><errorLen>0</errorLen>"
        f"<bsLen>0</bsLen><intInfo>{info}</intInfo></MsgHeader_PI>"
    ).encode()
    return struct.pack(">i", len(packed)) + packed


def answers(zone: Zone, *sent: bytes) -> bytes:
    """Send bytes on a new connection, and read until the zone closes it."""
    received = b""
    with (
        socket.create_connection((HOST, zone.port), timeout=30) as connection,
        contextlib.suppress(OSError),  # The zone may have heard enough by then.
    ):
        connection.sendall(b"".join(sent))
        connection.shutdown(socket.SHUT_WR)
        while piece := connection.recv(65536):
            received += piece
    return received


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack(">i", -1),
        struct.pack(">i", 20) + b"<MsgHeader_PI></MsgHe",
        header("RODS_CONNECT", 10) + b"no XML at all",
        header("RODS_API_REQ"),
        header("RODS_CONNECT", len(STARTUP)) + STARTUP + header("RODS_API_REQ", 5) + b"<no>",
    ],
)
def test_garbage_ends_its_own_connection_only(zone: Zone, sent: bytes) -> None:
    answers(zone, sent)
    with zone.session() as session:
        assert session.collections.exists(zone.home())


@pytest.mark.parametrize("api", [Api.GENQUERY1, Api.OPEN, Api.READ, Api.TICKET, Api.ADMIN])
def test_nothing_is_done_before_it_is_known_for_whom(zone: Zone, api: Api) -> None:
    start = header("RODS_CONNECT", len(STARTUP)) + STARTUP
    received = answers(zone, start, header("RODS_API_REQ", info=api))
    assert f"<intInfo>{int(Status.NOT_AUTHENTICATED)}</intInfo>".encode() in received


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(names=st.lists(NAMES, min_size=1, max_size=5, unique=True))
def test_every_name_is_listed_as_it_was_given(
    zone: Zone, session: iRODSSession, names: list[str]
) -> None:
    home = f"{zone.home()}/names"
    session.collections.create(home)
    for name in names:
        session.data_objects.open(f"{home}/{name}", "w").close()
    old = session.query(DataObject.name).filter(Collection.name == home)
    new = session.genquery2(f"select DATA_NAME where COLL_NAME = '{home}' order by DATA_NAME")
    assert {row[DataObject.name] for row in old} == set(names)
    assert [row[0] for row in new] == sorted(names, key=sort_key)
    for name in names:
        quoted = name.replace("'", "''")
        found = session.genquery2(
            f"select DATA_NAME where COLL_NAME = '{home}' and DATA_NAME = '{quoted}'"
        )
        assert found == [[name]]
        assert session.data_objects.get(f"{home}/{name}").name == name
        session.data_objects.unlink(f"{home}/{name}", force=True)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=NAMES, value=NAMES, units=st.just("") | NAMES)
def test_metadata_comes_back_as_it_was_given(
    zone: Zone, session: iRODSSession, name: str, value: str, units: str
) -> None:
    metadata = session.collections.get(zone.home()).metadata
    metadata.add(iRODSMeta(name, value, units))
    assert [tuple(each) for each in metadata.items()] == [
        (name, value, units) if units else (name, value)
    ]
    metadata.remove(iRODSMeta(name, value, units))
    assert metadata.items() == []


def test_unknown_call_is_told(session: iRODSSession) -> None:
    with pytest.raises(exception.SYS_UNMATCHED_API_NUM):
        _ = session.client_hints
