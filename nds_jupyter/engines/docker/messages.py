"""Messages in the Engine API's streams: log frames, samples, events, pull layers. Pure.

Byte 0 is the stream (1 stdout, 2 stderr), bytes 4 to 7 the payload's size, big-endian (Engine API,
"Attach to a container", stream format).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from nds_jupyter.engines.base import (
    LABEL_JOB,
    EngineEvent,
    LogChunk,
    LogStream,
    Sample,
    TaskOfService,
)
from nds_jupyter.engines.docker import conversion
from nds_jupyter.errors import EngineError, ImageNotFound, NdsError
from nds_jupyter.jobs.job import Progress

HEADER = 8
_STREAMS = {0: LogStream.STDOUT, 1: LogStream.STDOUT, 2: LogStream.STDERR}


class FrameReader:
    """Makes chunks of one stream each from the bytes of a framed log, however they are split."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[LogChunk]:
        """Return what is complete, frames of one stream in a row as one chunk."""
        data = self._rest + data if self._rest else data
        chunks: list[LogChunk] = []
        parts: list[bytes] = []
        stream = -1
        start, size = 0, len(data)
        # Reading 150,000 frames a second: nothing here may cost more than it must.
        while start + HEADER <= size:
            body = start + HEADER
            end = body + int.from_bytes(data[start + 4 : body], "big")
            if end > size:
                break
            if data[start] != stream:
                if parts:
                    chunks.append(_chunk(stream, parts))
                parts = []
                stream = data[start]
            parts.append(data[body:end])
            start = end
        if parts:
            chunks.append(_chunk(stream, parts))
        self._rest = data[start:]
        return chunks


def _chunk(stream: int, parts: list[bytes]) -> LogChunk:
    return LogChunk(stream=_STREAMS.get(stream, LogStream.STDOUT), data=b"".join(parts))


def log_chunks(data: Iterator[bytes]) -> Iterator[LogChunk]:
    """Return a framed log as chunks of one stream each."""
    frames = FrameReader()
    for part in data:
        yield from frames.feed(part)


def messages(data: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    """Return the objects of a stream of JSON lines, however it is split."""
    rest = b""
    for part in data:
        *lines, rest = (rest + part).split(b"\n")
        yield from (json.loads(line) for line in lines if line.strip())
    if rest.strip():
        yield json.loads(rest)


def samples(data: Iterator[bytes]) -> Iterator[Sample]:
    """Return the samples of a stream of stats, until the container has ended."""
    for message in messages(data):
        # The engine goes on for ever about a container that has ended, and measures nothing.
        if conversion.moment(message.get("read")) is None:
            return
        sample = conversion.sample(message)
        if sample is not None:
            yield sample


def events_of(data: Iterator[bytes]) -> Iterator[EngineEvent]:
    """Return what happened to containers of jobs."""
    for message in messages(data):
        facts = message["Actor"]["Attributes"]
        exit_code = facts.get("exitCode", "")
        yield EngineEvent(
            action=message["Action"].partition(":")[0],
            container_id=message["Actor"]["ID"],
            job_id=facts.get(LABEL_JOB, ""),
            at=datetime.fromtimestamp(message["timeNano"] / 1e9, UTC),
            exit_code=int(exit_code) if exit_code.isdigit() else None,
            task=_task(facts),
        )


def _task(facts: Mapping[str, str]) -> TaskOfService | None:
    """Return whose container it is from the labels that a node of a Swarm gives it."""
    swarm = "com.docker.swarm"
    if f"{swarm}.task.id" not in facts:
        return None
    return TaskOfService(
        service_id=facts.get(f"{swarm}.service.id", ""),
        task_id=facts[f"{swarm}.task.id"],
        node_id=facts.get(f"{swarm}.node.id", ""),
    )


def layers(data: Iterator[bytes], reference: str) -> Iterator[Progress]:
    """Return how far a pull is, over all layers; what the engine says of a failure is raised."""
    done: dict[str, int] = {}
    total: dict[str, int] = {}
    told = 0.0
    for message in messages(data):
        if "error" in message:
            raise pull_error(reference, message["error"])
        detail = message.get("progressDetail") or {}
        if message.get("status") != "Downloading" or "current" not in detail:
            continue
        done[message["id"]] = detail["current"]
        total[message["id"]] = detail.get("total", detail["current"])
        if time.monotonic() - told > 0.1:
            told = time.monotonic()
            yield Progress(done=sum(done.values()), total=sum(total.values()), unit="bytes")


def pull_error(reference: str, said: str) -> NdsError:
    """Return what an engine says of a pull that failed as an error of ours."""
    missing = ("not found", "denied", "manifest unknown", "does not exist")
    if any(word in said.lower() for word in missing):
        return ImageNotFound(f"No registry has the image {reference}: {said}")
    return EngineError(f"The image {reference} can't be pulled: {said}")
