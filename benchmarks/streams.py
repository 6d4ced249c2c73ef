"""Logs and results against the Docker command line."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench import Bench, alternate, delete, finished_job
from benchmarks.report import Figure, median

LINE = "x" * 69
MIB = 2**20


def command_line(bench: Bench, *words: str) -> None:
    """Run the Docker command line with its output thrown away."""
    env = {**os.environ, **bench.endpoint.environment}
    with Path(os.devnull).open("wb") as nowhere:
        subprocess.run(["docker", *words], stdout=nowhere, stderr=nowhere, check=True, env=env)


def discarding(bench: Bench, path: str) -> list[str]:
    """Return the command that reads a streamed answer by curl and keeps nothing of it.

    A rival in Go deserves a client in C.
    """
    return [
        *("curl", "--silent", "--fail", "--output", os.devnull),
        *("--header", f"Authorization: token {bench.server.token}"),
        *("--header", "Accept: text/plain"),
        f"{bench.server.url}{path}",
    ]


def discard(bench: Bench, path: str) -> None:
    """Read a streamed answer to its end."""
    subprocess.run(discarding(bench, path), check=True)


def log_rate(bench: Bench) -> Iterator[Figure]:
    """Rate of a log of 70-byte lines."""
    lines = bench.scaled(500_000)
    with bench.http() as http:
        job = finished_job(http, ["sh", "-c", f"yes {LINE} | head -n {lines}"])
        size = lines * (len(LINE) + 1)
        mine, theirs = alternate(
            lambda: discard(bench, f"nds/stdout?job_id={job['job_id']}"),
            lambda: command_line(bench, "logs", job["container_id"]),
            bench.repeats,
        )
        delete(http, job["job_id"])
    yield Figure(
        what=f"log of {lines} lines of 70 bytes",
        rival="docker logs",
        ours=size / median(mine) / MIB,
        theirs=size / median(theirs) / MIB,
        unit="MiB/s",
        at_least=1.0,
    )


class Memory:
    """The most memory that a process had while a block ran, in bytes above what it had before."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self._done = threading.Event()
        self._most = 0
        self.growth = 0

    def _resident(self) -> int:
        line = next(x for x in self._status.read_text().splitlines() if x.startswith("VmRSS"))
        return int(line.split()[1]) * 1024

    def _watch(self) -> None:
        while not self._done.wait(0.02):
            self._most = max(self._most, self._resident())

    def __enter__(self) -> Memory:
        self._before = self._most = self._resident()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._done.set()
        self._thread.join()
        self.growth = self._most - self._before


def server_pid(bench: Bench) -> int:
    """Return the Jupyter server's process."""
    (record,) = bench.server.runtime_folder.glob("jpserver-*.json")
    return int(record.stem.rpartition("-")[2])


def result_rate(bench: Bench) -> Iterator[Figure]:
    """Rate of a result of 1 GiB, and what it costs the server's memory."""
    mebibytes = bench.scaled(1024)
    with bench.http() as http:
        make = f"dd if=/dev/zero of=/results/big bs=1M count={mebibytes}"
        job = finished_job(http, ["sh", "-c", make])
        with Memory(server_pid(bench)) as memory:
            mine, theirs = alternate(
                lambda: discard(bench, f"nds/results?job_id={job['job_id']}"),
                lambda: command_line(bench, "cp", f"{job['container_id']}:/results", "-"),
                bench.repeats,
            )
        delete(http, job["job_id"])
    yield Figure(
        what=f"result of {mebibytes} MiB",
        rival="docker cp CONTAINER:/results -",
        ours=mebibytes / median(mine),
        theirs=mebibytes / median(theirs),
        unit="MiB/s",
        at_least=1.0,
    )
    yield Figure(
        what="server memory growth meanwhile",
        rival="64 MiB",
        ours=memory.growth / MIB,
        theirs=64.0,
        unit="MiB",
        at_most=1.0,
    )


def settle(moment: float = 1.0) -> None:
    """Let what a measurement set off come to rest before the next."""
    time.sleep(moment)
