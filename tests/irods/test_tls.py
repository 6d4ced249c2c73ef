"""TLS and PAM against a zone that has them."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from nds_jupyter.data.irods import AuthenticationFailed, IrodsFileSystem, ZoneUnavailable
from tests.irods.conftest import connect_to
from tests.irods_zone.zone import Zone

NEGOTIATED = {"irods_client_server_negotiation": "request_server_negotiation"}


@pytest.fixture
def tls_zone(tmp_path: Path) -> Iterator[Zone]:
    with Zone(tmp_path / "tls-zone", tls=True) as zone:
        yield zone


def over_tls(fs: IrodsFileSystem) -> bool:
    with fs._session_holder.current().pool.get_connection() as conn:
        return isinstance(conn.socket, ssl.SSLSocket)


@pytest.mark.parametrize("policy", ["CS_NEG_REQUIRE", "CS_NEG_DONT_CARE"])
def test_tls_is_used_where_both_want_it(tls_zone: Zone, policy: str) -> None:
    fs = connect_to(tls_zone, irods_client_server_policy=policy)
    fs.pipe_file(f"{fs.home}/x", b"content" * 100_000)
    assert fs.cat_file(f"{fs.home}/x") == b"content" * 100_000
    assert over_tls(fs)
    fs.close()


@pytest.mark.parametrize("policy", ["CS_NEG_REFUSE", "CS_NEG_DONT_CARE"])
def test_a_server_without_tls_is_spoken_to_where_that_is_allowed(
    faulty_zone: Zone, policy: str
) -> None:
    fs = connect_to(faulty_zone, irods_client_server_policy=policy, **NEGOTIATED)
    assert fs.ls(fs.home) == []
    assert not over_tls(fs)
    fs.close()


def test_who_cannot_agree_is_told(faulty_zone: Zone, tls_zone: Zone) -> None:
    for zone, policy in ((faulty_zone, "CS_NEG_REQUIRE"), (tls_zone, "CS_NEG_REFUSE")):
        fs = connect_to(zone, irods_client_server_policy=policy, **NEGOTIATED)
        with pytest.raises(ZoneUnavailable, match="irods_client_server_policy"):
            fs.ls(fs.home)


@pytest.mark.parametrize(
    "changes",
    [{"irods_ssl_ca_certificate_file": ""}, {"irods_host": "localhost"}],
    ids=["unknown authority", "another name"],
)
def test_a_certificate_that_proves_nothing_is_refused(
    tls_zone: Zone, changes: dict[str, str]
) -> None:
    fs = connect_to(tls_zone, **changes)
    with pytest.raises(ZoneUnavailable, match="irods_ssl_ca_certificate_file"):
        fs.ls(fs.home)
    with pytest.raises(ConnectionError):
        fs.exists(fs.home)
    trusting = connect_to(tls_zone, irods_ssl_verify_server="none", **changes)
    assert trusting.ls(trusting.home) == []
    trusting.close()


@pytest.mark.parametrize("version", [(5, 0, 2), (4, 2, 12)], ids=["plugins", "legacy"])
def test_pam_authenticates_over_tls(tls_zone: Zone, version: tuple[int, int, int]) -> None:
    tls_zone.faults.version = version
    tls_zone.faults.genquery2 = version > (4, 3, 1)
    options = {"irods_authentication_scheme": "pam_password"}
    fs = connect_to(tls_zone, "alice", **options)
    fs.pipe_file(f"{fs.home}/x", b"1")
    assert fs.cat_file(f"{fs.home}/x") == b"1"
    assert over_tls(fs)
    fs.close()
    wrong = IrodsFileSystem(
        skip_instance_cache=True, **{**tls_zone.environment("alice"), **options, "password": "no"}
    )
    with pytest.raises(AuthenticationFailed, match="iinit"):
        wrong.ls(fs.home)


class ResettingProxy:
    """Proxy that resets the first connections when TLS begins, as a server that restarts."""

    def __init__(self, zone: Zone, resets: int) -> None:
        self._address = (zone.host, zone.port)
        self.resets = resets
        self._listener = socket.create_server((zone.host, 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._address)
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._forward, args=pair, daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(2**16):
                if data[:1] == TLS_HANDSHAKE and self.resets:
                    self.resets -= 1
                    source.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    source.close()
                    break
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
            target.close()


TLS_HANDSHAKE = b"\x16"


@pytest.mark.parametrize(("resets", "patience"), [(2, 20.0), (1000, 0.5)])
def test_a_reset_in_the_handshake_is_one_of_the_zone(
    tls_zone: Zone, resets: int, patience: float
) -> None:
    with contextlib.closing(ResettingProxy(tls_zone, resets)) as proxy:
        fs = connect_to(tls_zone, irods_port=proxy.port, patience=patience)
        if resets > 2:
            with pytest.raises(ZoneUnavailable, match="Is the zone running"):
                fs.ls(fs.home)
        else:
            assert fs.ls(fs.home) == []
            assert proxy.resets == 0
        fs.close()
