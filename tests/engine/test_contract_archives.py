"""What every engine keeps to: what goes into a container, and what comes out of it."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from contextlib import aclosing

import pytest

from nds_jupyter.engines.base import (
    BytesLike,
    Engine,
)
from nds_jupyter.errors import (
    ContainerNotFound,
    PathNotFound,
)
from tests.engine.contract import archive_of, container, end_of, read_log


async def test_archive_put_in_is_found_before_the_start(engine: Engine) -> None:
    async with container(engine, "cat /given") as container_id:
        assert not await engine.path_exists(container_id, "/given")
        await engine.put_archive(container_id, "/", archive_of(given="content\n"))
        assert await engine.path_exists(container_id, "/given")
        await engine.start(container_id)
        await end_of(engine, container_id)
        assert await read_log(engine, container_id) == [("stdout", b"content\n")]


async def test_archive_read_begins_with_the_last_part_of_the_path(engine: Engine) -> None:
    script = "mkdir /made; printf abc > /made/file"
    async with container(engine, script) as container_id:
        await engine.start(container_id)
        await end_of(engine, container_id)
        async with aclosing(engine.archive(container_id, "/made")) as parts:
            data = b"".join([part async for part in parts])
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            assert tar.getnames() == ["made", "made/file"]
            file = tar.extractfile("made/file")
            assert file is not None
            assert file.read() == b"abc"
        with pytest.raises(PathNotFound, match="/nothing"):
            async with aclosing(engine.archive(container_id, "/nothing")) as parts:
                await anext(parts)


class MemorySink:
    """Sink that keeps its data in memory."""

    def __init__(self) -> None:
        self.data = b""
        self.closed = 0

    async def open(self) -> MemorySink:
        return self

    def send(self, parts: Sequence[BytesLike]) -> None:
        self.data += b"".join(parts)

    def abort(self) -> None:
        raise AssertionError("nobody ended it")

    def close(self) -> None:
        self.closed += 1


async def test_archive_is_sent_to_a_sink_as_it_is_read(engine: Engine) -> None:
    script = "mkdir /made; seq 50000 > /made/file"
    async with container(engine, script) as container_id:
        await engine.start(container_id)
        await end_of(engine, container_id)
        async with aclosing(engine.archive(container_id, "/made")) as parts:
            data = b"".join([part async for part in parts])
        sink = MemorySink()
        await engine.send_archive(container_id, "/made", sink.open)
        assert (sink.data == data, sink.closed) == (True, 1)
        nothing = MemorySink()
        with pytest.raises(PathNotFound, match="/nothing"):
            await engine.send_archive(container_id, "/nothing", nothing.open)
        assert (nothing.data, nothing.closed) == (b"", 0)


async def test_path_says_what_it_is(engine: Engine) -> None:
    script = "mkdir /made; printf abc > /made/file"
    async with container(engine, script) as container_id:
        await engine.start(container_id)
        await end_of(engine, container_id)
        file = await engine.stat(container_id, "/made/file")
        assert file is not None
        assert (file.kind, file.size) == ("file", 3)
        folder = await engine.stat(container_id, "/made")
        assert folder is not None
        assert folder.kind == "dir"
        assert await engine.stat(container_id, "/nothing") is None


async def test_archive_of_no_container_is_distinguished_from_no_path(engine: Engine) -> None:
    with pytest.raises(ContainerNotFound):
        async with aclosing(engine.archive("nds-nobody", "/results")) as parts:
            await anext(parts)
