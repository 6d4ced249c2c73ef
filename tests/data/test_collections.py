"""Collections, whatever filesystem the data root is on."""

from __future__ import annotations

from nds_jupyter.data.data_root import DataRoot
from tests.data.looking import Pieces, content, listed


async def test_pages_follow_each_other_and_lose_nothing(root: DataRoot, pieces: Pieces) -> None:
    for number in range(7):
        await root.write(f"/o{number}", pieces(b"x"))
    await root.make_collection("/m")
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        page = await root.list_page("/", after=after, limit=3)
        assert len(page.entries) <= 3
        found += [entry.name for entry in page.entries]
        after = page.next
    assert found == ["m", *(f"o{number}" for number in range(7))]
    only = await root.list_page("/", q="o3")
    assert [entry.path for entry in only.entries] == ["/o3"]


async def test_walk_goes_all_the_way_down(root: DataRoot, pieces: Pieces) -> None:
    await root.make_collection("/a/b/c")
    await root.write("/a/b/c/x", pieces(b"1"))
    await root.write("/a/y", pieces(b"2"))
    found = [entry.path async for entry in root.walk("/a")]
    assert sorted(found) == ["/a/b", "/a/b/c", "/a/b/c/x", "/a/y"]
    assert found.index("/a/b") < found.index("/a/b/c") < found.index("/a/b/c/x")


async def test_collections_move_with_what_they_hold(root: DataRoot, pieces: Pieces) -> None:
    await root.make_collection("/a/b")
    await root.write("/a/b/x", pieces(b"1"))
    await root.make_collection("/there")
    moved = await root.move("/a", "/there/z")
    assert moved.is_collection
    assert await content(root, "/there/z/b/x") == b"1"
    assert await listed(root, "/") == ["there"]
