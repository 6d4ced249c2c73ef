"""Calls to the Engine API: on the event loop where possible, else by the SDK in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec

from nds_jupyter.engines.docker.http import EngineHttpClient
from nds_jupyter.engines.docker.sdk_clients import SdkClients, translated
from nds_jupyter.errors import ContainerNotFound, NdsError

T = TypeVar("T")


class EngineCalls:
    """Calls of one engine that are answered at once.

    Parameters
    ----------
    threads
        Calls of the SDK at one time.
    deadline
        Seconds for a call.
    """

    def __init__(self, clients: SdkClients, threads: int, deadline: float) -> None:
        self._clients = clients
        self._deadline = deadline
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="nds-engine")
        self._asking = EngineHttpClient(clients, deadline)

    async def _call(
        self, what: str, call: Callable[[Any], T], missing: type[NdsError] = ContainerNotFound
    ) -> T:
        def work() -> T:
            with translated(what, missing):
                return call(self._clients.of_this_thread())

        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def _get(
        self, what: str, path: str, answer: type[T], params: Mapping[str, str] | None = None
    ) -> T:
        """Ask for something.

        Parameters
        ----------
        what
            The thing, as a sentence begins.
        path
            Of the Engine API, without its version.
        answer
            What is read of the answer; the rest is skipped.
        """
        wanted = params or {}
        with translated(what):
            content = await self._asking.get(path, wanted)
        if content is None:
            content = await self._call(what, lambda client: _by_the_sdk(client, path, wanted))
        return msgspec.json.decode(content, type=answer)

    async def _end_calls(self) -> None:
        self._asking.close()
        await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)
        self._clients.close()


def _by_the_sdk(client: Any, path: str, params: Mapping[str, str]) -> bytes:
    response = client._get(client._url(path), params=params)
    client._raise_for_status(response)
    return bytes(response.content)
