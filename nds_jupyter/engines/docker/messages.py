"""Decoders of the Engine API's streams: logs, samples, events, pulls and builds. Pure."""

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
    ServiceTask,
)
from nds_jupyter.engines.docker import json_conversion
from nds_jupyter.errors import EngineError, ImageNotFound, NdsError
from nds_jupyter.jobs.job import Progress

HEADER = 8
_STREAMS = {0: LogStream.STDOUT, 1: LogStream.STDOUT, 2: LogStream.STDERR}


class LogFrameDecoder:
    """Decodes the frames of a log into chunks of one stream each, however they are split.

    Byte 0 of a frame is the stream (1 stdout, 2 stderr), bytes 4 to 7 are the payload's size,
    big-endian (Engine API, "Attach to a container", stream format).
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[LogChunk]:
        """Return the complete frames, those of one stream in a row as one chunk."""
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
                    chunks.append(_to_chunk(stream, parts))
                parts = []
                stream = data[start]
            parts.append(data[body:end])
            start = end
        if parts:
            chunks.append(_to_chunk(stream, parts))
        self._rest = data[start:]
        return chunks


def _to_chunk(stream: int, parts: list[bytes]) -> LogChunk:
    return LogChunk(stream=_STREAMS.get(stream, LogStream.STDOUT), data=b"".join(parts))


def decode_log(data: Iterator[bytes]) -> Iterator[LogChunk]:
    """Decode a framed log into chunks of one stream each."""
    decoder = LogFrameDecoder()
    for part in data:
        yield from decoder.feed(part)


def decode_json_lines(data: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    """Decode a stream of JSON lines, however it is split."""
    rest = b""
    for part in data:
        *lines, rest = (rest + part).split(b"\n")
        yield from (json.loads(line) for line in lines if line.strip())
    if rest.strip():
        yield json.loads(rest)


def decode_stats(data: Iterator[bytes]) -> Iterator[Sample]:
    """Decode the samples of a stream of stats, until the container has ended."""
    for message in decode_json_lines(data):
        # The engine goes on for ever about a container that has ended, and measures nothing.
        if json_conversion.parse_time(message.get("read")) is None:
            return
        sample = json_conversion.parse_sample(message)
        if sample is not None:
            yield sample


def decode_events(data: Iterator[bytes]) -> Iterator[EngineEvent]:
    """Decode the events of jobs' containers."""
    for message in decode_json_lines(data):
        attributes = message["Actor"]["Attributes"]
        exit_code = attributes.get("exitCode", "")
        yield EngineEvent(
            action=message["Action"].partition(":")[0],
            container_id=message["Actor"]["ID"],
            job_id=attributes.get(LABEL_JOB, ""),
            at=datetime.fromtimestamp(message["timeNano"] / 1e9, UTC),
            exit_code=int(exit_code) if exit_code.isdigit() else None,
            task=_service_task(attributes),
        )


def _service_task(attributes: Mapping[str, str]) -> ServiceTask | None:
    """Return a container's task from the labels that a node of a Swarm gives it."""
    swarm = "com.docker.swarm"
    if f"{swarm}.task.id" not in attributes:
        return None
    return ServiceTask(
        service_id=attributes.get(f"{swarm}.service.id", ""),
        task_id=attributes[f"{swarm}.task.id"],
        node_id=attributes.get(f"{swarm}.node.id", ""),
    )


def decode_pull(data: Iterator[bytes], reference: str) -> Iterator[Progress]:
    """Decode the progress of a pull, over all layers; a failure is raised."""
    done: dict[str, int] = {}
    total: dict[str, int] = {}
    reported_at = 0.0
    for message in decode_json_lines(data):
        if "error" in message:
            raise pull_error(reference, message["error"])
        detail = message.get("progressDetail") or {}
        if message.get("status") != "Downloading" or "current" not in detail:
            continue
        done[message["id"]] = detail["current"]
        total[message["id"]] = detail.get("total", detail["current"])
        if time.monotonic() - reported_at > 0.1:
            reported_at = time.monotonic()
            yield Progress(done=sum(done.values()), total=sum(total.values()), unit="bytes")


def pull_error(reference: str, message: str) -> NdsError:
    """Return the error of a pull that failed, from the engine's message."""
    missing = ("not found", "denied", "manifest unknown", "does not exist")
    if any(word in message.lower() for word in missing):
        return ImageNotFound(f"No registry has the image {reference}: {message}")
    return EngineError(f"The image {reference} can't be pulled: {message}")


def decode_build_log(data: Iterator[bytes]) -> Iterator[str]:
    """Decode the lines of a build's log; a step that fails ends it with `ImageNotFound`."""
    rest, failure = "", ""
    for message in decode_json_lines(data):
        # Read on to the end, which closes the connection.
        failure = failure or str(message.get("error", "")).strip()
        *lines, rest = (rest + message.get("stream", "")).split("\n")
        yield from (line for line in lines if line.strip())
    if rest.strip():
        yield rest
    if failure:
        raise ImageNotFound(failure)
