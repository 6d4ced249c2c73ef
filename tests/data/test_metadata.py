"""Metadata and replicas, whatever filesystem the data root is on."""

from __future__ import annotations

from nds_jupyter.data.data_root import DataRoot
from nds_jupyter.data.entries import Avu
from nds_jupyter.data.object_writer import IfExists
from nds_jupyter.errors import NotOffered
from tests.data.inspection import Chunks, content


async def test_metadata_is_kept_and_moves_along(prepared_root: DataRoot, chunks: Chunks) -> None:
    await prepared_root.make_collection("/c")
    await prepared_root.write("/x", chunks(b"1"))
    avus = (Avu(name="nds.job", value="ab"), Avu(name="ü", value="'\"%", unit="m"))
    try:
        assert set(await prepared_root.set_metadata("/x", avus)) == set(avus)
    except NotOffered:
        assert prepared_root.backend.protocols == ("memory",)
        return
    await prepared_root.move("/x", "/c/y")
    assert set(await prepared_root.metadata("/c/y")) == set(avus)
    assert await prepared_root.set_metadata("/c/y", ()) == ()
    assert await prepared_root.metadata("/c") == ()


async def test_one_replica_where_nothing_is_copied(prepared_root: DataRoot, chunks: Chunks) -> None:
    await prepared_root.write("/x", chunks(b"12"))
    replicas = await prepared_root.replicas("/x")
    assert [(each.status, each.size) for each in replicas] == [("good", 2)]


async def test_replacing_object_keeps_the_metadata(prepared_root: DataRoot, chunks: Chunks) -> None:
    for path in ("/x", "/y"):
        await prepared_root.write(path, chunks(b"1"))
    kept, own = Avu(name="study", value="7"), Avu(name="of", value="y")
    try:
        await prepared_root.set_metadata("/x", (kept,))
    except NotOffered:
        return
    await prepared_root.set_metadata("/y", (own,))
    await prepared_root.write("/x", chunks(b"22"), exists=IfExists.REPLACE)
    assert (await content(prepared_root, "/x"), await prepared_root.metadata("/x")) == (
        b"22",
        (kept,),
    )
    await prepared_root.move("/y", "/x", overwrite=True)
    assert (await content(prepared_root, "/x"), await prepared_root.metadata("/x")) == (
        b"1",
        (own,),
    )
