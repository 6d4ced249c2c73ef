"""An interrupt while values move: out of the notebook, and into it.

Whatever moves is held up until the cell has ended, so that the interrupt comes in its midst.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dev.engine_api import Endpoint
from dev.images import PYTHON_IMAGE
from dev.jupyter import Server
from tests.engine.proxy import EngineProxy
from tests.magics.notebook import Cell, Notebook
from tests.servers import isolated_server

pytestmark = [pytest.mark.engine, pytest.mark.kernel]


@pytest.fixture(scope="module")
def proxy(
    docker_engine: Endpoint, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EngineProxy]:
    socket = Path(docker_engine.url.removeprefix("unix://"))
    path = tmp_path_factory.mktemp("proxy") / "engine.sock"
    with EngineProxy(path, socket).serving() as proxy:
        yield proxy


@pytest.fixture(scope="module")
def server(proxy: EngineProxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with isolated_server(Endpoint(proxy.url), PYTHON_IMAGE, folder) as started:
        yield started


def interrupted(
    notebook: Notebook, cell: str, in_its_midst: Callable[[Cell], bool], press: Callable[[], None]
) -> Cell:
    """Interrupt a cell once; the cell behind it must not run."""
    pressed: list[bool] = []

    def look(seen: Cell) -> None:
        if in_its_midst(seen) and not pressed:
            pressed.append(True)
            press()

    notebook.run("ran = False").must_succeed()
    first, second = notebook.start(cell), notebook.start("ran = True")
    ended = notebook.finish(first, look)
    notebook.finish(second)
    assert pressed, ended.status
    assert ended.error["ename"] == "KeyboardInterrupt"
    assert notebook.value("ran") == "False"
    return ended


def test_interrupt_while_values_are_sent(notebook: Notebook, server: Server) -> None:
    [described] = server.runtime_folder.glob("jpserver-*.json")
    process = int(described.stem.partition("-")[2])
    kernel = int(notebook.value("import os; os.getpid()"))
    jobs = len(notebook.jobs())
    notebook.run("big = b'x' * 5_000_000").must_succeed()

    def press() -> None:
        # The server does not even answer.
        os.kill(kernel, signal.SIGINT)

    def look(cell: Cell) -> bool:
        if any("Stopping" in status for status in cell.status):
            os.kill(process, signal.SIGCONT)
        return "--in big" in cell.stdout

    cell = "import os, signal\n" + f"os.kill({process}, signal.SIGSTOP)"
    notebook.run(cell).must_succeed()
    try:
        ended = interrupted(notebook, "%%ndsjob --in big\npass", look, press)
    finally:
        os.kill(process, signal.SIGCONT)
    assert "Nothing was submitted." in ended.status
    assert len(notebook.jobs()) == jobs


def test_interrupt_while_values_come_back(notebook: Notebook, proxy: EngineProxy) -> None:
    notebook.run("kept = 1").must_succeed()
    proxy.hold_request("^GET .*/archive")
    try:
        cell = "%%ndsjob --out kept --job made\nkept = 2; print('computed')"
        ended = interrupted(
            notebook,
            cell,
            lambda seen: "computed" in seen.stdout and proxy.held.wait(60),
            notebook.interrupt,
        )
    finally:
        proxy.release()
    assert "%ndsvalues" in ended.shown_error
    assert notebook.value("kept, made.refresh().state.value") == "(1, 'COMPLETED')"
    assert notebook.value("made.value('kept')") == "2"
