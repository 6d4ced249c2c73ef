"""TLS and PAM against a zone that has them."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme

from nds_jupyter.data.irods import AuthenticationFailed, IrodsFileSystem, ZoneUnavailable
from tests.irods.conftest import connect_to
from tests.irods_zone.zone import Zone

NEGOTIATED = {"irods_client_server_negotiation": "request_server_negotiation"}


class Certified:
    """A zone with a certificate, and the authority that signed it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = trustme.CA()
        self.authority_file = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(self.authority_file)

    def zone(self, policy: str, name: str = "127.0.0.1") -> Zone:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._authority.issue_cert(name).configure_cert(context)
        return Zone(self._folder / f"zone-{policy}-{name}", tls=context, policy=policy)


@pytest.fixture
def certified(tmp_path: Path) -> Certified:
    return Certified(tmp_path)


@pytest.fixture
def zone_with(certified: Certified) -> Iterator[Callable[..., Zone]]:
    with ExitStack() as stack:
        yield lambda *args: stack.enter_context(certified.zone(*args))


def over_tls(fs: IrodsFileSystem) -> bool:
    with fs._sessions.current().pool.get_connection() as conn:
        return isinstance(conn.socket, ssl.SSLSocket)


@pytest.mark.parametrize(
    ("client", "server", "encrypted"),
    [
        ("CS_NEG_REQUIRE", "CS_NEG_DONT_CARE", True),
        ("CS_NEG_REQUIRE", "CS_NEG_REQUIRE", True),
        ("CS_NEG_DONT_CARE", "CS_NEG_REQUIRE", True),
        ("CS_NEG_DONT_CARE", "CS_NEG_DONT_CARE", True),
        ("CS_NEG_DONT_CARE", "CS_NEG_REFUSE", False),
        ("CS_NEG_REFUSE", "CS_NEG_DONT_CARE", False),
    ],
)
def test_client_and_server_agree(
    zone_with: Callable[..., Zone],
    certified: Certified,
    client: str,
    server: str,
    encrypted: bool,
) -> None:
    zone = zone_with(server)
    fs = connect_to(
        zone,
        irods_client_server_policy=client,
        irods_ssl_ca_certificate_file=str(certified.authority_file),
        **NEGOTIATED,
    )
    fs.pipe_file(f"{fs.home}/x", b"content" * 100_000)
    assert fs.cat_file(f"{fs.home}/x") == b"content" * 100_000
    assert over_tls(fs) is encrypted
    fs.close()


def test_who_cannot_agree_is_told(zone_with: Callable[..., Zone], certified: Certified) -> None:
    zone = zone_with("CS_NEG_REFUSE")
    fs = connect_to(zone, irods_client_server_policy="CS_NEG_REQUIRE", **NEGOTIATED)
    with pytest.raises(ZoneUnavailable, match="irods_client_server_policy"):
        fs.ls(fs.home)


@pytest.mark.parametrize("name", ["127.0.0.1", "other.example.org"])
def test_a_certificate_that_proves_nothing_is_refused(
    zone_with: Callable[..., Zone], certified: Certified, name: str
) -> None:
    zone = zone_with("CS_NEG_REQUIRE", name)
    known = {} if name == "127.0.0.1" else {
        "irods_ssl_ca_certificate_file": str(certified.authority_file)
    }  # fmt: skip
    fs = connect_to(zone, irods_client_server_policy="CS_NEG_REQUIRE", **NEGOTIATED, **known)
    with pytest.raises(ZoneUnavailable, match="irods_ssl_ca_certificate_file"):
        fs.ls(fs.home)
    with pytest.raises(ConnectionError):
        fs.exists(fs.home)
    trusting = connect_to(
        zone,
        irods_client_server_policy="CS_NEG_REQUIRE",
        irods_ssl_verify_server="none",
        **NEGOTIATED,
    )
    assert trusting.ls(trusting.home) == []
    trusting.close()


@pytest.mark.parametrize("version", [(5, 0, 2), (4, 2, 12)], ids=["plugins", "legacy"])
def test_pam_authenticates_over_tls(
    zone_with: Callable[..., Zone], certified: Certified, version: tuple[int, int, int]
) -> None:
    zone = zone_with("CS_NEG_DONT_CARE")
    zone.faults.version = version
    zone.faults.genquery2 = version > (4, 3, 1)
    options = {
        "irods_authentication_scheme": "pam_password",
        "irods_ssl_ca_certificate_file": str(certified.authority_file),
    }
    fs = connect_to(zone, "alice", **options)
    fs.pipe_file(f"{fs.home}/x", b"1")
    assert fs.cat_file(f"{fs.home}/x") == b"1"
    assert over_tls(fs)
    fs.close()
    wrong = IrodsFileSystem(
        skip_instance_cache=True, **{**zone.environment("alice"), **options, "password": "no"}
    )
    with pytest.raises(AuthenticationFailed, match="iinit"):
        wrong.ls(fs.home)
