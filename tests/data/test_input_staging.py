"""Tar archive of inputs: its content, and the bounds of its read-ahead."""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from nds_jupyter.data import input_plan, input_staging
from nds_jupyter.data.data_root import DataRoot
from nds_jupyter.data.input_plan import InputPlan, make_plan
from nds_jupyter.data.input_staging import archive_chunks
from nds_jupyter.errors import DataChanged
from nds_jupyter.jobs.job import Input
from tests.waiting import until

Chunks = Callable[..., AsyncIterator[bytes]]

INPUTS = (Input(path="/c", to="/data/c"),)


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_staging, "MIN_ARCHIVE_CHUNK", 100)
    for name, size in {"MAX_BATCH_BYTES": 500, "CHUNK": 1000, "READ_AHEAD_BYTES": 1500}.items():
        monkeypatch.setattr(input_plan, name, size)


async def ignore_progress(_: object) -> None:
    """Take a report of progress."""


async def store_objects(data_root: DataRoot, chunks: Chunks, sizes: list[int]) -> dict[str, bytes]:
    await data_root.prepare()
    await data_root.make_collection("/c")
    content = {f"data/c/{number:03d}": os.urandom(size) for number, size in enumerate(sizes)}
    for name, data in content.items():
        await data_root.write(f"/{name.removeprefix('data/')}", chunks(data))
    return content


async def unpack_archive(data_root: DataRoot, plan: InputPlan) -> dict[str, bytes]:
    archive = b"".join([chunk async for chunk in archive_chunks(data_root, plan, ignore_progress)])
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        files = [member for member in tar if member.isfile()]
        return {member.name: tar.extractfile(member).read() for member in files}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "sizes",
    [[], [0], [0] * 40, [99, 100, 101], [7] * 30 + [600] * 5 + [3000] + [7] * 30, [1000, 1001]],
    ids=["none", "empty", "many empty", "about an archive chunk", "every kind", "about a chunk"],
)
async def test_archive_holds_what_was_planned(
    data_root: DataRoot, chunks: Chunks, sizes: list[int]
) -> None:
    content = await store_objects(data_root, chunks, sizes)
    assert await unpack_archive(data_root, await make_plan(data_root, INPUTS, 1000)) == content
    await data_root.close()


async def test_read_ahead_overlaps_with_sending_and_is_bounded(
    data_root: DataRoot, chunks: Chunks, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store_objects(data_root, chunks, [600] * 10)
    plan = await make_plan(data_root, INPUTS, 1000)
    fetched: Counter[str] = Counter()
    read_range = data_root.backend.read_range

    def counted(path: str, start: int, stop: int) -> bytes:
        data = read_range(path, start, stop)
        fetched[path] += 1
        return data

    monkeypatch.setattr(data_root.backend, "read_range", counted)
    async with contextlib.aclosing(archive_chunks(data_root, plan, ignore_progress)) as archive:
        await anext(archive)
        await until(lambda: len(fetched) == 3, "three objects are fetched")
        sent = 1
        async for _ in archive:
            sent += 1
            assert len(fetched) <= 3 + sent
    assert len(fetched) == 10
    assert set(fetched.values()) == {1}
    await data_root.close()


async def test_object_that_differs_from_the_plan_is_an_error(
    data_root: DataRoot, chunks: Chunks, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store_objects(data_root, chunks, [600, 600])
    plan = await make_plan(data_root, INPUTS, 1000)

    def shorter(path: str, start: int, stop: int) -> Any:
        return b"x" * (stop - start - path.endswith("001"))

    monkeypatch.setattr(data_root.backend, "read_range", shorter)
    with pytest.raises(DataChanged, match="/c/001"):
        await unpack_archive(data_root, plan)
    await data_root.close()
