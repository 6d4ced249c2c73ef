"""A page whose server is restarted under it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from dev.engine_api import Endpoint
from dev.images import SHELL_IMAGE
from dev.jupyter import Server
from tests.servers import isolated_server

pytestmark = pytest.mark.engine

LINES = 60
COUNT = f"i=0; while [ $i -lt {LINES} ]; do echo $i; i=$((i+1)); sleep 0.1; done"
PATIENCE = 120.0


async def receive(
    server: Server, since: str, follow: dict[str, Any], enough: Callable[[dict[str, Any]], object]
) -> list[dict[str, Any]]:
    """Return what a page is told that follows a job, until it has enough."""
    url = f"{server.url.replace('http', 'ws', 1)}nds/events?since={since}"
    headers = {"Authorization": f"token {server.token}"}
    socket = await websocket_connect(HTTPRequest(url, headers=headers))
    messages: list[dict[str, Any]] = []
    try:
        await socket.write_message(json.dumps({"follow": [follow]}))
        async with asyncio.timeout(PATIENCE):
            while not messages or not enough(messages[-1]):
                message = await socket.read_message()
                assert message is not None, messages[-3:]
                messages.append(json.loads(message))
    finally:
        socket.close()
    return messages


def lines_of(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for each in messages if each["type"] == "log" for line in each["lines"]]


def test_page_goes_on_with_a_restarted_server(docker_engine: Endpoint, tmp_path: Path) -> None:
    with isolated_server(docker_engine, SHELL_IMAGE, tmp_path) as server:
        job = server.ask("POST", "nds/upload", {"script": COUNT, "scriptname": "count.sh"})
        follow = {"job_id": job["job_id"], "log_tail": 100}
        before = asyncio.run(receive(server, "", follow, lambda m: m["type"] == "log"))
    known = lines_of(before)
    with isolated_server(docker_engine, SHELL_IMAGE, tmp_path) as server:
        again = {**follow, "log_since": known[-1]["time"]}
        seq = before[-1]["seq"]
        after = asyncio.run(receive(server, seq, again, lambda m: m.get("end")))
        assert server.ask("GET", f"nds/upload?job_id={job['job_id']}")["state"] == "COMPLETED"
    assert after[0]["type"] == "reset"
    assert after[0]["seq"].partition(".")[0] != seq.partition(".")[0]
    assert [line["text"] for line in known + lines_of(after)] == list(map(str, range(LINES)))
    assert all(each["refetch_since"] is None for each in after if each["type"] == "log")
