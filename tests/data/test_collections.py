"""Collections, whatever filesystem the data root is on."""

from __future__ import annotations

from nds_jupyter.data.data_root import DataRoot
from tests.data.inspection import Chunks, content, listed_names


async def test_pages_follow_each_other_and_lose_nothing(
    prepared_root: DataRoot, chunks: Chunks
) -> None:
    for number in range(5):
        await prepared_root.write(f"/o{number}", chunks(b"x"))
    for name in ("m", "p", "q"):
        await prepared_root.make_collection(f"/{name}")
    for limit in (1, 2, 3, 100):
        found: list[str] = []
        after: str | None = ""
        while after is not None:
            page = await prepared_root.list_page("/", after=after, limit=limit)
            assert len(page.entries) <= limit
            found += [entry.name for entry in page.entries]
            after = page.next
        assert found == ["m", "p", "q", *(f"o{number}" for number in range(5))]
    only = await prepared_root.list_page("/", q="o3")
    assert [entry.path for entry in only.entries] == ["/o3"]


async def test_walk_goes_all_the_way_down(prepared_root: DataRoot, chunks: Chunks) -> None:
    await prepared_root.make_collection("/a/b/c")
    await prepared_root.write("/a/b/c/x", chunks(b"1"))
    await prepared_root.write("/a/y", chunks(b"2"))
    found = [entry.path async for entry in prepared_root.walk("/a")]
    assert sorted(found) == ["/a/b", "/a/b/c", "/a/b/c/x", "/a/y"]
    assert found.index("/a/b") < found.index("/a/b/c") < found.index("/a/b/c/x")


async def test_collections_move_with_what_they_hold(
    prepared_root: DataRoot, chunks: Chunks
) -> None:
    await prepared_root.make_collection("/a/b")
    await prepared_root.write("/a/b/x", chunks(b"1"))
    await prepared_root.make_collection("/there")
    moved = await prepared_root.move("/a", "/there/z")
    assert moved.is_collection
    assert await content(prepared_root, "/there/z/b/x") == b"1"
    assert await listed_names(prepared_root, "/") == ["there"]
