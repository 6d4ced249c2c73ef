"""What an engine says in its streams, as values: log frames, samples, events, layers. Pure."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from nds_jupyter.engines import _translate as translate
from nds_jupyter.engines._frames import FrameReader
from nds_jupyter.engines.base import LABEL_JOB, EngineEvent, LogChunk, Sample, TaskOfService
from nds_jupyter.errors import EngineError, ImageNotFound, NdsError
from nds_jupyter.jobs import Progress


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
        if translate.moment(message.get("read")) is None:
            return
        sample = translate.sample(message)
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
