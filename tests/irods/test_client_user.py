"""An administrator's account that acts for another user."""

from __future__ import annotations

import pickle

import msgspec
import pytest
from irods.access import iRODSAccess

from nds_jupyter.data.irods import AuthenticationFailed, IrodsFileSystem
from nds_jupyter.data.irods.exceptions import ClientUserUnknown
from nds_jupyter.data.irods.object_descriptors import BLOCK
from tests.irods.conftest import connect_to
from tests.irods_zone.codes import Api
from tests.irods_zone.fixtures import AnyZone
from tests.irods_zone.zone import Zone

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

DELETE_DISALLOWED = -41000


def acting(zone: AnyZone, client_user: str, account: str | None = None) -> IrodsFileSystem:
    """Return a filesystem of the zone's administrator, or another account, that acts for a user."""
    return connect_to(zone, account, client_user=client_user, irods_home=None)


def test_user_is_who_the_account_acts_for(irods_zone: AnyZone, irods_home: str) -> None:
    alice = irods_zone.home("nds-alice")
    fs = acting(irods_zone, "nds-alice")
    assert (fs.user, fs.home) == ("nds-alice", alice)
    path = f"{alice}/by-proxy"
    fs.pipe_file(path, b"1")
    fs.set_metadata(path, ())
    with irods_zone.session("nds-alice") as session:
        made = session.data_objects.get(path)
        assert made.owner_name == "nds-alice"
        granted = [(each.user_name, each.access_name) for each in session.acls.get(made)]
        assert granted in ([("nds-alice", "own")], [("nds-alice", "own_object")])
    assert not fs.exists(irods_home)
    with pytest.raises(PermissionError):
        fs.pipe_file(f"{irods_zone.home()}/not-hers", b"1")
    fs.rm(path)
    assert not fs.exists(path)
    with irods_zone.session() as session:
        access = iRODSAccess("read", irods_home, "nds-alice", irods_zone.name)
        session.acls.set(access, recursive=True)
    assert fs.isdir(irods_home)
    fs.close()


def test_user_whom_the_zone_does_not_know(irods_zone: AnyZone) -> None:
    with pytest.raises(ClientUserUnknown):
        acting(irods_zone, "nobody-of-the-zone").ls("/")
    with pytest.raises(ClientUserUnknown):
        acting(irods_zone, "nobody-of-the-zone").info(irods_zone.home())


def test_account_that_is_no_administrator_acts_for_nobody(irods_zone: AnyZone) -> None:
    with pytest.raises(AuthenticationFailed, match="rodsadmin"):
        acting(irods_zone, irods_zone.environment()["irods_user_name"], "nds-alice").info("/x/y")


def test_what_a_zone_forbids_to_remove_goes_to_the_trash_of_the_user(faulty_zone: Zone) -> None:
    fs = acting(faulty_zone, "nds-alice")
    faulty_zone.home("nds-alice")
    path = f"{fs.home}/x"
    fs.pipe_file(path, b"old")
    faulty_zone.faults.fail(DELETE_DISALLOWED, Api.UNLINK, times=10)
    content = b"4" * (BLOCK + 1000)
    with fs.open(path, "wb") as file:
        file.write(content)
    assert fs.cat_file(path) == content
    assert fs.ls(fs.home, detail=False) == [path]
    assert len(fs.ls(f"/{faulty_zone.name}/trash/home/nds-alice")) == 1
    fs.close()


def test_sessions_of_users_are_not_shared(irods_zone: AnyZone) -> None:
    irods_zone.home("nds-alice")
    mine, hers = acting(irods_zone, ""), acting(irods_zone, "nds-alice")
    assert mine._session_holder is not hers._session_holder
    assert hers._session_holder is acting(irods_zone, "nds-alice")._session_holder
    assert "secret" not in repr(msgspec.structs.replace(hers.account, password="secret"))
    assert pickle.loads(pickle.dumps(hers)).user == "nds-alice"
