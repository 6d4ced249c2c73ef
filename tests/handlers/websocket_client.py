"""Client of the WebSocket `/events`, for tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tornado.websocket import WebSocketClientConnection

DEADLINE = 60.0
"""Seconds for any message; the machine may be busy."""

Connect = Callable[..., Awaitable["EventsClient"]]


class EventsClient:
    """WebSocket of one page, and the messages that it has received, in order."""

    def __init__(self, socket: WebSocketClientConnection) -> None:
        self.socket = socket
        self.received: list[dict[str, Any]] = []

    async def next(self) -> dict[str, Any] | None:
        async with asyncio.timeout(DEADLINE):
            message = await self.socket.read_message()
        if message is None:
            return None
        self.received.append(json.loads(message))
        return self.received[-1]

    async def until(self, reached: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Return the first message that fulfils a condition, received already or still to come."""
        for message in self.received:
            if reached(message):
                return message
        while (message := await self.next()) is not None:
            if reached(message):
                return message
        pytest.fail(f"The socket was closed. Last received: {self.received[-3:]}")

    async def follow(self, *follows: dict[str, Any]) -> None:
        await self.socket.write_message(json.dumps({"follow": follows}))

    async def log(self, job_id: str) -> list[dict[str, Any]]:
        """Read the lines of a followed job to the end."""
        await self.until(lambda message: message.get("end") and message["job_id"] == job_id)
        return self.lines(job_id)

    def lines(self, job_id: str) -> list[dict[str, Any]]:
        logs = [m for m in self.received if m["type"] == "log" and m["job_id"] == job_id]
        return [line for message in logs for line in message["lines"]]

    def phases(self, job_id: str) -> list[str]:
        jobs = [m for m in self.received if m["type"] == "job" and m["job_id"] == job_id]
        return [message["job"]["phase"] for message in jobs if "job" in message]
