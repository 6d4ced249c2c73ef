"""Authentication in the zone for tests, and its refusals."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from irods import exception
from irods.session import iRODSSession

from tests.irods_zone.zone import Zone

# The client leaves the sockets of refused connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture
def tls_zone(tmp_path: Path) -> Iterator[Zone]:
    with Zone(tmp_path / "zone", tls=True) as zone:
        yield zone
        gc.collect()


def test_environment_file_lets_a_user_in(faulty_zone: Zone) -> None:
    file = faulty_zone.environment_file("alice")
    with iRODSSession(irods_env_file=str(file)) as session:
        assert session.collections.get(faulty_zone.home("alice")).owner_name == "alice"


def test_older_server_speaks_the_classic_way(faulty_zone: Zone) -> None:
    faulty_zone.faults.version = (4, 2, 11)
    with faulty_zone.session() as session:
        assert session.server_version == (4, 2, 11)
        assert session.collections.exists(faulty_zone.home())
    with (
        faulty_zone.session(password="wrong") as session,
        pytest.raises(exception.CAT_INVALID_AUTHENTICATION),
    ):
        session.collections.exists(faulty_zone.home())


def test_expired_password_is_told_from_a_wrong_one(faulty_zone: Zone) -> None:
    with faulty_zone.session("alice") as session:
        session.collections.get(faulty_zone.home("alice"))
    faulty_zone.expire_password("alice")
    with faulty_zone.session("alice") as session, pytest.raises(exception.CAT_PASSWORD_EXPIRED):
        session.collections.get(faulty_zone.home("alice"))


def test_new_password_takes_the_place_of_the_old(faulty_zone: Zone) -> None:
    with faulty_zone.session("alice") as session:
        session.users.modify_password(faulty_zone.password("alice"), "another one")
    with faulty_zone.session("alice", password="another one") as session:
        assert session.collections.exists(faulty_zone.home("alice"))
    with (
        faulty_zone.session("alice") as session,
        pytest.raises(exception.CAT_INVALID_AUTHENTICATION),
    ):
        session.collections.exists(faulty_zone.home("alice"))


@pytest.mark.parametrize("first", ["\x0b", "\r", "\n", "&"])
def test_new_password_may_be_sent_behind_any_printable_character(
    faulty_zone: Zone, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    monkeypatch.setattr("random.SystemRandom.choice", lambda *_: first)
    with faulty_zone.session("alice") as session:
        session.users.modify_password(faulty_zone.password("alice"), "another one")
    with faulty_zone.session("alice", password="another one") as session:
        assert session.collections.exists(faulty_zone.home("alice"))


def test_everything_passes_under_tls(tls_zone: Zone, tmp_path: Path) -> None:
    content = bytes(range(256)) * (160 << 10)
    (tmp_path / "there").write_bytes(content)
    path = f"{tls_zone.home()}/big"
    with tls_zone.session() as session:
        session.data_objects.put(str(tmp_path / "there"), path)
        session.data_objects.get(path, str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == content


def test_unknown_authority_is_refused(tls_zone: Zone, tmp_path: Path) -> None:
    with (
        Zone(tmp_path / "other", tls=True) as other,
        tls_zone.session(**other.tls_environment()) as session,
        pytest.raises(Exception, match="certificate verify failed"),
    ):
        session.collections.exists(tls_zone.home())


def test_plain_client_is_refused_where_tls_is_required(tls_zone: Zone) -> None:
    plain = {"irods_client_server_negotiation": "none"}
    with (
        tls_zone.session(**plain) as session,
        pytest.raises(exception.NetworkException),
    ):
        session.collections.exists(tls_zone.home())


@pytest.mark.parametrize("version", [(5, 0, 2), (4, 2, 11)])
def test_pam_password_lets_in_under_tls(tls_zone: Zone, version: tuple[int, int, int]) -> None:
    tls_zone.faults.version = version
    scheme = "pam_password" if version >= (4, 3, 0) else "pam"
    with tls_zone.session("alice", authentication_scheme=scheme) as session:
        assert session.collections.exists(tls_zone.home("alice"))


def test_wrong_pam_password_is_refused(tls_zone: Zone) -> None:
    wrong = {"authentication_scheme": "pam_password", "password": "wrong"}
    with (
        tls_zone.session("alice", **wrong) as session,
        pytest.raises(exception.PAM_AUTH_PASSWORD_FAILED),
    ):
        session.collections.exists(tls_zone.home("alice"))
