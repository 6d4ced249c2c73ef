"""An interrupt at any moment stops the job, and the next cell does not run."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.engine_api import Endpoint
from dev.images import PYTHON_IMAGE
from dev.jupyter import Server
from nds_jupyter.client import Client
from nds_jupyter.client.job_array import JobArray
from nds_jupyter.jobs.job import Reason
from nds_jupyter.magics.interruptible_wait import run_to_end
from tests.irods_zone.codes import Api
from tests.irods_zone.zone import Zone
from tests.magics.notebook import Cell, Notebook, open_notebook, store
from tests.servers import isolated_server
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def server(docker_engine: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    one_place = ["--NdsApp.max_running=1"]
    with isolated_server(docker_engine, PYTHON_IMAGE, folder, one_place) as started:
        yield started


@pytest.fixture
def silent_registry() -> Iterator[str]:
    """Give the address of a registry that takes requests and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield f"127.0.0.1:{listener.getsockname()[1]}"


SLEEP = "import time; time.sleep(600)"


def interrupt_when(notebook: Notebook, phase: str, line: str, script: str = SLEEP) -> Cell:
    """Interrupt a cell in a phase; the cell behind it must not run."""
    interrupts: list[bool] = []

    def look(cell: Cell) -> None:
        if not interrupts and any(phase in status for status in cell.status):
            interrupts.append(True)
            notebook.interrupt()

    notebook.run("ran = False").must_succeed()
    first = notebook.start(f"%%ndsjob {line}\n{script}")
    second = notebook.start("ran = True")
    cell = notebook.finish(first, look)
    notebook.finish(second)
    assert cell.error["ename"] == "KeyboardInterrupt"
    assert notebook.value("ran") == "False"
    return cell


@pytest.mark.engine
@pytest.mark.kernel
def test_interrupt_while_it_waits_for_its_turn(notebook: Notebook) -> None:
    notebook.run("%%ndsjob --detach --job first\nimport time; time.sleep(600)").must_succeed()
    interrupt_when(notebook, "accepted", "--job queued")
    assert notebook.value("queued.refresh().view.reason.value") == "'stopped'"
    assert notebook.value("queued.view.container_id is None") == "True"
    assert notebook.value("first.refresh().state.value") == "'RUNNING'"
    notebook.run("%ndsstop first").must_succeed()


@pytest.mark.engine
@pytest.mark.kernel
def test_interrupt_while_its_image_is_pulled(notebook: Notebook, silent_registry: str) -> None:
    interrupt_when(notebook, "pulling", f"--job pulled --image {silent_registry}/slow:1")
    assert notebook.value("pulled.refresh().view.reason.value") == "'stopped'"


@pytest.fixture
def zone_notebook(docker_engine: Endpoint, faulty_zone: Zone, tmp_path: Path) -> Iterator[Notebook]:
    """Give a notebook whose data root is a zone that can be made to stall."""
    account = {"IRODS_ENVIRONMENT_FILE": str(faulty_zone.environment_file())}
    with (
        isolated_server(docker_engine, PYTHON_IMAGE, tmp_path, environment=account) as server,
        open_notebook(server) as opened,
    ):
        yield opened


@pytest.mark.engine
@pytest.mark.kernel
@pytest.mark.parametrize(
    ("phase", "call", "line", "script"),
    [
        ("staging", Api.READ, "--data {home}/in.bin", SLEEP),
        ("collecting", Api.PUT, "--output {home}/out", "open('/results/a', 'w').write('a')"),
    ],
)
def test_interrupt_while_data_is_moved(
    zone_notebook: Notebook, faulty_zone: Zone, phase: str, call: int, line: str, script: str
) -> None:
    home = faulty_zone.home()
    store(zone_notebook.server, f"{home}/in.bin", "x" * 100_000)
    faulty_zone.faults.stall(call, times=10**6)
    try:
        where = line.format(home=home)
        interrupt_when(zone_notebook, phase, f"--job moved {where}", script)
        assert zone_notebook.value("moved.refresh().view.reason.value") == "'stopped'"
    finally:
        faulty_zone.faults.clear()

    def running() -> Any:
        return zone_notebook.server.ask("GET", "nds/list_container?all=0")

    def delivered() -> list[str]:
        return [
            row["name"] for row in zone_notebook.server.ask("GET", f"nds/list_data?path={home}")
        ]

    wait_until(lambda: not running(), running)
    wait_until(lambda: delivered() == ["in.bin"], delivered)


class _Job:
    """Stands for the job that a request made, and remembers how it was stopped."""

    id = "0123456789abcdef"

    def __init__(self) -> None:
        self.grace: list[float] = []
        self.stopping = threading.Event()
        self.hold = threading.Event()

    view: Any = None

    def stop(self, grace: float) -> None:
        self.grace.append(grace)
        self.stopping.set()
        if grace:
            assert self.hold.wait(60)
        self.hold.set()


def test_interrupt_during_the_request_still_stops_the_job() -> None:
    job: Any = _Job()
    job.hold.set()
    asked = threading.Event()

    def submit() -> Any:
        asked.set()
        assert interrupted.wait(60)
        return job

    interrupted = threading.Event()

    def press() -> None:
        assert asked.wait(60)
        os.kill(os.getpid(), signal.SIGINT)
        interrupted.set()

    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        run_to_end(submit, lambda _job: pytest.fail("it was shown"), lambda _job: "stopped")
    presser.join()
    assert len(job.grace) == 1


@pytest.mark.engine
def test_interrupt_during_the_request_of_a_sweep_stops_all_its_jobs(server: Server) -> None:
    client = Client(server.url, server.token)
    accepted: list[JobArray] = []
    asked, interrupted = threading.Event(), threading.Event()

    def submit() -> JobArray:
        point = {"script": "import time; time.sleep(600)", "scriptname": "x.py"}
        accepted.append(client.submit_sweep({"n": [1, 2, 3]}, **point))
        # They are accepted; the answer has not reached the cell.
        asked.set()
        assert interrupted.wait(60)
        return accepted[0]

    def press() -> None:
        assert asked.wait(60)
        os.kill(os.getpid(), signal.SIGINT)
        interrupted.set()

    presser = threading.Thread(target=press)
    presser.start()
    with client, pytest.raises(KeyboardInterrupt):
        run_to_end(submit, lambda _jobs: pytest.fail("it was shown"), JobArray.progress)
    presser.join()
    assert [job.view.reason for job in accepted[0]] == [Reason.STOPPED] * 3


def test_second_interrupt_kills_at_once() -> None:
    job: Any = _Job()

    def press() -> None:
        assert job.stopping.wait(60)
        os.kill(os.getpid(), signal.SIGINT)

    def show(_job: Any) -> None:
        presser.start()
        raise KeyboardInterrupt

    presser = threading.Thread(target=press)
    with pytest.raises(KeyboardInterrupt):
        run_to_end(lambda: job, show, lambda _job: "stopped")
    presser.join()
    assert job.grace[0] > 0
    assert job.grace[1] == 0
