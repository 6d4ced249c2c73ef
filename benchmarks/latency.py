"""Whether the notebook server stutters while it streams."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.bench import Bench, delete, finished_job, seconds, submit
from benchmarks.report import Figure, median, percentile
from benchmarks.streams import discarding, settle

FOLLOWERS = 50
TALKERS = 10
TALK = "i=0; while [ $i -lt 100000 ]; do echo line $i; i=$((i+1)); sleep 0.05; done"
PROBES = 300

READER = """
import sys, threading, httpx
url, token, jobs = sys.argv[1], sys.argv[2], sys.argv[3:]
def read(job):
    headers = {"Authorization": f"token {token}"}
    query = {"job_id": job, "follow": 1}
    with httpx.Client(timeout=None, trust_env=False) as http:
        with http.stream("GET", f"{url}nds/stdout", params=query, headers=headers) as answer:
            for _ in answer.iter_raw():
                pass
threads = [threading.Thread(target=read, args=[job], daemon=True) for job in jobs]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def probe(bench: Bench) -> list[float]:
    """Time a trivial route, many times, a hundredth of a second apart."""
    took = []
    with bench.http() as http:
        http.get("api")
        for _ in range(PROBES):
            took.append(seconds(lambda: http.get("api").raise_for_status()) * 1000)
            time.sleep(0.01)
    return took


def follower(bench: Bench, jobs: list[str]) -> subprocess.Popen[bytes]:
    """Follow logs in a process of its own, so that only the server is measured."""
    return subprocess.Popen(
        [sys.executable, "-c", READER, bench.server.url, bench.server.token, *jobs],
        stderr=subprocess.DEVNULL,
    )


def downloader(bench: Bench, job_id: str) -> subprocess.Popen[bytes]:
    """Download results again and again by curl: a client in Python would take a core for itself."""
    curl = " ".join(map(shlex.quote, discarding(bench, f"nds/results?job_id={job_id}")))
    return subprocess.Popen(
        ["sh", "-c", f"while {curl}; do :; done"], stderr=subprocess.DEVNULL, start_new_session=True
    )


def end(child: subprocess.Popen[bytes]) -> None:
    """End a child with what it started."""
    if os.getpgid(child.pid) == child.pid:
        os.killpg(child.pid, signal.SIGKILL)
    else:
        child.kill()
    child.wait()


def while_streaming(bench: Bench) -> Iterator[Figure]:
    """p99 of a trivial route, idle and under 50 followed logs and one big download."""
    with bench.http() as http:
        mebibytes = bench.scaled(1024)
        make = f"dd if=/dev/zero of=/results/big bs=1M count={mebibytes}"
        big = finished_job(http, ["sh", "-c", make])
        talkers = [submit(http, ["sh", "-c", TALK]) for _ in range(TALKERS)]
        settle(5.0)
        idle, logs, both = [], [], []
        for _ in range(max(1, bench.repeats // 2)):
            idle.append(percentile(probe(bench), 99))
            followers = follower(bench, [talkers[n % TALKERS] for n in range(FOLLOWERS)])
            settle(5.0)
            logs.append(percentile(probe(bench), 99))
            download = downloader(bench, big["job_id"])
            settle()
            both.append(percentile(probe(bench), 99))
            for child in (download, followers):
                end(child)
            settle(2.0)
        for job_id in [*talkers, big["job_id"]]:
            http.post("nds/stop", params={"job_id": job_id, "timeout": 0})
            delete(http, job_id)
    for what, took, goal in (
        (f"p99 of GET /api with {FOLLOWERS} logs followed", logs, None),
        (f"p99 of GET /api with {FOLLOWERS} logs and a {mebibytes} MiB download", both, 20.0),
    ):
        yield Figure(
            what=what,
            rival=f"the same route with {TALKERS} jobs running and nobody looking",
            ours=median(took),
            theirs=median(idle),
            unit="ms",
            at_most=goal,
            difference=True,
        )
