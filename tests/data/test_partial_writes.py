"""Partial writes are recorded, and leftovers of killed servers removed."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nds_jupyter.data.backend import Backend
from nds_jupyter.data.data_root import DataRoot
from nds_jupyter.data.irods.object_descriptors import BLOCK
from nds_jupyter.data.object_writer import IfExists
from nds_jupyter.data.partial_writes import InMemoryRecord, PartialWrite, partial_path
from nds_jupyter.errors import NdsError, StorageFull
from nds_jupyter.journal import Journal
from nds_jupyter.journal.journal import JournaledPartialWrites, JournalThread
from tests.data.conftest import backend_of_zone
from tests.data.inspection import Chunks, content, hidden_paths, listed_names
from tests.irods_zone.zone import Zone

UNREACHABLE = ConnectionResetError("the root is away")


async def leave_partial(prepared_root: DataRoot, partial: PartialWrite) -> None:
    """Leave behind what a killed server would."""
    await prepared_root.partial_writes._record.add(partial)

    def write(full: str) -> None:
        with prepared_root.backend.open_write(full, full) as file:
            file.write(b"half")

    await prepared_root.call(partial.path, write)


async def recorded(prepared_root: DataRoot) -> list[PartialWrite]:
    return await prepared_root.partial_writes._record.partial_writes()


async def test_partial_writes_of_a_killed_server_are_removed(
    prepared_root: DataRoot, chunks: Chunks
) -> None:
    await prepared_root.write("/x", chunks(b"old"))
    await leave_partial(prepared_root, PartialWrite(path=partial_path("/"), target="/x"))
    await prepared_root.make_collection("/.nds-job.part/deep")
    await leave_partial(
        prepared_root, PartialWrite(path="/.nds-job.part/deep/y", target="/out/deep/y")
    )
    await prepared_root.partial_writes._record.add(
        PartialWrite(path="/.nds-job.part", target="/out")
    )
    assert len(await hidden_paths(prepared_root)) == 2
    assert await prepared_root.partial_writes.remove_leftovers() == 0
    assert (await hidden_paths(prepared_root), await recorded(prepared_root)) == ([], [])
    assert (await listed_names(prepared_root, "/"), await content(prepared_root, "/x")) == (
        ["x"],
        b"old",
    )


async def test_partial_writes_of_another_server_are_kept(prepared_root: DataRoot) -> None:
    partial = PartialWrite(path=partial_path("/"), target="/x")
    await leave_partial(prepared_root, partial)
    await prepared_root.partial_writes._record.remove(partial.path)
    assert await prepared_root.partial_writes.remove_leftovers() == 0
    assert len(await hidden_paths(prepared_root)) == 1


async def test_cleanup_keeps_what_is_being_written(prepared_root: DataRoot) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"one "
        begun.set()
        await go_on.wait()
        yield b"two"

    writing = asyncio.create_task(prepared_root.write("/x", slow()))
    await begun.wait()
    assert [partial.target for partial in await recorded(prepared_root)] == ["/x"]
    assert await prepared_root.partial_writes.remove_leftovers() == 0
    go_on.set()
    await writing
    assert (await content(prepared_root, "/x"), await recorded(prepared_root)) == (b"one two", [])


async def test_cleanup_removes_empty_collections_of_partial_writes(
    prepared_root: DataRoot, chunks: Chunks
) -> None:
    await prepared_root.make_collection("/kept")
    await prepared_root.make_collection("/kept/a/b")
    await leave_partial(
        prepared_root,
        PartialWrite(path="/kept/a/b/.nds-1.part", target="/kept/a/b/c", made="/kept/a"),
    )
    assert await prepared_root.partial_writes.remove_leftovers() == 0
    assert [each.path async for each in prepared_root.walk("/")] == ["/kept"]
    await prepared_root.make_collection("/kept/a/b")
    await prepared_root.write("/kept/a/mine", chunks(b"1"))
    await leave_partial(
        prepared_root,
        PartialWrite(path="/kept/a/b/.nds-1.part", target="/kept/a/b/c", made="/kept/a"),
    )
    assert await prepared_root.partial_writes.remove_leftovers() == 0
    assert [each.path async for each in prepared_root.walk("/")] == [
        "/kept",
        "/kept/a",
        "/kept/a/mine",
    ]


async def test_resumed_partial_write_removes_collections_of_earlier_attempts(
    prepared_root: DataRoot,
) -> None:
    async def fail() -> None:
        partial = PartialWrite(path=partial_path("/a/b"), target="/a/b/c")
        async with prepared_root.partial_writes.registered(partial, resumed=True):
            assert await prepared_root.find(partial.path) is None
            await prepared_root.make_collection(partial.path)
            assert await prepared_root.partial_writes.remove_leftovers() == 0
            assert await prepared_root.find(partial.path) is not None
            raise ZeroDivisionError

    for made in ("", "/a"):
        if made:
            await prepared_root.make_collection("/a/b/.nds-1.part/left")
            await prepared_root.partial_writes._record.add(
                PartialWrite(path="/a/b/.nds-1.part", target="/a/b/c", made=made)
            )
        with pytest.raises(ZeroDivisionError):
            await fail()
        assert [each.path async for each in prepared_root.walk("/")] == []
        assert await recorded(prepared_root) == []


async def test_clean_up_at_the_same_time_leaves_no_collection_of_an_earlier_attempt(
    prepared_root: DataRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clean-up of a starting server meets the delivery that begins anew."""
    await prepared_root.make_collection("/a/b/.nds-1.part/left")
    await prepared_root.partial_writes._record.add(
        PartialWrite(path="/a/b/.nds-1.part", target="/a/b/c", made="/a")
    )
    discard, entered, go_on = prepared_root.backend.discard, asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slowly(path: str) -> None:
        loop.call_soon_threadsafe(entered.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(60)
        discard(path)

    async def fail() -> None:
        partial = PartialWrite(path=partial_path("/a/b"), target="/a/b/c")
        async with prepared_root.partial_writes.registered(partial, resumed=True):
            await prepared_root.make_collection(partial.path)
            raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(prepared_root.backend, "discard", slowly)
        cleaning = asyncio.create_task(prepared_root.partial_writes.remove_leftovers())
        await entered.wait()
        delivering = asyncio.create_task(fail())
        await asyncio.sleep(0)
        go_on.set()
        await cleaning
        with pytest.raises(ZeroDivisionError):
            await delivering
    assert [each.path async for each in prepared_root.walk("/")] == []
    assert await recorded(prepared_root) == []


async def test_new_collection_is_removed_after_a_failure_if_it_is_empty(
    prepared_root: DataRoot, chunks: Chunks
) -> None:
    async def fail(path: str, *writes: str) -> None:
        async with prepared_root.new_collection(path):
            for each in writes:
                await prepared_root.write(each, chunks(b"1"))
            raise ZeroDivisionError

    for path, writes in (("/a/b/c", ()), ("/kept", ("/kept/x",))):
        with pytest.raises(ZeroDivisionError):
            await fail(path, *writes)
    assert [each.path async for each in prepared_root.walk("/")] == ["/kept", "/kept/x"]
    await prepared_root.make_collection("/mine")
    with pytest.raises(ZeroDivisionError):
        await fail("/mine")
    assert await listed_names(prepared_root, "/") == ["kept", "mine"]


async def test_cleanup_of_an_unreachable_root_is_retried(
    prepared_root: DataRoot, chunks: Chunks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*args: object) -> None:
        raise UNREACHABLE

    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(prepared_root.backend, "discard", unreachable)
        with pytest.raises(ZeroDivisionError):
            await prepared_root.write("/x", broken())
        assert await prepared_root.partial_writes.remove_leftovers() == 1
    assert [partial.target for partial in await recorded(prepared_root)] == ["/x"]
    assert await prepared_root.partial_writes.remove_leftovers() == 0
    assert (await hidden_paths(prepared_root), await recorded(prepared_root)) == ([], [])


async def test_cleanup_without_permission_is_not_retried(
    prepared_root: DataRoot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried = []

    def refuse(path: str) -> None:
        tried.append(path)
        raise PermissionError

    await leave_partial(prepared_root, PartialWrite(path="/.nds-1.part", target="/x"))
    monkeypatch.setattr(prepared_root.backend, "discard", refuse)
    assert await prepared_root.partial_writes.remove_leftovers() == 1
    assert await prepared_root.partial_writes.remove_leftovers() == 0
    assert len(tried) == 1
    assert "/.nds-1.part stays behind" in caplog.text


async def test_upload_works_without_a_writable_record(backend: Backend, chunks: Chunks) -> None:
    class Full(InMemoryRecord):
        async def add(self, partial: PartialWrite) -> None:
            raise StorageFull("The record can't be written.")

    prepared_root = DataRoot(backend, record=Full())
    await prepared_root.prepare()
    await prepared_root.write("/x", chunks(b"1"))
    assert await content(prepared_root, "/x") == b"1"
    await prepared_root.close()


async def test_collection_with_only_partial_writes_is_empty(
    prepared_root: DataRoot, chunks: Chunks
) -> None:
    await prepared_root.make_collection("/c")
    await leave_partial(prepared_root, PartialWrite(path="/c/.nds-1.part", target="/c/x"))
    assert await prepared_root.is_empty("/c")
    await prepared_root.write("/c/y", chunks(b"1"))
    assert not await prepared_root.is_empty("/c")


async def test_replacement_that_broke_off_is_completed(
    faulty_zone: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunks: Chunks
) -> None:
    """The old content is lost and the new one not in place: the partial object is the only one."""
    root = DataRoot(backend_of_zone(faulty_zone, faulty_zone.home(), tmp_path, monkeypatch))
    await root.write("/x", chunks(b"old"))
    faulty_zone.store.copy_limit = 2
    with pytest.raises(NdsError):
        await root.write("/x", chunks(b"new"), exists=IfExists.REPLACE)
    assert await root.partial_writes.remove_leftovers() == 1
    faulty_zone.store.copy_limit = None
    assert await root.partial_writes.remove_leftovers() == 0
    assert (await hidden_paths(root), await recorded(root)) == ([], [])
    assert await content(root, "/x") == b"new"
    await root.close()


async def test_what_a_killed_agent_left_locked_hinders_no_later_write(
    faulty_zone: Zone,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    chunks: Chunks,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nobody but an administrator can remove it: the next attempt takes another name."""
    monkeypatch.setattr("nds_jupyter.data.irods.objects._BUSY_BACKOFF", (0.01,))
    root = DataRoot(backend_of_zone(faulty_zone, faulty_zone.home(), tmp_path, monkeypatch))

    async def killed() -> AsyncIterator[bytes]:
        yield b"1" * (BLOCK + 1)
        (partial,) = await recorded(root)
        faulty_zone.kill_writers(root.backend.filesystem_path(partial.path))
        yield b"2" * (BLOCK + 1)

    partial = PartialWrite(path=partial_path("/"), target="/x")
    with pytest.raises(NdsError):
        async with root.partial_writes.registered(partial, resumed=True):
            await root.write_partial(partial, killed())
    assert [each.path for each in await recorded(root)] == [partial.path]
    again = PartialWrite(path=partial_path("/"), target="/x")
    async with root.partial_writes.registered(again, resumed=True):
        await root.write_partial(again, chunks(b"whole"))
        await root.move(again.path, "/x")
    assert await content(root, "/x") == b"whole"
    for _ in range(3):
        await root.partial_writes.remove_leftovers()
    assert caplog.text.count(f"{partial.path} stays behind") == 1
    assert [path.rpartition("/")[2] for path in await hidden_paths(root)] == [partial.path[1:]]
    await root.close()


async def test_what_stays_locked_is_told_once_and_tried_ever_later(
    prepared_root: DataRoot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried = []

    def locked(path: str) -> None:
        tried.append(path)
        raise OSError(errno.EBUSY, "locked")

    now = 0.0
    monkeypatch.setattr("nds_jupyter.data.partial_writes.time.monotonic", lambda: now)
    await leave_partial(prepared_root, PartialWrite(path="/.nds-1.part", target="/x"))
    with monkeypatch.context() as patch:
        patch.setattr(prepared_root.backend, "discard", locked)
        for now in range(0, 24 * 3600, 30):  # noqa: B007 - the clock reads it
            await prepared_root.partial_writes.remove_leftovers()
        assert 20 < len(tried) < 40
    assert caplog.text.count("/.nds-1.part stays behind") == 1
    now += 3600
    assert await prepared_root.partial_writes.remove_leftovers() == 0
    assert await hidden_paths(prepared_root) == []


async def test_record_outlives_the_process_and_knows_its_root(
    tmp_path: Path, jp_asyncio_loop: object
) -> None:
    partial = PartialWrite(path="/.nds-1.part", target="/x", made="/a")
    first = JournalThread(Journal.open(tmp_path))
    await JournaledPartialWrites(first, "irods://u:secret@h/z").add(partial)
    await JournaledPartialWrites(first, "/other").add(
        PartialWrite(path="/.nds-2.part", target="/y")
    )
    first.close()
    again = JournalThread(Journal.open(tmp_path))
    record = JournaledPartialWrites(again, "irods://u:secret@h/z")
    assert await record.partial_writes() == [partial]
    await record.remove(partial.path)
    assert await record.partial_writes() == []
    assert [
        each.target for each in await JournaledPartialWrites(again, "/other").partial_writes()
    ] == ["/y"]
    again.close()
    stored = await asyncio.to_thread((tmp_path / "journal-0.sqlite").read_bytes)
    assert b"secret" not in stored
