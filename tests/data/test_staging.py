"""The archive of inputs: what it holds, and how far ahead it is read."""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from nds_jupyter.data import input_plan, staging
from nds_jupyter.data.data_root import DataRoot
from nds_jupyter.data.input_plan import InputPlan, make_plan
from nds_jupyter.data.staging import archive_chunks
from nds_jupyter.errors import DataChanged
from nds_jupyter.jobs.job import Input
from tests.waiting import until

Pieces = Callable[..., AsyncIterator[bytes]]

EVERYTHING = (Input(path="/c", to="/data/c"),)


@pytest.fixture(autouse=True)
def small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "MIN_ARCHIVE_CHUNK", 100)
    for name, size in {"MAX_BATCH_BYTES": 500, "CHUNK": 1000, "READ_AHEAD_BYTES": 1500}.items():
        monkeypatch.setattr(input_plan, name, size)


async def nothing(_: object) -> None:
    """Take a report of progress."""


async def stored(store: DataRoot, pieces: Pieces, sizes: list[int]) -> dict[str, bytes]:
    await store.prepare()
    await store.make_collection("/c")
    content = {f"data/c/{number:03d}": os.urandom(size) for number, size in enumerate(sizes)}
    for name, data in content.items():
        await store.write(f"/{name.removeprefix('data/')}", pieces(data))
    return content


async def unpacked(store: DataRoot, plan: InputPlan) -> dict[str, bytes]:
    archive = b"".join([piece async for piece in archive_chunks(store, plan, nothing)])
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        files = [member for member in tar if member.isfile()]
        return {member.name: tar.extractfile(member).read() for member in files}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "sizes",
    [[], [0], [0] * 40, [99, 100, 101], [7] * 30 + [600] * 5 + [3000] + [7] * 30, [1000, 1001]],
    ids=["none", "empty", "many empty", "about a piece", "every kind", "about a chunk"],
)
async def test_archive_holds_what_was_planned(
    store: DataRoot, pieces: Pieces, sizes: list[int]
) -> None:
    content = await stored(store, pieces, sizes)
    assert await unpacked(store, await make_plan(store, EVERYTHING, 1000)) == content
    await store.close()


async def test_objects_are_fetched_while_others_are_sent_and_no_more_than_fit(
    store: DataRoot, pieces: Pieces, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stored(store, pieces, [600] * 10)
    plan = await make_plan(store, EVERYTHING, 1000)
    fetched: Counter[str] = Counter()
    read_range = store.backend.read_range

    def counted(path: str, start: int, stop: int) -> bytes:
        data = read_range(path, start, stop)
        fetched[path] += 1
        return data

    monkeypatch.setattr(store.backend, "read_range", counted)
    async with contextlib.aclosing(archive_chunks(store, plan, nothing)) as archive:
        await anext(archive)
        await until(lambda: len(fetched) == 3, "three objects are fetched")
        sent = 1
        async for _ in archive:
            sent += 1
            assert len(fetched) <= 3 + sent
    assert len(fetched) == 10
    assert set(fetched.values()) == {1}
    await store.close()


async def test_object_that_is_not_what_was_planned_is_told(
    store: DataRoot, pieces: Pieces, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stored(store, pieces, [600, 600])
    plan = await make_plan(store, EVERYTHING, 1000)

    def shorter(path: str, start: int, stop: int) -> Any:
        return b"x" * (stop - start - path.endswith("001"))

    monkeypatch.setattr(store.backend, "read_range", shorter)
    with pytest.raises(DataChanged, match="/c/001"):
        await unpacked(store, plan)
    await store.close()
