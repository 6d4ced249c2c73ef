"""A download that is written to its reader by the thread that reads it from the engine."""

from __future__ import annotations

import asyncio
import io
import socket
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from nds_jupyter.handlers.response_streams import SocketSink
from tests.engine.proxy import EngineProxy
from tests.handlers.http_client import Ask, run_script
from tests.waiting import until

pytestmark = pytest.mark.engine

BIG = "dd if=/dev/urandom of=/results/big bs=1M count=48"


@pytest.fixture
def engine_traits(proxy: EngineProxy) -> dict[str, Any]:
    return {"engine_url": proxy.url}


@pytest.fixture
def download(ask: Ask, jp_serverapp: Any) -> Any:
    """Give what runs a job that leaves 48 MiB and begins to read them by a raw connection."""

    async def download(version: str = "1.1") -> tuple[asyncio.StreamReader, Any]:
        job = await run_script(ask, BIG)
        reader, writer = await asyncio.open_connection("127.0.0.1", jp_serverapp.port)
        path = f"{jp_serverapp.base_url}nds/results?job_id={job['job_id']}"
        writer.write(
            f"GET {path} HTTP/{version}\r\nHost: 127.0.0.1:{jp_serverapp.port}\r\n"
            f"Authorization: token {jp_serverapp.identity_provider.token}\r\n\r\n".encode()
        )
        return reader, writer

    return download


async def headers_of(reader: asyncio.StreamReader) -> str:
    return (await reader.readuntil(b"\r\n\r\n")).decode()


async def chunks_of(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int(await reader.readline(), 16):
        parts.append(await reader.readexactly(size))
        assert await reader.readline() == b"\r\n"
    return b"".join(parts)


def names(tar: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return archive.getnames()


def relays() -> int:
    return sum(thread.name == "nds-relay" for thread in threading.enumerate())


async def test_whole_archive_comes_and_the_connection_serves_on(
    download: Any, jp_serverapp: Any
) -> None:
    reader, writer = await download()
    assert "transfer-encoding: chunked" in (await headers_of(reader)).lower()
    assert names(await chunks_of(reader)) == ["results", "results/big"]
    assert await reader.readline() == b"\r\n"
    writer.write(f"GET {jp_serverapp.base_url}api HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    assert (await headers_of(reader)).startswith("HTTP/1.1 200")
    writer.close()


async def test_old_client_gets_it_without_chunks(download: Any) -> None:
    reader, writer = await download("1.0")
    assert "transfer-encoding" not in (await headers_of(reader)).lower()
    assert names(await reader.read()) == ["results", "results/big"]
    writer.close()


async def test_reader_that_leaves_ends_the_thread(download: Any) -> None:
    reader, writer = await download()
    await headers_of(reader)
    assert relays() == 1
    writer.transport.abort()
    await until(lambda: relays() == 0, "the thread to end")


async def test_engine_that_breaks_off_cuts_the_answer(download: Any, proxy: EngineProxy) -> None:
    reader, writer = await download()
    await headers_of(reader)
    proxy.cut()
    with pytest.raises((asyncio.IncompleteReadError, ValueError)):
        await chunks_of(reader)
    writer.close()


def test_sink_goes_on_where_the_socket_had_no_more_room() -> None:
    ours, theirs = socket.socketpair()
    sent = [bytes([number]) * 300_000 for number in range(5)]
    with ours, theirs, theirs.makefile("rb") as reader, ThreadPoolExecutor(1) as pool:
        ours.setblocking(False)
        sink = SocketSink(ours)
        sending = pool.submit(sink.send, sent)
        assert int(reader.readline(), 16) == 1_500_000
        assert reader.read(1_500_000) == b"".join(sent)
        assert reader.read(2) == b"\r\n"
        sending.result()
        sink.close()
