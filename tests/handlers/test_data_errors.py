"""Jobs whose data does not come or go as it should, on a real Docker Engine."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.handlers.http_client import Ask, json_of, run_script, submit_script, wait_for_end
from tests.irods_zone.codes import Api
from tests.irods_zone.zone import Zone
from tests.roots import WRONG, Root
from tests.waiting import until

pytestmark = [
    pytest.mark.engine,
    # The iRODS client leaves the sockets of broken connections to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

faulty = pytest.mark.parametrize("data_root", ["faulty"], indirect=True)

BIG = 12 * 2**20
ATTEMPTS = 3
"""How often the filesystem repeats what a broken connection interrupted."""


@pytest.fixture
def data_traits(data_root: Root) -> dict[str, Any]:
    return {"data_root": data_root.url, "data_retries": 1}


@pytest.fixture
def containers(ask: Ask) -> Callable[[], Awaitable[list[str]]]:
    """Give the jobs that have a container."""

    async def containers() -> list[str]:
        return [row["job_id"] for row in json_of(await ask("GET", "/list_container"))]

    return containers


async def half_staged(ask: Ask, data_root: Root, faulty_zone: Zone) -> str:
    """Begin a job whose input stands still in the middle, until the faults are cleared."""
    data_root.put("/in/big", os.urandom(BIG))
    faulty_zone.faults.stall(Api.READ, nth=2)
    job_id = await submit_script(ask, "true", data="/in")
    await until(lambda: faulty_zone.faults.calls.count(Api.READ) >= 2, "the second read")
    return job_id


@pytest.mark.parametrize("data_root", ["wrong password"], indirect=True)
async def test_wrong_password_fails_the_job_and_says_what_to_renew(ask: Ask) -> None:
    for fields, reason in (({"data": "/x"}, "data"), ({"output": "/out"}, "output")):
        job = await run_script(ask, "true", **fields)
        assert (job["state"], job["reason"]) == ("FAILED", reason), job
        assert "Run iinit again" in job["message"]
        assert WRONG not in json.dumps(job)


@faulty
async def test_password_that_expires_while_staging_fails_the_job(
    ask: Ask, data_root: Root, faulty_zone: Zone, containers: Any
) -> None:
    job_id = await half_staged(ask, data_root, faulty_zone)
    faulty_zone.expire_password()
    faulty_zone.faults.drop_now()
    job = await wait_for_end(ask, job_id)
    assert (job["state"], job["reason"]) == ("FAILED", "data"), job
    assert "has expired. Run iinit again" in job["message"]
    assert (job["started"], await containers()) == (None, [])


@faulty
async def test_input_goes_on_at_the_byte_where_the_connection_dropped(
    ask: Ask, data_root: Root, faulty_zone: Zone
) -> None:
    data = os.urandom(BIG)
    data_root.put("/in/big", data)
    for number in range(20):
        data_root.put(f"/in/small-{number}", f"{number}\n".encode())
    faulty_zone.faults.drop_after(7 * 2**20)
    script = "sha256sum /data/in/big; cat /data/in/small-*"
    faulty_zone.faults.calls.clear()
    job = await run_script(ask, script, data="/in")
    reads = faulty_zone.faults.calls.count(Api.READ)
    assert job["state"] == "COMPLETED", job
    log = json_of(await ask("GET", "/stdout", job_id=job["job_id"]))["stdout"]
    digest, *rest = log.splitlines()
    assert digest.split()[0] == hashlib.sha256(data).hexdigest()
    assert sorted(rest, key=int) == [str(number) for number in range(20)]
    assert faulty_zone.faults.bytes_left is None
    # Three blocks of the large object, the one that broke again, and the small ones.
    assert reads <= 3 + 1 + 20


@faulty
@pytest.mark.parametrize("what", ["/in/big", "/in/small"])
async def test_connection_that_keeps_dropping_is_given_up_with_the_path(
    ask: Ask, data_root: Root, faulty_zone: Zone, containers: Any, what: str
) -> None:
    data_root.put(what, os.urandom(BIG if what == "/in/big" else 10))
    faulty_zone.faults.calls.clear()
    faulty_zone.faults.drop(Api.READ, times=10_000)
    job = await run_script(ask, "true", data=what)
    assert (job["state"], job["reason"]) == ("FAILED", "data"), job
    assert f"{what}: the iRODS server does not answer" in job["message"]
    tried = faulty_zone.faults.calls.count(Api.READ)
    assert 2 <= tried <= 2 * ATTEMPTS
    assert (job["started"], await containers()) == (None, [])


@faulty
@pytest.mark.usefixtures("little_patience")
async def test_zone_that_goes_down_while_staging_is_reported(
    ask: Ask, data_root: Root, faulty_zone: Zone, containers: Any
) -> None:
    job_id = await half_staged(ask, data_root, faulty_zone)
    faulty_zone.faults.refuse()
    faulty_zone.faults.drop_now()
    job = await wait_for_end(ask, job_id)
    assert (job["state"], job["reason"]) == ("FAILED", "data"), job
    assert "/in/big" in job["message"]
    assert "Is the zone running" in job["message"]
    assert await containers() == []


@faulty
async def test_object_that_changes_while_it_is_staged_fails_the_job(
    ask: Ask, data_root: Root, faulty_zone: Zone, containers: Any
) -> None:
    job_id = await half_staged(ask, data_root, faulty_zone)
    faulty_zone.overwrite(f"{data_root.base}/in/big", os.urandom(BIG))
    faulty_zone.faults.clear()
    job = await wait_for_end(ask, job_id)
    assert (job["state"], job["reason"]) == ("FAILED", "data"), job
    assert "/in/big changed while it was read" in job["message"]
    assert (job["started"], await containers()) == (None, [])


@faulty
async def test_delivery_survives_connections_that_drop(
    ask: Ask, data_root: Root, faulty_zone: Zone
) -> None:
    data = os.urandom(BIG)
    data_root.put("/in/big", data)
    faulty_zone.faults.drop(Api.WRITE, nth=2)
    faulty_zone.faults.drop(Api.PUT, nth=20)
    script = "cp /data/in/big /results/; for n in $(seq 30); do echo $n > /results/$n; done"
    job = await run_script(ask, script, data="/in", output="/out")
    assert job["state"] == "COMPLETED", job
    assert data_root.get("/out/big") == data
    assert data_root.names("/out") == {"big", *map(str, range(1, 31))}
    assert data_root.hidden() == []


@faulty
async def test_delivery_that_keeps_failing_leaves_nothing_and_names_the_path(
    ask: Ask, data_root: Root, faulty_zone: Zone
) -> None:
    faulty_zone.faults.calls.clear()
    faulty_zone.faults.drop(Api.PUT, times=10_000)
    job = await run_script(ask, "echo 1 > /results/a", output="/deep/er/out")
    assert (job["state"], job["reason"]) == ("FAILED", "output"), job
    assert "/deep/er/out/a: the iRODS server does not answer" in job["message"]
    assert 2 <= faulty_zone.faults.calls.count(Api.PUT) <= 2 * ATTEMPTS
    faulty_zone.faults.clear()
    assert data_root.names() == set()


@faulty
async def test_results_for_a_full_resource_fail_the_job_and_leave_nothing(
    ask: Ask, data_root: Root, faulty_zone: Zone
) -> None:
    data_root.put("/mine", b"before")
    faulty_zone.faults.fill(2**20)
    script = "echo 1 > /results/a; dd if=/dev/zero of=/results/b bs=1M count=9"
    job = await run_script(ask, script, output="/deep/out")
    assert (job["state"], job["reason"]) == ("FAILED", "output"), job
    assert "/deep/out/b: the data root is full" in job["message"]
    assert data_root.names() == {"mine"}


@faulty
@pytest.mark.usefixtures("little_patience")
async def test_results_that_a_dead_zone_kept_are_removed_when_it_is_back(
    ask: Ask, nds: Any, data_root: Root, faulty_zone: Zone
) -> None:
    faulty_zone.faults.stall(Api.WRITE)
    job_id = await submit_script(ask, "head -c 9000000 /dev/zero > /results/a", output="/deep/out")
    await until(lambda: faulty_zone.faults.calls.count(Api.WRITE) >= 1, "the first write")
    faulty_zone.faults.refuse()
    faulty_zone.faults.drop_now()
    job = await wait_for_end(ask, job_id)
    assert (job["state"], job["reason"]) == ("FAILED", "output"), job
    faulty_zone.faults.clear()
    assert data_root.hidden()
    assert await nds._data_roots.remove_leftovers() == 0
    assert data_root.names() == set()


@pytest.mark.parametrize("data_root", ["reader"], indirect=True)
async def test_output_that_may_not_be_written_is_reported_before_the_script_starts(
    ask: Ask, data_root: Root
) -> None:
    for output in ("/shared", "/shared/new/out"):
        job = await run_script(ask, "true", data="/shared/x", output=output, overwrite=True)
        assert (job["state"], job["reason"], job["started"]) == ("FAILED", "output", None), job
        assert output in job["message"]
        assert "Ask the owner" in job["message"]
    assert data_root.names("/shared") == {"mine", "x"}
    job = await run_script(ask, "cat /data/x", data="/shared/x")
    assert job["state"] == "COMPLETED", job


@pytest.mark.parametrize("data_root", ["reader"], indirect=True)
async def test_collection_can_be_filled_without_permission_beside_it(
    ask: Ask, data_root: Root
) -> None:
    for script in ("echo old > /results/x; echo 1 > /results/kept", "echo new > /results/x"):
        job = await run_script(ask, script, output="/shared/mine", overwrite=True)
        assert job["state"] == "COMPLETED", job
    assert data_root.get("/shared/mine/x") == b"new\n"
    assert data_root.names("/shared/mine") == {"x", "kept"}
    assert data_root.hidden() == []
