"""Every error is one that users of files know, names the path, and says what to do."""

from __future__ import annotations

import errno
import time

import pytest
from irods import exception

from nds_jupyter.data.irods import AuthenticationFailed, IrodsFileSystem, ZoneUnavailable
from nds_jupyter.data.irods.exceptions import EXCEPTION_MAPPINGS, map_exception
from tests.irods.conftest import Connect, connect_to
from tests.irods_zone.codes import Api
from tests.irods_zone.zone import Zone


def test_what_is_missing_is_named(fs: IrodsFileSystem, irods_home: str) -> None:
    missing = f"{irods_home}/none"
    for ask in (fs.info, fs.cat_file, fs.ls, fs.checksum, fs.metadata, fs.ukey, fs.open):
        with pytest.raises(FileNotFoundError, match=missing):
            ask(missing)
    assert not fs.exists(missing)
    assert not fs.isdir(missing)
    assert not fs.isfile(missing)


def test_a_collection_has_no_content(fs: IrodsFileSystem, irods_home: str) -> None:
    for path in (irods_home, f"/{fs.zone}", "/"):
        for ask in (fs.cat_file, fs.open, fs.checksum):
            with pytest.raises(IsADirectoryError, match=path):
                ask(path)


def test_what_is_not_shared_does_not_exist(
    fs: IrodsFileSystem, connect: Connect, irods_home: str
) -> None:
    fs.pipe_file(f"{irods_home}/x", b"secret")
    other = connect("alice")
    with pytest.raises(FileNotFoundError, match="not shared with you"):
        other.cat_file(f"{irods_home}/x")
    assert not other.exists(f"{irods_home}/x")


def test_what_may_only_be_read_is_not_written(
    fs: IrodsFileSystem, connect: Connect, irods_zone, irods_home: str
) -> None:
    fs.pipe_file(f"{irods_home}/x", b"shared")
    other = connect("alice")
    with irods_zone.session() as session:
        from irods.access import iRODSAccess

        session.acls.set(iRODSAccess("read", irods_home, "alice", fs.zone), recursive=True)
    assert other.cat_file(f"{irods_home}/x") == b"shared"
    assert [entry.name for entry in other.ls_page(irods_home).entries] == ["x"]
    with pytest.raises(PermissionError, match=f"{irods_home}/x"):
        other.pipe_file(f"{irods_home}/x", b"mine")
    with pytest.raises(PermissionError, match=f"{irods_home}/new"):
        other.pipe_file(f"{irods_home}/new", b"mine")
    with pytest.raises(PermissionError):
        other.rm(f"{irods_home}/x")
    with pytest.raises(PermissionError):
        other.mkdir(f"{irods_home}/c")
    assert fs.cat_file(f"{irods_home}/x") == b"shared"


def test_a_wrong_password_says_what_to_renew(irods_zone, irods_home: str) -> None:
    fs = IrodsFileSystem(password="wrong", skip_instance_cache=True, **irods_zone.environment())
    with pytest.raises(AuthenticationFailed, match="iinit") as caught:
        fs.ls(irods_home)
    assert isinstance(caught.value, PermissionError)
    assert irods_home in str(caught.value)
    with pytest.raises(PermissionError):
        fs.exists(irods_home)


def test_an_unknown_user_is_refused(irods_zone, irods_home: str) -> None:
    environment = irods_zone.environment() | {"irods_user_name": "nobody-at-all"}
    fs = IrodsFileSystem(password="x", skip_instance_cache=True, **environment)
    with pytest.raises(AuthenticationFailed, match="iinit"):
        fs.ls(irods_home)


@pytest.mark.parametrize("name", ["..", ".", "a\x01b", "a\rb", "a\x00", "a\udc80b"])
def test_what_is_no_name_is_refused(fs: IrodsFileSystem, irods_home: str, name: str) -> None:
    for ask in (fs.cat_file, fs.touch, fs.mkdir, fs.ls, fs.rm):
        with pytest.raises(OSError, match=r"no parts|no names") as caught:
            ask(f"{irods_home}/{name}")
        assert caught.value.errno == errno.EINVAL
    assert not fs.exists(f"{irods_home}/{name}")
    assert fs.ls(irods_home) == []


def test_another_zone_is_not_found(fs: IrodsFileSystem) -> None:
    with pytest.raises(FileNotFoundError, match="/otherZone/x"):
        fs.info("/otherZone/x")
    with pytest.raises(OSError, match="/otherZone/x"):
        fs.cat_file("/otherZone/x")


@pytest.mark.parametrize("kind", EXCEPTION_MAPPINGS, ids=lambda kind: kind.__name__)
def test_each_error_of_the_client_is_one_of_the_system(kind: type[Exception]) -> None:
    error = map_exception(kind(), "/zone/home/x")
    assert isinstance(error, OSError)
    assert error.errno
    assert "/zone/home/x" in str(error)
    assert "None" not in str(error)


def test_an_unknown_error_is_told_as_the_server_told_it() -> None:
    error = map_exception(exception.SYS_TAR_OPEN_ERR("a bundle"), "/zone/x")
    assert str(error).startswith(f"[Errno {errno.EIO}] /zone/x: the iRODS server failed with SYS_")
    full = exception.get_exception_by_code(-513_028)
    assert map_exception(full, "/zone/x").errno == errno.ENOSPC


# With a zone of our own: what only happens on demand.


def test_an_expired_password_says_what_to_renew(faulty_zone: Zone) -> None:
    fs = connect_to(faulty_zone, "alice")
    faulty_zone.expire_password("alice")
    with pytest.raises(AuthenticationFailed, match="iinit"):
        fs.ls(fs.home)


def test_a_password_that_expires_in_mid_session_is_told(faulty_zone: Zone) -> None:
    fs = connect_to(faulty_zone, "alice")
    fs.pipe_file(f"{fs.home}/x", b"1")
    faulty_zone.expire_password("alice")
    faulty_zone.faults.drop_now()
    with pytest.raises(AuthenticationFailed, match="iinit"):
        fs.cat_file(f"{fs.home}/x")


def test_a_zone_that_is_down_is_told_without_waiting_long(faulty_zone: Zone) -> None:
    fs = connect_to(faulty_zone, patience=1.0)
    faulty_zone.close()
    began = time.monotonic()
    for ask in (fs.ls, fs.exists, fs.isdir, fs.open, fs.find):
        with pytest.raises(ZoneUnavailable, match="Is the zone running") as caught:
            ask("/tempZone/home/rods")
        assert isinstance(caught.value, ConnectionError)
    assert time.monotonic() - began < 30


def test_a_host_that_is_not_there_is_told() -> None:
    fs = IrodsFileSystem("no-such-host.invalid", 1247, "u", "z", "p", skip_instance_cache=True)
    with pytest.raises(ConnectionError, match="/z/home"):
        fs.ls("/z/home")


@pytest.mark.parametrize("api", [Api.GENQUERY2, Api.OPEN, Api.READ, Api.AUTHENTICATE])
def test_a_server_that_does_not_answer_is_given_up(faulty_zone: Zone, api: Api) -> None:
    patient, fs = connect_to(faulty_zone), connect_to(faulty_zone, timeout=1.0)
    path = f"{fs.home}/x"
    patient.pipe_file(path, b"1")
    patient.close()
    faulty_zone.faults.stall(api, times=100)
    with pytest.raises(TimeoutError, match="has not answered in time"):
        fs.ls(fs.home) if api is Api.GENQUERY2 else fs.cat_file(path)
    faulty_zone.faults.clear()
    assert patient.cat_file(path) == b"1"
