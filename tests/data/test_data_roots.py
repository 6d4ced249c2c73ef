"""Data roots of owners: one for each, bounded, closed when idle, cleaned up one by one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nds_jupyter.data.backend import Backend
from nds_jupyter.data.data_identity import (
    DataIdentity,
    ProxyIdentity,
    ServerIdentity,
    is_user_name,
    root_url,
)
from nds_jupyter.data.data_root import open_backend
from nds_jupyter.data.data_roots import DataRoots, DataRootSettings
from nds_jupyter.data.irods_backend import IrodsBackend
from nds_jupyter.data.partial_writes import PartialWrite
from nds_jupyter.errors import DataLoginRequired, Forbidden, PathNotFound
from nds_jupyter.journal import Journal
from nds_jupyter.journal.journal import JournaledRecords, JournalThread
from tests.irods_zone.fixtures import AnyZone
from tests.irods_zone.zone import Zone
from tests.roots import configure
from tests.waiting import until

Chunks = Callable[..., AsyncIterator[bytes]]


@given(st.lists(st.text(), unique=True, max_size=5))
def test_names_of_owners_are_parts_of_a_path_each_of_its_own(owners: list[str]) -> None:
    urls = [root_url("/srv/{owner}", each) for each in owners]
    assert len(set(urls)) == len(owners)
    for url in urls:
        part = url.removeprefix("/srv/")
        assert part.strip()
        assert part not in {".", ".."}
        assert not set("/\\?#\0:*") & set(part)


def test_plain_names_stay_as_they_are() -> None:
    assert root_url("s3://b/{owner}/d", "ada@lab.org") == "s3://b/ada@lab.org/d"
    assert root_url("/srv/data", "ada") == "/srv/data"


@pytest.mark.parametrize("name", ["a/b", "a#z", "..", "a\nb"])
def test_names_that_are_no_users(name: str) -> None:
    assert not is_user_name(name)
    with pytest.raises(Forbidden):
        ProxyIdentity("irods://").login_id(name)


def test_owner_whom_a_dict_does_not_have_has_no_user() -> None:
    names = {"ada": "alovelace"}
    for user_of in (names.get, names.__getitem__):
        identity = ProxyIdentity("irods://", user_of)
        assert identity.login_id("ada") == "alovelace"
        with pytest.raises(Forbidden, match="no iRODS user of bob"):
            identity.login_id("bob")


class Logins(ServerIdentity):
    """Folders whose owners log in and out."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.ids: dict[str, str] = {}
        self.closed: list[str] = []

    def login_id(self, key: str) -> str:
        if key not in self.ids:
            raise DataLoginRequired("Log in.")
        return self.ids[key]

    def open(self, key: str) -> Backend:
        backend = open_backend(f"{root_url(self.url, key)}-{self.ids[key]}")
        backend.close_idle = lambda: self.closed.append(key)  # type: ignore[method-assign]
        return backend


@pytest.fixture
def logins(tmp_path: Path) -> Logins:
    return Logins(f"{tmp_path}/{{owner}}")


async def test_root_of_one_owner_is_the_same_one(tmp_path: Path, jp_asyncio_loop: object) -> None:
    roots = DataRoots(ServerIdentity(f"{tmp_path}/{{owner}}"), DataRootSettings(max_owners=1))
    ada = await roots.for_owner("ada")
    assert await roots.for_owner("bob") is not ada
    # It was given up, but somebody uses it.
    assert await roots.for_owner("ada") is ada
    await roots.close()


async def test_connections_of_the_least_recent_and_the_idle_are_closed(
    logins: Logins, jp_asyncio_loop: object
) -> None:
    logins.ids = dict.fromkeys(["ada", "bob", "eve"], "1")
    roots = DataRoots(logins, DataRootSettings(max_owners=2, max_idle=0.0))
    held = [await roots.for_owner(each) for each in ("ada", "bob", "ada", "eve")]
    await roots._run_in_pool(lambda: None)
    assert logins.closed == ["bob"]
    await roots.close_idle()
    assert sorted(logins.closed) == ["ada", "bob", "bob", "eve"]
    assert len(held) == 4
    await roots.close()


