"""What every measurement needs: a server with the extension, its rival, and how often to repeat."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import docker
import httpx

from dev.engine_api import Endpoint
from dev.images import SHELL_IMAGE
from dev.jupyter import Server

TINY = ["sh", "-c", "echo hello"]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A running server, the engine below it, and the rival that uses the engine alone.

    Parameters
    ----------
    repeats
        Pairs of ours and theirs that are measured; medians are reported.
    scale
        1 for the sizes that the goals name; less for a quick look.
    """

    server: Server
    endpoint: Endpoint
    repeats: int
    scale: float

    def http(self) -> httpx.Client:
        """Return a client of the server."""
        return httpx.Client(
            base_url=self.server.url,
            headers={"Authorization": f"token {self.server.token}"},
            timeout=300.0,
            trust_env=False,
        )

    def engine(self) -> Any:
        """Return a client of the engine, the Docker SDK's lowest level."""
        return docker.APIClient(base_url=self.endpoint.url, version="auto", timeout=300)

    def scaled(self, size: int) -> int:
        """Return a size for this run."""
        return max(1, int(size * self.scale))


def submit(http: httpx.Client, command: list[str] | None = None) -> str:
    """Submit a job of the shell image and return its id."""
    body = {
        "script": "true",
        "scriptname": "x.sh",
        "command": command or TINY,
        "image_name": SHELL_IMAGE,
    }
    answer = http.post("nds/upload", json=body)
    answer.raise_for_status()
    return str(answer.json()["job_id"])


def log_to_the_end(http: httpx.Client, job_id: str) -> str:
    """Follow a job's log until the job has ended, and return it."""
    answer = http.get("nds/stdout", params={"job_id": job_id, "follow": 1})
    answer.raise_for_status()
    return answer.text


def finished_job(http: httpx.Client, command: list[str]) -> dict[str, Any]:
    """Run a job to its end and return it; it must end well."""
    job_id = submit(http, command)
    log_to_the_end(http, job_id)
    job: dict[str, Any] = http.get("nds/upload", params={"job_id": job_id}).json()
    if job["state"] != "COMPLETED":
        raise SystemExit(f"The job to be measured failed: {json.dumps(job)}")
    return job


def delete(http: httpx.Client, job_id: str) -> None:
    """Remove a job with its container."""
    http.delete(f"nds/jobs/{job_id}").raise_for_status()


def seconds(act: Callable[[], object]) -> float:
    """Return how long a call takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def alternate(
    ours: Callable[[], object],
    theirs: Callable[[], object],
    repeats: int,
    before: Callable[[], object] = lambda: None,
) -> tuple[list[float], list[float]]:
    """Time two calls in turn, so that the machine's moods meet both; the first pair warms up.

    Parameters
    ----------
    before
        Done before each pair, and not timed.
    """
    ours(), theirs()
    pairs = []
    for number in range(repeats):
        before()
        if number % 2:
            late = seconds(theirs)
            pairs.append((seconds(ours), late))
        else:
            pairs.append((seconds(ours), seconds(theirs)))
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
