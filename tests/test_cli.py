"""`python -m nds_jupyter` in a terminal, against a real server and engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dev.engine_api import Endpoint
from dev.images import PYTHON_IMAGE
from dev.jupyter import Server, jupyter_server

pytestmark = pytest.mark.engine
COMMAND = [sys.executable, "-m", "nds_jupyter"]
DEADLINE = 120
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def server(docker_engine: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with jupyter_server(docker_engine, PYTHON_IMAGE, folder) as started:
        yield started


@pytest.fixture
def env(server: Server) -> dict[str, str]:
    return {**os.environ, "NDS_URL": server.url, "NDS_TOKEN": server.token}


@pytest.fixture
def run(env: dict[str, str], tmp_path: Path) -> Run:
    def run(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        path = {**env, "PYTHONPATH": str(Path.cwd())}
        return subprocess.run(
            [*COMMAND, *arguments],
            input=text,
            env=path,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )

    return run


def test_exit_code_and_streams_are_the_jobs(run: Run) -> None:
    script = "import os, sys\nprint(os.environ['A'])\nprint('bad', file=sys.stderr)\nsys.exit(7)\n"
    done = run("submit", "--env", "A=é", "--quiet", "--scriptname", "a.py", "-", text=script)
    assert (done.returncode, done.stdout, done.stderr) == (7, "é\n", "bad\n")


def test_job_is_submitted_looked_at_and_fetched(run: Run, tmp_path: Path) -> None:
    (tmp_path / "make.py").write_text("open('/results/out', 'w').write('x'); print('made')")
    done = run("submit", "--detach", "--name", "from-terminal", "make.py")
    job_id = done.stdout.strip()
    assert done.returncode == 0
    assert run("logs", "-f", job_id[:8]).stdout == "made\n"
    assert "from-terminal" in run("jobs", "--name", "from-term", "--since", "1h").stdout
    assert run("logs", "--tail", "1", job_id).stdout == "made\n"
    fetched = run("get", job_id, "--to", "here")
    assert fetched.stdout.strip() == str(tmp_path / "here" / "out")
    assert (tmp_path / "here" / "out").read_text() == "x"
    assert "COMPLETED" in run("stop", job_id).stdout


def test_interrupt_stops_the_job(env: dict[str, str], run: Run) -> None:
    child = subprocess.Popen(
        [*COMMAND, "submit", "--name", "cut-off", "--quiet", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        text=True,
    )
    with child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write("import time; print('begun'); time.sleep(600)")
        child.stdin.close()
        assert child.stdout.readline() == "begun\n"
        child.send_signal(signal.SIGINT)
        assert child.wait(DEADLINE) == 130
    assert "FAILED" in run("jobs", "--name", "cut-off").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["logs", "0123456789abcdef"], 1, "nds_jupyter: No job"),
        (["submit", "absent.py"], 1, "absent.py: No such file"),
        (["submit", "--env", "x", "-"], 2, "not NAME=VALUE"),
        (["submit", "--memory", "many", "-"], 1, "memory"),
        (["--url", "http://127.0.0.1:9/", "jobs"], 1, "does not answer"),
        (["jobs", "--since", "soon"], 2, "Write it like 2h"),
        (["frobnicate"], 2, "invalid choice"),
    ],
)
def test_what_is_wrong_is_a_sentence(run: Run, arguments: list[str], code: int, said: str) -> None:
    done = run(*arguments, text="print()")
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_doctor_finds_all_well_or_says_what_to_do(run: Run, server: Server) -> None:
    done = run("doctor")
    assert done.returncode == 0, done.stdout
    for part in ("server", "version", "engine", "images", "permission", "clock", "disk"):
        assert any(line.split()[:2] == [part, "ok"] for line in done.stdout.splitlines()), part
    assert server.token not in done.stdout
    ill = run("--url", "http://127.0.0.1:9/", "doctor")
    assert ill.returncode == 1
    assert "Look at the URL" in ill.stdout
