"""An interrupt at any moment stops the job, and the next cell does not run."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from dev.engine_api import Endpoint
from dev.images import PYTHON_IMAGE
from dev.jupyter import Server, jupyter_server
from nds_jupyter.magics.cell_run import run_to_end
from tests.magics.notebook import Cell, Notebook


@pytest.fixture(scope="module")
def server(docker_engine: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    one_place = ["--NdsApp.max_running=1"]
    with jupyter_server(docker_engine, PYTHON_IMAGE, folder, one_place) as started:
        yield started


@pytest.fixture
def silent_registry() -> Iterator[str]:
    """Give the address of a registry that takes requests and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def interrupt_when(notebook: Notebook, phase: str, line: str) -> Cell:
    """Interrupt a cell in a phase; the cell behind it must not run."""
    told: list[bool] = []

    def look(cell: Cell) -> None:
        if not told and any(phase in status for status in cell.status):
            told.append(True)
            notebook.interrupt()

    notebook.run("ran = False").must_succeed()
    first = notebook.start(f"%%ndsjob {line}\nimport time; time.sleep(600)")
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


def test_interrupt_during_the_request_still_stops_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nds_jupyter.reprs.headline", lambda _view: "stopped")
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
        run_to_end(submit, lambda _job: pytest.fail("it was shown"))
    presser.join()
    assert len(job.grace) == 1


def test_second_interrupt_kills_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nds_jupyter.reprs.headline", lambda _view: "stopped")
    job: Any = _Job()

    def press() -> None:
        assert job.stopping.wait(60)
        os.kill(os.getpid(), signal.SIGINT)

    def show(_job: Any) -> None:
        presser.start()
        raise KeyboardInterrupt

    presser = threading.Thread(target=press)
    with pytest.raises(KeyboardInterrupt):
        run_to_end(lambda: job, show)
    presser.join()
    assert job.grace[0] > 0
    assert job.grace[1] == 0
