"""What is being written is on record, and what nobody writes any more goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nds_jupyter.data.backend import Backend
from nds_jupyter.data.data_root import DataRoot
from nds_jupyter.data.irods.atomic_replace import backup_path
from nds_jupyter.data.object_writer import IfExists
from nds_jupyter.data.partial_writes import InMemoryRecord, PartialWrite, partial_path
from nds_jupyter.errors import NdsError, StorageFull
from nds_jupyter.journal import Journal
from nds_jupyter.journal.journal import JournaledPartialWrites, JournalThread
from tests.data.conftest import zone_root
from tests.data.looking import Pieces, content, hidden, listed
from tests.irods_zone.fixtures import AnyZone

AWAY = ConnectionResetError("the root is away")


async def left(root: DataRoot, draft: PartialWrite) -> None:
    """Leave behind what a killed server would."""
    await root.partial_writes._record.add(draft)

    def write(full: str) -> None:
        with root.backend.open_write(full, full) as file:
            file.write(b"half")

    await root.call(draft.path, write)


async def on_record(root: DataRoot) -> list[PartialWrite]:
    return await root.partial_writes._record.partial_writes()


async def test_what_a_killed_server_wrote_is_removed(root: DataRoot, pieces: Pieces) -> None:
    await root.write("/x", pieces(b"old"))
    await left(root, PartialWrite(path=partial_path("/"), target="/x"))
    await root.make_collection("/.nds-job.part/deep")
    await left(root, PartialWrite(path="/.nds-job.part/deep/y", target="/out/deep/y"))
    await root.partial_writes._record.add(PartialWrite(path="/.nds-job.part", target="/out"))
    assert len(await hidden(root)) == 2
    assert await root.partial_writes.remove_leftovers() == 0
    assert (await hidden(root), await on_record(root)) == ([], [])
    assert (await listed(root, "/"), await content(root, "/x")) == (["x"], b"old")


async def test_what_is_not_on_record_is_somebody_else_s(root: DataRoot) -> None:
    draft = PartialWrite(path=partial_path("/"), target="/x")
    await left(root, draft)
    await root.partial_writes._record.remove(draft.path)
    assert await root.partial_writes.remove_leftovers() == 0
    assert len(await hidden(root)) == 1


async def test_what_is_being_written_is_let_alone(root: DataRoot) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"one "
        begun.set()
        await go_on.wait()
        yield b"two"

    writing = asyncio.create_task(root.write("/x", slow()))
    await begun.wait()
    assert [draft.target for draft in await on_record(root)] == ["/x"]
    assert await root.partial_writes.remove_leftovers() == 0
    go_on.set()
    await writing
    assert (await content(root, "/x"), await on_record(root)) == (b"one two", [])


async def test_collections_made_for_nothing_go_too(root: DataRoot, pieces: Pieces) -> None:
    await root.make_collection("/kept")
    await root.make_collection("/kept/a/b")
    await left(
        root, PartialWrite(path="/kept/a/b/.nds-1.part", target="/kept/a/b/c", made="/kept/a")
    )
    assert await root.partial_writes.remove_leftovers() == 0
    assert [each.path async for each in root.walk("/")] == ["/kept"]
    await root.make_collection("/kept/a/b")
    await root.write("/kept/a/mine", pieces(b"1"))
    await left(
        root, PartialWrite(path="/kept/a/b/.nds-1.part", target="/kept/a/b/c", made="/kept/a")
    )
    assert await root.partial_writes.remove_leftovers() == 0
    assert [each.path async for each in root.walk("/")] == ["/kept", "/kept/a", "/kept/a/mine"]


async def test_who_resumes_a_draft_answers_for_what_was_made_for_it(root: DataRoot) -> None:
    async def fail(draft: PartialWrite) -> None:
        async with root.partial_writes.registered(draft, resumed=True):
            assert await root.find(draft.path) is None
            await root.make_collection(draft.path)
            assert await root.partial_writes.remove_leftovers() == 0
            assert await root.find(draft.path) is not None
            raise ZeroDivisionError

    draft = PartialWrite(path="/a/b/.nds-1.part", target="/a/b/c")
    for made in ("", "/a"):
        if made:
            await root.make_collection(f"{draft.path}/left")
            await root.partial_writes._record.add(
                PartialWrite(path=draft.path, target=draft.target, made=made)
            )
        with pytest.raises(ZeroDivisionError):
            await fail(draft)
        assert [each.path async for each in root.walk("/")] == []
        assert await on_record(root) == []


async def test_collection_of_a_failure_goes_if_it_is_empty(root: DataRoot, pieces: Pieces) -> None:
    async def fail(path: str, *writes: str) -> None:
        async with root.new_collection(path):
            for each in writes:
                await root.write(each, pieces(b"1"))
            raise ZeroDivisionError

    for path, writes in (("/a/b/c", ()), ("/kept", ("/kept/x",))):
        with pytest.raises(ZeroDivisionError):
            await fail(path, *writes)
    assert [each.path async for each in root.walk("/")] == ["/kept", "/kept/x"]
    await root.make_collection("/mine")
    with pytest.raises(ZeroDivisionError):
        await fail("/mine")
    assert await listed(root, "/") == ["kept", "mine"]


async def test_root_that_is_away_is_tidied_when_it_is_back(
    root: DataRoot, pieces: Pieces, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: object) -> None:
        raise AWAY

    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(root.backend, "discard", away)
        with pytest.raises(ZeroDivisionError):
            await root.write("/x", broken())
        assert await root.partial_writes.remove_leftovers() == 1
    assert [draft.target for draft in await on_record(root)] == ["/x"]
    assert await root.partial_writes.remove_leftovers() == 0
    assert (await hidden(root), await on_record(root)) == ([], [])


async def test_what_may_not_be_removed_is_not_tried_for_ever(
    root: DataRoot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried = []

    def refuse(path: str) -> None:
        tried.append(path)
        raise PermissionError

    await left(root, PartialWrite(path="/.nds-1.part", target="/x"))
    monkeypatch.setattr(root.backend, "discard", refuse)
    assert await root.partial_writes.remove_leftovers() == 1
    assert await root.partial_writes.remove_leftovers() == 0
    assert len(tried) == 1
    assert "/.nds-1.part stays behind" in caplog.text


async def test_record_that_can_not_be_written_stops_no_upload(
    backend: Backend, pieces: Pieces
) -> None:
    class Full(InMemoryRecord):
        async def add(self, draft: PartialWrite) -> None:
            raise StorageFull("The record can't be written.")

    root = DataRoot(backend, record=Full())
    await root.prepare()
    await root.write("/x", pieces(b"1"))
    assert await content(root, "/x") == b"1"
    await root.close()


async def test_drafts_alone_leave_a_collection_empty(root: DataRoot, pieces: Pieces) -> None:
    await root.make_collection("/c")
    await left(root, PartialWrite(path="/c/.nds-1.part", target="/c/x"))
    assert await root.is_empty("/c")
    await root.write("/c/y", pieces(b"1"))
    assert not await root.is_empty("/c")


@pytest.mark.parametrize("placed", [False, True])
async def test_zone_that_was_left_in_the_middle_of_a_renaming_has_one_whole_object(
    irods_zone: AnyZone,
    irods_home: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pieces: Pieces,
    placed: bool,
) -> None:
    root = DataRoot(zone_root(irods_zone, irods_home, tmp_path, monkeypatch))
    await root.write("/x", pieces(b"old"))
    draft = PartialWrite(path=partial_path("/"), target="/x")
    await left(root, draft)
    fs = root.backend.fs
    full, target = root.backend.filesystem_path(draft.path), root.backend.filesystem_path("/x")
    await asyncio.to_thread(fs.mv, target, backup_path(full, target))
    if placed:
        await asyncio.to_thread(fs.mv, full, target)
    assert await root.partial_writes.remove_leftovers() == 0
    assert await asyncio.to_thread(fs.ls, irods_home, detail=False) == [target]
    assert await content(root, "/x") == (b"half" if placed else b"old")
    await root.close()


async def test_zone_keeps_what_is_replaced_until_the_new_one_is_in_place(
    irods_zone: AnyZone,
    irods_home: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pieces: Pieces,
) -> None:
    """The connection breaks for good between the two renamings."""
    root = DataRoot(zone_root(irods_zone, irods_home, tmp_path, monkeypatch))
    await root.write("/x", pieces(b"old"))
    rename, renamed = root.backend.fs._objects.rename, []

    def break_off(source: str, target: str, **rest: object) -> None:
        renamed.append((source, target))
        # The first finds the name taken, the second moves what has it aside.
        if len(renamed) > 2:
            raise AWAY
        rename(source, target, **rest)

    with monkeypatch.context() as patch:
        patch.setattr(root.backend.fs._objects, "rename", break_off)
        with pytest.raises(NdsError):
            await root.write("/x", pieces(b"new"), exists=IfExists.REPLACE)
    assert await root.partial_writes.remove_leftovers() == 0
    assert await asyncio.to_thread(root.backend.fs.ls, irods_home, detail=False) == [
        root.backend.filesystem_path("/x")
    ]
    assert await content(root, "/x") == b"old"
    await root.close()


async def test_record_outlives_the_process_and_knows_its_root(
    tmp_path: Path, jp_asyncio_loop: object
) -> None:
    draft = PartialWrite(path="/.nds-1.part", target="/x", made="/a")
    first = JournalThread(Journal.open(tmp_path))
    await JournaledPartialWrites(first, "irods://u:secret@h/z").add(draft)
    await JournaledPartialWrites(first, "/other").add(
        PartialWrite(path="/.nds-2.part", target="/y")
    )
    first.close()
    again = JournalThread(Journal.open(tmp_path))
    record = JournaledPartialWrites(again, "irods://u:secret@h/z")
    assert await record.partial_writes() == [draft]
    await record.remove(draft.path)
    assert await record.partial_writes() == []
    assert [
        each.target for each in await JournaledPartialWrites(again, "/other").partial_writes()
    ] == ["/y"]
    again.close()
    stored = await asyncio.to_thread((tmp_path / "journal-0.sqlite").read_bytes)
    assert b"secret" not in stored
