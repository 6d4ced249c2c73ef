"""HTTP requests on the event loop: connections are kept alive, and answers never mixed up."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import docker.tls
import pytest

from nds_jupyter.engines.docker.engine import DockerEngine
from nds_jupyter.engines.docker.http import EngineHttpClient, _tls_context
from nds_jupyter.engines.docker.sdk_clients import SdkClients
from nds_jupyter.errors import ContainerNotFound, DeadlineExceeded, EngineUnavailable
from tests.engine.proxy import EngineProxy

PATH = "/containers/json"


class EchoServer:
    """HTTP server that answers each request with its target, when a test lets it."""

    def __init__(self) -> None:
        self.connections = 0
        self.is_requested = asyncio.Event()
        self.serving: list[Any] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.status = "200 OK"
        self.ends_connections = False
        self.cuts_answers = False
        self.chunk = 0
        """Bytes of a chunk; 0 for an answer that says its length."""
        self.pause = 0.0
        """Seconds before the last bytes of an answer in chunks."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.serving.append(asyncio.current_task())
        try:
            while line := await reader.readline():
                target = line.split()[1].decode()
                while (await reader.readline()).strip():
                    pass
                self.is_requested.set()
                await self.may_answer.wait()
                long = len(target) + 100 * self.cuts_answers
                head = f"HTTP/1.1 {self.status}\r\nContent-Length: {long}\r\n\r\n"
                if self.chunk:
                    await self.write_chunks(target.encode(), writer)
                else:
                    writer.write(f"{head}{target}".encode())
                await writer.drain()
                if self.ends_connections or self.cuts_answers:
                    break
        finally:
            writer.close()

    async def write_chunks(self, body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(body), self.chunk):
            part = body[at : at + self.chunk]
            writer.write(b"%x\r\n%s\r\n" % (len(part), part))
        writer.write(b"0\r\n")
        await asyncio.sleep(self.pause)
        writer.write(b"\r\n")


class ClientsWithVersion(SdkClients):
    """Clients that know the API's version already."""

    @property
    def version(self) -> str | None:
        return "1.41"


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[EchoServer, EngineHttpClient]]:
    server, path = EchoServer(), folder / "engine.sock"
    client = EngineHttpClient(ClientsWithVersion(f"unix://{path}", 2.0), 2.0)
    async with await asyncio.start_unix_server(server.serve, path, limit=2**20):
        yield server, client
        client.close()
        server.may_answer.set()
        await asyncio.gather(*server.serving, return_exceptions=True)


async def test_connections_are_kept_and_each_request_has_its_answer(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, client):
        for turn in range(3):
            answers = await asyncio.gather(
                *(client.get(PATH, {"n": f"{turn}{each}"}) for each in range(3))
            )
            assert answers == [f"/v1.41{PATH}?n={turn}{each}".encode() for each in range(3)]
        assert server.connections == 3


async def test_answer_to_a_cancelled_request_is_dropped(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, client):
        await client.get(PATH, {"n": "first"})
        server.may_answer.clear()
        server.is_requested.clear()
        cancelled = asyncio.create_task(client.get(PATH, {"n": "given-up"}))
        await server.is_requested.wait()
        cancelled.cancel()
        await asyncio.wait([cancelled])
        assert cancelled.cancelled()
        server.may_answer.set()
        assert await client.get(PATH, {"n": "next"}) == f"/v1.41{PATH}?n=next".encode()
        assert server.connections == 2


async def test_connection_that_the_engine_has_closed_is_opened_again(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, client):
        server.ends_connections = True
        for turn in range(3):
            assert await client.get(PATH, {"n": str(turn)}) == f"/v1.41{PATH}?n={turn}".encode()
        assert server.connections == 3


@pytest.mark.parametrize("chunk", [1, 7, 4096, 100_000])
@pytest.mark.parametrize("pause", [0.0, 0.02])
async def test_answer_in_chunks_is_whole_and_none_of_it_left_for_the_next(
    tmp_path: Path, chunk: int, pause: float
) -> None:
    async with served(tmp_path) as (server, client):
        server.chunk, server.pause = chunk, pause
        for turn in range(3):
            name = f"{turn}" * 50_000
            assert await client.get(PATH, {"n": name}) == f"/v1.41{PATH}?n={name}".encode()


