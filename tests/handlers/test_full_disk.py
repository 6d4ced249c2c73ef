"""Jobs on an engine whose disk is full, or fills while inputs come."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.engine_api import Endpoint
from dev.images import SHELL_IMAGE, ensure_image
from dev.private_engine import PrivateEngine
from tests.handlers.http_client import Ask, json_of, run_script
from tests.irods_zone.codes import Api
from tests.irods_zone.zone import Zone
from tests.roots import Root
from tests.waiting import until

pytestmark = [
    pytest.mark.engine,
    # The iRODS client leaves the sockets of broken connections to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

DISK = 96 * 2**20
ROOM = 4 * 2**20


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a small file system of its own."""
    folder = tmp_path_factory.mktemp("disk")
    mount, umount = shutil.which("mount"), shutil.which("umount")
    assert mount is not None
    assert umount is not None
    size = f"size={DISK}"
    subprocess.run([mount, "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run([umount, "-l", str(folder)], check=True)


@pytest.fixture(scope="module")
def small_engine(disk: Path) -> Iterator[Endpoint]:
    """Give an engine that has all its data on that disk."""
    engine = PrivateEngine(disk)
    endpoint = engine.acquire()
    try:
        ensure_image(endpoint, SHELL_IMAGE)
        yield endpoint
    finally:
        engine.release()


@pytest.fixture
def engine_traits(small_engine: Endpoint) -> dict[str, Any]:
    return {"engine_url": small_engine.url}


@pytest.fixture
def data_traits(data_root: Root) -> dict[str, Any]:
    return {"data_root": data_root.url}


@pytest.mark.parametrize("data_root", ["folder"], indirect=True)
async def test_inputs_that_do_not_fit_fail_before_anything_moves(ask: Ask, data_root: Root) -> None:
    data_root.put("/in/big", b"")
    os.truncate(f"{data_root.base}/in/big", 2 * DISK)
    job = await run_script(ask, "true", data="/in")
    assert (job["state"], job["reason"], job["started"]) == ("FAILED", "data", None), job
    assert "The inputs have 192 MiB, and the engine's disk has only" in job["message"]
    assert json_of(await ask("GET", "/list_container")) == []


@pytest.mark.parametrize("data_root", ["faulty"], indirect=True)
async def test_disk_that_fills_while_inputs_come_fails_the_job_and_takes_nothing(
    ask: Ask, data_root: Root, faulty_zone: Zone, disk: Path
) -> None:
    data_root.put("/in/big", os.urandom(4 * ROOM))
    faulty_zone.faults.stall(Api.READ)
    body = {"script": "true", "scriptname": "a.sh", "data": "/in"}
    job_id = json_of(await ask("POST", "/upload", body))["job_id"]
    await until(lambda: Api.READ in faulty_zone.faults.calls, "the first read")
    filler = disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(disk).free - ROOM))
    try:
        faulty_zone.faults.clear()
        job = json_of(await ask("GET", "/upload", job_id=job_id, wait=60))
    finally:
        filler.unlink()
    assert (job["state"], job["reason"], job["started"]) == ("FAILED", "data", None), job
    assert "/in" in job["message"]
    assert "the engine's disk is full. Free space there" in job["message"]
    assert json_of(await ask("GET", "/list_container")) == []
    job = await run_script(ask, "wc -c < /data/in/big", data="/in")
    assert job["state"] == "COMPLETED", job