async def test_new_login_reaches_who_holds_the_root_and_its_end_too(
    logins: Logins, chunks: Chunks, jp_asyncio_loop: object, tmp_path: Path
) -> None:
    roots = DataRoots(logins)
    with pytest.raises(DataLoginRequired):
        await roots.for_owner("ada")
    logins.ids["ada"] = "1"
    root = await roots.for_owner("ada")
    await root.write("/x", chunks(b"1"))
    logins.ids["ada"] = "2"
    assert await roots.for_owner("ada") is root
    assert await root.find("/x") is None
    await root.write("/y", chunks(b"2"))
    assert await asyncio.to_thread((tmp_path / "ada-2" / "y").read_bytes) == b"2"
    del logins.ids["ada"]
    await roots.close_idle()
    with pytest.raises(DataLoginRequired, match="Log in"):
        await root.entry("/y")
    logins.ids["ada"] = "2"
    await roots.for_owner("ada")
    assert (await root.entry("/y")).size == 1
    await roots.revoke("ada")
    with pytest.raises(DataLoginRequired):
        await root.entry("/y")
    await roots.close()


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
async def test_zone_is_left_by_owners_who_are_idle_or_too_many(
    faulty_zone: Zone, monkeypatch: pytest.MonkeyPatch, jp_asyncio_loop: object
) -> None:
    users = ["nds-ada", "nds-bob", "nds-eve"]
    for user in users:
        faulty_zone.home(user)
    monkeypatch.setenv("IRODS_ENVIRONMENT_FILE", str(faulty_zone.environment_file()))
    roots = DataRoots(ProxyIdentity("irods://"), DataRootSettings(max_owners=1, max_idle=0.0))
    held = []
    for user in users:
        held.append(await roots.for_owner(user))
        await held[-1].entry(held[-1].home)

    await until(lambda: len(faulty_zone._sessions) == 1, "the connections of the last owner")
    await roots.close_idle()
    await until(lambda: not faulty_zone._sessions, "the end of all connections")
    # Whoever comes back finds the zone as before.
    assert (await held[0].entry(held[0].home)).is_collection
    await roots.close()


async def test_owner_whose_user_is_taken_away_loses_the_root(
    irods_zone: AnyZone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jp_asyncio_loop: object
) -> None:
    configure(irods_zone, tmp_path, monkeypatch)
    irods_zone.home("nds-alice")
    users = {"ada": "nds-alice"}
    roots = DataRoots(ProxyIdentity("irods://", users.get))
    root = await roots.for_owner("ada")
    assert (await root.entry(root.home)).is_collection
    users.clear()
    await roots.close_idle()
    with pytest.raises(Forbidden, match="no iRODS user of ada"):
        await root.entry("/")
    await roots.close()


async def test_what_a_killed_server_left_is_removed_for_each_owner(
    logins: Logins, jp_asyncio_loop: object, tmp_path: Path
) -> None:
    url = logins.url
    logins.ids = {"ada": "1", "bob": "1"}
    journal = JournalThread(Journal.open(tmp_path / "journal"))
    for owner in ("ada", "bob"):
        record = JournaledRecords(journal, url).for_key(owner)
        await record.add(PartialWrite(path="/.nds-1.part", target="/x"))
        folder = tmp_path / f"{owner}-1"
        folder.mkdir()
        (folder / ".nds-1.part").write_bytes(owner.encode())
    journal.close()
    # The next server; one of the owners has not logged in to it yet.
    journal = JournalThread(Journal.open(tmp_path / "journal"))
    del logins.ids["bob"]
    roots = DataRoots(logins, records=JournaledRecords(journal, url))
    assert await roots.remove_leftovers() == 0
    assert list((tmp_path / "ada-1").iterdir()) == []
    assert (tmp_path / "bob-1" / ".nds-1.part").read_bytes() == b"bob"
    logins.ids["bob"] = "1"
    await roots.remove_leftovers()
    assert list((tmp_path / "bob-1").iterdir()) == []
    assert await JournaledRecords(journal, url).keys() == []
    await roots.close()
    await asyncio.to_thread(journal.close)


@pytest.fixture
def proxy(irods_zone: AnyZone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataIdentity:
    configure(irods_zone, tmp_path, monkeypatch)
    return ProxyIdentity("irods://")


async def test_proxy_sees_what_its_user_sees(
    irods_zone: AnyZone,
    irods_home: str,
    proxy: DataIdentity,
    chunks: Chunks,
    jp_asyncio_loop: object,
) -> None:
    irods_zone.home("nds-alice")
    roots = DataRoots(proxy)
    alice = await roots.for_owner("nds-alice")
    assert alice.home == irods_zone.home("nds-alice")
    assert isinstance(alice.backend, IrodsBackend)
    assert alice.backend.fs.user == "nds-alice"
    with pytest.raises(PathNotFound):
        await alice.entry(irods_home)
    # No worker gets the password of an account that may act for everybody.
    assert alice.backend.portable_settings() is None
    path = f"{alice.home}/of-a-proxy"
    await alice.write(path, chunks(b"1"))
    with irods_zone.session("nds-alice") as session:
        assert session.data_objects.get(path).owner_name == "nds-alice"
    await alice.discard(path)
    await roots.close()