async def test_error_is_left_to_the_sdk_and_its_connection_is_kept(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, client):
        server.status = "404 Not Found"
        assert await client.get(PATH, {}) is None
        server.status = "200 OK"
        assert await client.get(PATH, {}) == f"/v1.41{PATH}".encode()
        assert server.connections == 1


async def test_answer_that_is_cut_is_none(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, client):
        server.cuts_answers = True
        assert await client.get(PATH, {}) is None


async def test_silent_engine_is_waited_for_no_longer_than_the_deadline(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as (server, client):
        server.may_answer.clear()
        client._deadline = 0.2
        with pytest.raises(TimeoutError):
            await client.get(PATH, {})


async def test_connection_whose_answer_comes_after_the_end_is_closed(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, client):
        server.may_answer.clear()
        late = asyncio.create_task(client.get(PATH, {}))
        await server.is_requested.wait()
        client.close()
        server.may_answer.set()
        assert await late == f"/v1.41{PATH}".encode()
        # The server sees the end of the connection.
        async with asyncio.timeout(2):
            await asyncio.gather(*server.serving)


@pytest.mark.parametrize("steps", range(6))
async def test_cancelled_request_leaves_no_socket_open(tmp_path: Path, steps: int) -> None:
    async with served(tmp_path) as (server, client):
        server.may_answer.clear()
        request = asyncio.create_task(client.get(PATH, {}))
        for _ in range(steps):
            await asyncio.sleep(0)
        request.cancel()
        with warnings.catch_warnings(record=True, action="always") as seen:
            await asyncio.wait([request])
            del request
            gc.collect()
        assert [str(each.message) for each in seen] == []
        server.may_answer.set()


@pytest.mark.parametrize("url", ["ssh://ada@nowhere.invalid", "tcp://127.0.0.1:9", "no-context"])
async def test_other_transports_are_left_to_the_sdk(url: str) -> None:
    assert await EngineHttpClient(ClientsWithVersion(url, 2.0), 2.0).get(PATH, {}) is None


async def test_version_is_not_known_before_a_client_was_made(tmp_path: Path) -> None:
    clients = SdkClients(f"unix://{tmp_path}/engine.sock", 2.0)
    assert await EngineHttpClient(clients, 2.0).get(PATH, {}) is None


@pytest.mark.parametrize("verify", [False, None, "/some/authority.pem"])
def test_tls_without_plain_verification_is_left_to_the_sdk(verify: Any) -> None:
    assert _tls_context(docker.tls.TLSConfig(verify=verify)) is None


@asynccontextmanager
async def closed_after(engine: DockerEngine) -> AsyncIterator[DockerEngine]:
    yield engine
    await engine.close()


@pytest.mark.engine
async def test_real_engine_that_loses_every_connection_is_connected_again(
    proxy: EngineProxy,
) -> None:
    async with closed_after(DockerEngine(proxy.url)) as engine:
        for _ in range(3):
            await engine.containers({"nds.test": "none"}, include_ended=True)
            proxy.cut()
        assert await engine.containers({"nds.test": "none"}, include_ended=True) == ()


@pytest.mark.engine
async def test_real_engine_says_what_is_missing_over_a_kept_connection(
    docker_engine_url: str,
) -> None:
    async with closed_after(DockerEngine(docker_engine_url)) as engine:
        await engine.containers({}, include_ended=True)
        with pytest.raises(ContainerNotFound, match="no such container"):
            await engine.inspect("nosuch/../x y")


@pytest.mark.engine
async def test_engine_that_hangs_or_is_gone_is_distinguished(
    proxy: EngineProxy, tmp_path: Path
) -> None:
    async with closed_after(DockerEngine(proxy.url, deadline=1.0)) as engine:
        await engine.containers({}, include_ended=True)
        proxy.hold_request("^GET .*/containers/json")
        with pytest.raises(DeadlineExceeded):
            await engine.containers({}, include_ended=True)
        proxy.release()
        proxy.cut()
        (tmp_path / "engine.sock").unlink()
        with pytest.raises(EngineUnavailable, match="its socket is not there"):
            await engine.containers({}, include_ended=True)
