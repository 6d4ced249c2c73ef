"""What every data root promises, whatever filesystem it is on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nds_jupyter.data.backend import CHUNK, Backend
from nds_jupyter.data.entries import Avu, Kind
from nds_jupyter.data.root import default_root, open_backend
from nds_jupyter.data.store import DataStore
from nds_jupyter.data.writing import Exists
from nds_jupyter.datapaths import is_inside, logical_path
from nds_jupyter.errors import (
    Conflict,
    DataChanged,
    DataError,
    DataLoginRefused,
    DataUnavailable,
    DeadlineExceeded,
    Forbidden,
    InvalidRequest,
    NotOffered,
    PathNotFound,
)
from tests.data.conftest import zone_root
from tests.irods_zone.fixtures import AnyZone
from tests.irods_zone.zone import Zone

Pieces = Callable[..., AsyncIterator[bytes]]

AWKWARD = [
    "plain",
    "with space",
    "ünï-名前-🙂",
    'quote\'s "double"',
    "semi;colon&and?query=1#hash",
    "percent%20%2F",
    "star*[a]?{b}",
    "back\\slash",
    "new\nline",
    "-dash",
    "~tilde",
    ".hidden",
    "n" * 255,
]


async def content(store: DataStore, path: str, *span: int) -> bytes:
    entry = await store.entry(path)
    return b"".join([piece async for piece in store.read(entry, *span)])


async def listed(store: DataStore, path: str) -> list[str]:
    return [entry.name for entry in (await store.page(path)).entries]


@pytest.fixture
def root(store: DataStore, jp_asyncio_loop: asyncio.AbstractEventLoop) -> Iterator[DataStore]:
    jp_asyncio_loop.run_until_complete(store.prepare())
    yield store
    jp_asyncio_loop.run_until_complete(store.close())


@pytest.mark.parametrize("name", AWKWARD)
async def test_awkward_names_go_in_and_come_out(root: DataStore, pieces: Pieces, name: str) -> None:
    path = f"/{name}"
    written = await root.write(path, pieces(b"content"))
    assert (written.name, written.path, written.size) == (name, path, 7)
    assert await listed(root, "/") == [name]
    assert await content(root, path) == b"content"
    moved = await root.move(path, "/plain2")
    assert (moved.path, await listed(root, "/")) == ("/plain2", ["plain2"])
    await root.move("/plain2", path)
    await root.make(f"/c/{name}")
    assert (await root.entry(f"/c/{name}")).kind is Kind.COLLECTION
    await root.remove("/c", recursive=True)
    await root.remove(path)
    assert await listed(root, "/") == []


async def test_large_object_is_read_in_ranges(root: DataStore, pieces: Pieces) -> None:
    data = bytes(range(256)) * (CHUNK // 256 * 2 + 3)
    await root.write("/big", pieces(data, 2**20))
    assert await content(root, "/big") == data
    for start, stop in ((0, 1), (CHUNK - 1, CHUNK + 1), (5, len(data)), (7, 7)):
        assert await content(root, "/big", start, stop) == data[start:stop]


async def test_empty_object(root: DataStore, pieces: Pieces) -> None:
    assert (await root.write("/empty", pieces(b""))).size == 0
    assert await content(root, "/empty") == b""


async def test_pages_follow_each_other_and_lose_nothing(root: DataStore, pieces: Pieces) -> None:
    for number in range(7):
        await root.write(f"/o{number}", pieces(b"x"))
    await root.make("/m")
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        page = await root.page("/", after=after, limit=3)
        assert len(page.entries) <= 3
        found += [entry.name for entry in page.entries]
        after = page.next
    assert found == ["m", *(f"o{number}" for number in range(7))]
    only = await root.page("/", q="o3")
    assert [entry.path for entry in only.entries] == ["/o3"]


async def test_walk_goes_all_the_way_down(root: DataStore, pieces: Pieces) -> None:
    await root.make("/a/b/c")
    await root.write("/a/b/c/x", pieces(b"1"))
    await root.write("/a/y", pieces(b"2"))
    found = [entry.path async for entry in root.walk("/a")]
    assert sorted(found) == ["/a/b", "/a/b/c", "/a/b/c/x", "/a/y"]
    assert found.index("/a/b") < found.index("/a/b/c") < found.index("/a/b/c/x")


async def test_existing_object_is_replaced_only_when_asked(root: DataStore, pieces: Pieces) -> None:
    await root.write("/x", pieces(b"one"))
    with pytest.raises(Conflict, match="/x"):
        await root.write("/x", pieces(b"two"))
    assert await content(root, "/x") == b"one"
    await root.write("/x", pieces(b"two"), exists=Exists.REPLACE)
    assert await content(root, "/x") == b"two"
    await root.write("/x", pieces(b"two"), exists=Exists.KEEP_IF_SAME)
    with pytest.raises(Conflict):
        await root.write("/x", pieces(b"six"), exists=Exists.KEEP_IF_SAME)
    assert (await content(root, "/x"), await listed(root, "/")) == (b"two", ["x"])


async def test_interrupted_write_leaves_nothing(root: DataStore, pieces: Pieces) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionError

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"more"
            begun.set()
            await asyncio.sleep(0)

    await root.write("/x", pieces(b"old"))
    with pytest.raises(ConnectionError):
        await root.write("/x", broken(), exists=Exists.REPLACE)
    begun = asyncio.Event()
    writing = asyncio.create_task(root.write("/x", endless(), exists=Exists.REPLACE))
    await begun.wait()
    writing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await writing
    assert await content(root, "/x") == b"old"
    full = root.backend.full("/")
    assert [str(each).rpartition("/")[2] for each in root.backend.fs.ls(full, detail=False)] == [
        "x"
    ]


async def test_what_was_stored_wrongly_is_never_taken(
    root: DataStore, pieces: Pieces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(root.backend, "has_digest", lambda path, digest: False)
    with pytest.raises(DataError, match="/x"):
        await root.write("/x", pieces(b"content"))
    assert await listed(root, "/") == []


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda root, pieces: root.entry("/none"), PathNotFound),
        (lambda root, pieces: root.page("/none"), PathNotFound),
        (lambda root, pieces: root.page("/x"), Conflict),
        (lambda root, pieces: root.remove("/none"), PathNotFound),
        (lambda root, pieces: root.remove("/c"), Conflict),
        (lambda root, pieces: root.remove("/"), Conflict),
        (lambda root, pieces: root.move("/none", "/z"), PathNotFound),
        (lambda root, pieces: root.move("/c", "/c/d"), Conflict),
        (lambda root, pieces: root.move("/x", "/c"), Conflict),
        (lambda root, pieces: root.move("/x", "/c/y"), Conflict),
        (lambda root, pieces: root.write("/c", pieces(b"")), Conflict),
        (lambda root, pieces: root.write("/none/z", pieces(b"")), PathNotFound),
        (lambda root, pieces: root.write("/x/z", pieces(b"")), (Conflict, PathNotFound)),
        (lambda root, pieces: root.replicas("/none"), PathNotFound),
        (lambda root, pieces: root.metadata("/none"), PathNotFound),
    ],
)
async def test_what_can_not_be_is_told(
    root: DataStore, pieces: Pieces, act: Any, error: Any
) -> None:
    await root.make("/c")
    await root.write("/x", pieces(b"x"))
    await root.write("/c/y", pieces(b"y"))
    with pytest.raises(error) as told:
        await act(root, pieces)
    assert root.backend.base not in str(told.value)
    assert (await content(root, "/x"), await content(root, "/c/y")) == (b"x", b"y")


async def test_collections_move_with_what_they_hold(root: DataStore, pieces: Pieces) -> None:
    await root.make("/a/b")
    await root.write("/a/b/x", pieces(b"1"))
    await root.make("/there")
    moved = await root.move("/a", "/there/z")
    assert moved.is_collection
    assert await content(root, "/there/z/b/x") == b"1"
    assert await listed(root, "/") == ["there"]


async def test_one_replica_where_nothing_is_copied(root: DataStore, pieces: Pieces) -> None:
    await root.write("/x", pieces(b"12"))
    replicas = await root.replicas("/x")
    assert [(each.status, each.size) for each in replicas] == [("good", 2)]


async def test_metadata_is_kept_and_moves_along(root: DataStore, pieces: Pieces) -> None:
    await root.make("/c")
    await root.write("/x", pieces(b"1"))
    avus = (Avu(name="nds.job", value="ab"), Avu(name="ü", value="'\"%", unit="m"))
    try:
        assert set(await root.set_metadata("/x", avus)) == set(avus)
    except NotOffered:
        assert root.backend.protocols == ("memory",)
        return
    await root.move("/x", "/c/y")
    assert set(await root.metadata("/c/y")) == set(avus)
    assert await root.set_metadata("/c/y", ()) == ()
    assert await root.metadata("/c") == ()


async def test_dropped_connection_is_taken_up_where_it_broke(
    root: DataStore, pieces: Pieces, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytes(range(256)) * (CHUNK // 256 * 7 // 2)
    await root.write("/big", pieces(data, 2**20))
    opened: list[int] = []
    open_read = root.backend.open_read

    def flaky(path: str, start: int) -> Any:
        opened.append(start)
        file = open_read(path, start)
        if len(opened) > failures:
            return file
        return _Breaks(file, after=CHUNK)

    monkeypatch.setattr(root.backend, "open_read", flaky)
    failures = 2
    assert await content(root, "/big") == data
    assert opened == [0, CHUNK, 2 * CHUNK]
    failures, root.retries = 99, 1
    opened.clear()
    with pytest.raises(DataUnavailable, match="/big"):
        await content(root, "/big")
    assert len(opened) == 2


class _Breaks:
    """A file whose connection drops."""

    def __init__(self, file: Any, after: int) -> None:
        self._file = file
        self._left = after

    def read(self, size: int) -> bytes:
        if self._left <= 0:
            raise ConnectionResetError
        data = self._file.read(min(size, self._left))
        self._left -= len(data)
        return bytes(data)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> _Breaks:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


async def test_object_that_shrinks_while_it_is_read_is_told(
    root: DataStore, pieces: Pieces
) -> None:
    await root.write("/x", pieces(b"123456"))
    entry = await root.entry("/x")
    await root.write("/x", pieces(b"12"), exists=Exists.REPLACE)
    with pytest.raises(DataChanged, match="/x"):
        [piece async for piece in root.read(entry)]


async def test_filesystem_that_hangs_is_given_up(
    root: DataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    ended = threading.Event()
    monkeypatch.setattr(root.backend, "entry", lambda path: ended.wait(60))
    root.deadline = 0.2
    try:
        with pytest.raises(DeadlineExceeded, match="/x"):
            await root.entry("/x")
    finally:
        ended.set()


def test_urls_of_the_root_are_its_paths(backend: Backend, tmp_path: Path) -> None:
    store = DataStore(backend)
    url = f"{backend.protocols[0]}://{backend.base}"
    assert store.logical(f"{url}/a/b") == "/a/b"
    assert store.logical(url) == "/"
    assert store.logical("a//./b/") == "/a/b"
    for outside in ("s3://bucket/x", f"{url}x/a", f"{url}/../x", "../x", "/a/../../b", "a\0b"):
        with pytest.raises(InvalidRequest):
            store.logical(outside)


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_logical_paths_are_normal_and_inside(text: str) -> None:
    try:
        path = logical_path(text)
    except InvalidRequest:
        return
    assert logical_path(path) == path
    assert is_inside(path, "/")
    assert not {"", ".", ".."} & set(path.split("/")[1:]) or path == "/"


@pytest.mark.parametrize("text", ["/a" * 1000, "/" + "n" * 256, "/" + "ü" * 128, "/\ud800"])
def test_paths_that_no_container_could_open_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        logical_path(text)


async def test_no_link_leads_out_of_a_folder(tmp_path: Path, pieces: Pieces) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "out").symlink_to(outside)
    (folder / "file").symlink_to(outside / "secret")
    (folder / "gone").symlink_to("nowhere")
    (folder / "real").write_text("mine")
    (folder / "in").symlink_to("real")
    store = DataStore(open_backend(str(folder)))
    assert await listed(store, "/") == ["in", "real"]
    assert await content(store, "/in") == b"mine"
    for act in (
        store.entry("/file"),
        store.page("/out"),
        store.entry("/out/secret"),
        store.remove("/out/secret"),
        store.write("/out/new", pieces(b"x")),
        store.move("/real", "/out/real"),
        store.make("/out/new"),
        store.set_metadata("/file", ()),
    ):
        with pytest.raises(Forbidden):
            await act
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]
    await store.close()


async def test_pipe_in_a_folder_is_not_waited_for(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    store = DataStore(open_backend(str(tmp_path)))
    entry = (await store.entry("/pipe")).path
    with pytest.raises(DataError, match="plain"):
        await store.do(entry, lambda full: store.backend.open_read(full, 0))
    await store.close()


def test_default_root_is_irods_only_where_it_is_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("IRODS_ENVIRONMENT_FILE", raising=False)
    assert default_root("/srv/work") == "/srv/work/nds-data"
    (tmp_path / ".irods").mkdir()
    (tmp_path / ".irods" / "irods_environment.json").write_text("{}")
    assert default_root("/srv/work") == "irods://"
    monkeypatch.setenv("IRODS_ENVIRONMENT_FILE", str(tmp_path / "none"))
    assert default_root("/srv/work") == "/srv/work/nds-data"


async def test_only_the_own_zone_is_there_unless_another_is_configured(
    irods_zone: AnyZone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DataStore(zone_root(irods_zone, "", tmp_path, monkeypatch))
    assert store.home == irods_zone.home()
    assert await listed(store, "/") == [irods_zone.name]
    assert (await store.entry(store.home)).is_collection
    with pytest.raises(Forbidden, match="/otherZone/home"):
        await store.entry("/otherZone/home")
    await store.close()


@pytest.mark.parametrize(
    ("trouble", "error", "named"),
    [
        ("password", DataLoginRefused, "iinit"),
        ("down", DeadlineExceeded, "in time"),
        ("stalled", DeadlineExceeded, "in time"),
        ("settings", DataError, "can't be used"),
    ],
)
async def test_trouble_with_the_zone_says_what_to_do(
    faulty_zone: Zone,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trouble: str,
    error: type[Exception],
    named: str,
) -> None:
    if trouble == "settings":
        monkeypatch.setenv("IRODS_ENVIRONMENT_FILE", str(tmp_path / "none"))
        store = DataStore(open_backend("irods://"))
    else:
        backend = zone_root(faulty_zone, "", tmp_path, monkeypatch)
        store = DataStore(backend, deadline=30)
    if trouble == "password":
        monkeypatch.setenv("IRODS_PASSWORD", "wrong")
        store = DataStore(open_backend("irods://"))
    elif trouble == "down":
        store.deadline = 1.0
        faulty_zone.faults.refuse()
    elif trouble == "stalled":
        store.deadline = 1.0
        faulty_zone.faults.stall(times=100)
    with pytest.raises(error, match=named):
        await store.page(f"/{faulty_zone.name}/home")
    faulty_zone.faults.clear()
    await store.close()


async def test_small_objects_are_read_in_order_and_a_missing_one_is_named(
    store: DataStore, pieces: Pieces
) -> None:
    await store.prepare()
    for name in ("a", "b", "c"):
        await store.write(f"/{name}", pieces(name.encode() * 10))
    await store.write("/none", pieces(b""))
    entries = [await store.entry(path) for path in ("/a", "/none", "/b", "/c")]
    assert await store.read_small(entries) == [b"a" * 10, b"", b"b" * 10, b"c" * 10]
    await store.remove("/b")
    with pytest.raises(PathNotFound, match="/b "):
        await store.read_small(entries)
