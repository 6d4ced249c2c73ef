"""Inputs from iRODS into containers, against the client's own `get` and `docker cp`."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.bench import Bench, alternate, delete
from benchmarks.report import Figure, median
from benchmarks.streams import MIB, Memory, command_line, server_pid
from benchmarks.zones import clients
from dev.images import SHELL_IMAGE
from dev.jupyter import jupyter_server

LARGE = 1024
"""MiB of the large object."""

MANY = 10_000
ONE_BY_ONE = 500
"""Objects that the client fetches; the time for `MANY` is multiplied from theirs."""


@dataclass(frozen=True, kw_only=True)
class Staged:
    """A server whose data root is a zone, the client's session with it, and a local folder."""

    bench: Bench
    session: Any
    home: str
    folder: Path

    def stage(self, path: str) -> None:
        """Run a job that does nothing over an input, and remove it."""
        body = {
            "script": "true",
            "scriptname": "x.sh",
            "command": ["true"],
            "image_name": SHELL_IMAGE,
            "data": path,
        }
        with self.bench.http() as http:
            answer = http.post("nds/upload", json=body).raise_for_status()
            asked = {"job_id": answer.json()["job_id"], "wait": 60}
            job = http.get("nds/upload", params=asked).json()
            while job["state"] not in {"COMPLETED", "FAILED", "CANCELLED"}:
                job = http.get("nds/upload", params=asked).json()
            if job["state"] != "COMPLETED":
                raise SystemExit(f"The job to be measured failed: {json.dumps(job)}")
            delete(http, job["job_id"])

    def get(self, path: str) -> Path:
        """Fetch an object into a file as the client does."""
        local = self.folder / "got"
        self.session.data_objects.get(f"{self.home}{path}", os.fspath(local), forceFlag="")
        return local

    def copy_in(self, local: Path) -> None:
        """Copy a file into a new container, and remove that."""
        with contextlib.closing(self.bench.engine()) as engine:
            container = engine.create_container(SHELL_IMAGE, ["true"])["Id"]
            command_line(self.bench, "cp", os.fspath(local), f"{container}:/{local.name}")
            engine.remove_container(container)


@contextlib.contextmanager
def staged(bench: Bench, many: int = 0) -> Iterator[Staged]:
    """Run a zone and a server over it."""
    with clients(many) as at:
        arguments = [f"--NdsApp.data_root=irods://{at.home}", "--NdsApp.owner=zone"]
        variables = {"IRODS_ENVIRONMENT_FILE": os.fspath(at.environment)}
        with jupyter_server(
            bench.endpoint, SHELL_IMAGE, at.folder, arguments, environment=variables
        ) as server:
            yield Staged(
                bench=replace(bench, server=server),
                session=at.session,
                home=at.home,
                folder=at.folder,
            )


def large_object(bench: Bench) -> Iterator[Figure]:
    """Time of a job over one large object, and what it costs the server's memory."""
    mebibytes = bench.scaled(LARGE)
    with staged(bench) as at:
        local = at.folder / "large"
        with local.open("wb") as file:
            for _ in range(mebibytes):
                file.write(os.urandom(MIB))
        at.session.data_objects.put(os.fspath(local), f"{at.home}/large")
        local.unlink()
        with Memory(server_pid(at.bench)) as memory:
            mine, theirs = alternate(
                lambda: at.stage("/large"), lambda: at.copy_in(at.get("/large")), bench.repeats
            )
    yield Figure(
        what=f"job over an object of {mebibytes} MiB in a zone",
        rival="get to disk, docker cp",
        ours=median(mine),
        theirs=median(theirs),
        unit="s",
        at_most=1.0,
    )
    yield Figure(
        what="server memory growth meanwhile",
        rival="64 MiB",
        ours=memory.growth / MIB,
        theirs=64.0,
        unit="MiB",
        at_most=1.0,
    )


def many_objects(bench: Bench) -> Iterator[Figure]:
    """Time of a job over a collection of many small objects."""
    number = bench.scaled(MANY)
    fetched = min(number, ONE_BY_ONE)
    with staged(bench, number) as at:

        def one_by_one() -> None:
            for index in range(fetched):
                at.get(f"/many/object-{index:06d}")

        mine, theirs = alternate(lambda: at.stage("/many"), one_by_one, max(1, bench.repeats // 2))
    yield Figure(
        what=f"job over {number} objects of 1 KiB in a zone",
        rival=f"one get each ({fetched} timed)",
        ours=median(mine),
        theirs=median(theirs) * number / fetched,
        unit="s",
        at_most=0.25,
    )
