"""A server killed in every phase of a job, on a real engine; a new one tells the job's true end.

A proxy before the engine makes short phases long: it keeps a request from the engine, or its answer
from the server, until the server is dead.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.crash.server import Server, wait_for
from tests.engine.proxy import EngineProxy
from tests.engine.registry import Registry, empty_image

pytestmark = pytest.mark.engine

SCRIPT = "echo ran; exit 3"


@pytest.fixture
def server(proxy: EngineProxy, tmp_path: Path) -> Iterator[Server]:
    server = Server(
        tmp_path,
        engine_url=proxy.url,
        default_image="nds/shell:test",
        max_running=1,
        stop_grace=1,
        data_root=tmp_path / "stored",
    )
    server.start()
    yield server
    server.stop()


@pytest.fixture
def client(docker_engine_url: str) -> Iterator[Any]:
    client = docker.APIClient(base_url=docker_engine_url)
    yield client
    client.close()


Containers = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def containers(client: Any) -> Iterator[Containers]:
    """Return the containers of a job, as the engine has them."""
    asked = set()

    def containers(job_id: str) -> list[dict[str, Any]]:
        asked.add(job_id)
        rows = client.containers(all=True, filters={"label": f"nds.job={job_id}"})
        return [client.inspect_container(row["Id"]) for row in rows]

    yield containers
    for job_id in asked:
        for each in containers(job_id):
            # The server may be removing it in this moment.
            with suppress(docker.errors.APIError):
                client.remove_container(each["Id"], force=True)


def restart(server: Server, proxy: EngineProxy) -> None:
    server.kill()
    proxy.release()
    server.start()


def held(proxy: EngineProxy, server: Server) -> None:
    wait_for(proxy.held.is_set, "the proxy to hold something back", server.log)


def assert_ran_once(
    server: Server, containers: Containers, job_id: str, exit_code: int = 3
) -> None:
    """The job ended with its true exit code, of one container in which the script ran once."""
    job = server.end_of(job_id)
    assert (job["state"], job["reason"], job["exit_code"]) == ("FAILED", "exit", exit_code), job
    (container,) = containers(job_id)
    assert container["Name"] == f"/nds-{job_id}"
    assert container["State"]["ExitCode"] == exit_code
    assert server.get("/stdout", job_id=job_id)["stdout"] == "ran\n"


def test_killed_while_jobs_queue(
    server: Server, proxy: EngineProxy, containers: Containers
) -> None:
    first = server.submit("echo ran; sleep 2; exit 3")
    server.wait_for_phase(first, "running")
    second = server.submit(SCRIPT)
    assert server.job(second)["phase"] == "accepted"
    assert containers(second) == []
    restart(server, proxy)
    for job_id in (first, second):
        assert_ran_once(server, containers, job_id)


def test_killed_while_pulling(
    server: Server, proxy: EngineProxy, containers: Containers, client: Any
) -> None:
    with Registry(empty_image()).serving() as registry:
        registry.hold.clear()
        name, _, tag = registry.image.rpartition(":")
        job_id = server.submit("x", image_name=name, image_tag=tag, command=["/noise"])
        server.wait_for_phase(job_id, "pulling")
        wait_for(registry.asked.is_set, "the engine to fetch the layer", server.log)
        restart(server, proxy)
        assert server.job(job_id)["phase"] in {"accepted", "pulling"}
        registry.hold.set()
        job = server.end_of(job_id)
        # There is nothing in that image that could run.
        assert (job["state"], job["reason"]) == ("FAILED", "exit")
        assert job["image_digest"].startswith("sha256:")
        assert len(containers(job_id)) == 1
    for each in containers(job_id):
        client.remove_container(each["Id"], force=True)
    client.remove_image(registry.image, force=True)


STAGES = {
    "before its container is created": ("hold_request", "^POST .*/containers/create"),
    "while its container is created": ("hold_answer", "^POST .*/containers/create"),
    "before the script is copied in": ("hold_request", "^PUT .*/archive"),
    "while the script is copied in": ("hold_answer", "^PUT .*/archive"),
}


@pytest.mark.parametrize("moment", STAGES)
def test_killed_while_staging(
    server: Server, proxy: EngineProxy, containers: Containers, moment: str
) -> None:
    hold, pattern = STAGES[moment]
    getattr(proxy, hold)(pattern)
    job_id = server.submit(SCRIPT)
    held(proxy, server)
    assert server.job(job_id)["phase"] == "staging"
    restart(server, proxy)
    assert_ran_once(server, containers, job_id)


READS = "[ $(wc -c < $NDS_IN/x) = 3000000 ] && echo ran; exit 3"


def test_killed_while_a_job_with_files_queues(
    server: Server, proxy: EngineProxy, containers: Containers
) -> None:
    files = [{"sha256": server.send(b"x" * 3_000_000), "to": "x"}]
    first = server.submit("echo ran; sleep 2; exit 3")
    server.wait_for_phase(first, "running")
    second = server.submit(READS, files=files)
    restart(server, proxy)
    for job_id in (first, second):
        assert_ran_once(server, containers, job_id)


def test_killed_while_its_files_are_copied_in(
    server: Server, proxy: EngineProxy, containers: Containers
) -> None:
    files = [{"sha256": server.send(b"x" * 3_000_000), "to": "x"}]
    # The script is copied in by a request that has a length, and files by one that streams.
    proxy.hold_request("^PUT .*/archive", "Transfer-Encoding: chunked")
    job_id = server.submit(READS, files=files)
    held(proxy, server)
    assert server.job(job_id)["phase"] == "staging"
    restart(server, proxy)
    assert_ran_once(server, containers, job_id)


def test_killed_while_a_file_is_sent(server: Server, proxy: EngineProxy, tmp_path: Path) -> None:
    def files() -> list[str]:
        return [each.name for each in (tmp_path / "journal" / "files").glob("*/*/*")]

    content = os.urandom(6_000_000)
    route = f"/files/{hashlib.sha256(content).hexdigest()}"
    with server.begin_upload(route, len(content), content[:3_000_000]):
        wait_for(files, "the file to be begun", server.log)
        server.kill()
    assert files()
    server.start()
    wait_for(lambda: not files(), "the half of a file to go", files)


@pytest.mark.parametrize("hold", ["hold_request", "hold_answer"])
def test_killed_while_starting(
    server: Server, proxy: EngineProxy, containers: Containers, hold: str
) -> None:
    getattr(proxy, hold)("^POST .*/start")
    job_id = server.submit(SCRIPT)
    held(proxy, server)
    assert server.job(job_id)["phase"] == "running"
    restart(server, proxy)
    assert_ran_once(server, containers, job_id)


def test_killed_while_running(
    server: Server, proxy: EngineProxy, containers: Containers, client: Any
) -> None:
    job_id = server.submit("echo ran; while [ ! -e /results/go ]; do sleep 0.1; done; exit 3")
    server.wait_for_phase(job_id, "running")
    restart(server, proxy)
    job = server.job(job_id)
    assert (job["state"], job["phase"]) == ("RUNNING", "running")
    (container,) = containers(job_id)
    made = client.exec_create(container["Id"], ["touch", "/results/go"])
    client.exec_start(made["Id"])
    assert_ran_once(server, containers, job_id)


def test_script_ends_while_no_server_runs(
    server: Server, proxy: EngineProxy, containers: Containers, client: Any
) -> None:
    job_id = server.submit("echo ran; sleep 1; exit 3")
    server.wait_for_phase(job_id, "running")
    server.kill()
    (container,) = containers(job_id)
    client.wait(container["Id"], timeout=60)
    server.start()
    assert_ran_once(server, containers, job_id)


def test_time_limit_passes_while_no_server_runs(
    server: Server, proxy: EngineProxy, containers: Containers
) -> None:
    job_id = server.submit("sleep 600", timeout=1)
    server.wait_for_phase(job_id, "running")
    restart(server, proxy)
    job = server.end_of(job_id)
    assert (job["state"], job["reason"]) == ("FAILED", "timeout")
    (container,) = containers(job_id)
    assert not container["State"]["Running"]


def test_killed_while_collecting(
    server: Server, proxy: EngineProxy, containers: Containers
) -> None:
    # The end of the samples is waited for in this phase, and the engine does not give it.
    proxy.hold_answer("^GET .*/stats")
    job_id = server.submit("echo ran; sleep 3; exit 3")
    held(proxy, server)
    server.wait_for_phase(job_id, "collecting")
    restart(server, proxy)
    assert_ran_once(server, containers, job_id)


def test_stop_is_carried_out_by_the_next_server(
    server: Server, proxy: EngineProxy, containers: Containers
) -> None:
    job_id = server.submit("sleep 600")
    server.wait_for_phase(job_id, "running")
    proxy.hold_request("^POST .*/stop")
    server.stop_without_waiting(job_id)
    held(proxy, server)
    restart(server, proxy)
    job = server.end_of(job_id)
    assert (job["state"], job["reason"]) == ("FAILED", "stopped")
    (container,) = containers(job_id)
    assert not container["State"]["Running"]
