"""Metadata and replicas, whatever filesystem the data root is on."""

from __future__ import annotations

from nds_jupyter.data.data_root import DataRoot
from nds_jupyter.data.entries import Avu
from nds_jupyter.data.object_writer import IfExists
from nds_jupyter.errors import (
    NotOffered,
)
from tests.data.looking import Pieces, content


async def test_metadata_is_kept_and_moves_along(root: DataRoot, pieces: Pieces) -> None:
    await root.make_collection("/c")
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


async def test_one_replica_where_nothing_is_copied(root: DataRoot, pieces: Pieces) -> None:
    await root.write("/x", pieces(b"12"))
    replicas = await root.replicas("/x")
    assert [(each.status, each.size) for each in replicas] == [("good", 2)]


async def test_object_that_is_replaced_leaves_its_metadata_to_the_new_one(
    root: DataRoot, pieces: Pieces
) -> None:
    for path in ("/x", "/y"):
        await root.write(path, pieces(b"1"))
    kept, own = Avu(name="study", value="7"), Avu(name="of", value="y")
    try:
        await root.set_metadata("/x", (kept,))
    except NotOffered:
        return
    await root.set_metadata("/y", (own,))
    await root.write("/x", pieces(b"22"), exists=IfExists.REPLACE)
    assert (await content(root, "/x"), await root.metadata("/x")) == (b"22", (kept,))
    await root.move("/y", "/x", overwrite=True)
    assert (await content(root, "/x"), await root.metadata("/x")) == (b"1", (own,))
