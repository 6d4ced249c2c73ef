"""`python -m nds_jupyter` in a terminal, against a real server and engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dev.images import PIP_IMAGE
from dev.jupyter import Server
from tests.magics.notebook import store
from tests.package_index import MODULE, PACKAGE, PackageIndex

pytestmark = pytest.mark.engine
COMMAND = [sys.executable, "-m", "nds_jupyter"]
DEADLINE = 120
Run = Callable[..., subprocess.CompletedProcess[str]]


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


SCRIPT = "import os, sys\nprint(os.environ['A'])\nprint('bad', file=sys.stderr)\nsys.exit(7)\n"


def test_exit_code_and_streams_are_the_jobs(run: Run) -> None:
    done = run("submit", "--env", "A=é", "-", text=SCRIPT)
    assert (done.returncode, done.stdout) == (7, "é\n")
    begin, written, end = done.stderr.splitlines()
    assert "RUNNING" in begin
    assert written == "bad"
    assert "FAILED (exit)" in end


def test_quiet_job_tells_only_how_it_failed(run: Run) -> None:
    done = run("submit", "--env", "A=é", "--quiet", "-", text=SCRIPT)
    assert (done.returncode, done.stdout) == (7, "")
    assert "FAILED (exit)" in done.stderr
    *_, heading, one, other = done.stderr.splitlines()
    assert (heading, {one, other}) == ("The end of its log:", {"  é", "  bad"})
    well = run("submit", "--quiet", "-", text="print('noise')")
    assert (well.returncode, well.stdout, well.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("options", "script", "codes", "message"),
    [
        (["--timeout", "0.5"], "import time; time.sleep(60)", {143, 137}, "(timeout)"),
        (["--image", "nds/absent:1"], "print()", {1}, "(image)"),
        (["--cmd", "no-such-program"], "print()", {127}, "has no program no-such-program. Choose"),
    ],
)
def test_job_that_fails_says_why(
    run: Run, options: list[str], script: str, codes: set[int], message: str
) -> None:
    done = run("submit", *options, "-", text=script)
    assert done.returncode in codes
    assert message in done.stderr


def test_image_is_built_first_and_its_log_goes_to_stderr(
    run: Run, package_index: PackageIndex, tmp_path: Path
) -> None:
    (tmp_path / "needs.txt").write_text(package_index.requirements(PACKAGE))
    (tmp_path / "greet.py").write_text(f"import {MODULE}; print({MODULE}.GREETING)")
    built = ("submit", "--image", PIP_IMAGE, "--requirements", "needs.txt", "greet.py")
    done = run(*built)
    assert (done.returncode, done.stdout) == (0, f"{package_index.greeting}\n"), done.stderr
    assert f"Successfully installed {PACKAGE}" in done.stderr
    assert "Step" not in run(*built).stderr
    (tmp_path / "Dockerfile").write_text(f"FROM {PIP_IMAGE}\nRUN echo why it failed; exit 7\n")
    failed = run("submit", "--dockerfile", "Dockerfile", "--quiet", "greet.py")
    assert failed.returncode == 1
    assert "(image)" in failed.stderr
    assert "why it failed" in failed.stderr


def test_sweep_is_waited_for_and_shown_as_a_table(run: Run) -> None:
    script = "import os, sys; sys.exit(int(os.environ['NDS_SWEEP_N']))"
    done = run("submit", "--sweep", "n=0,4", "--name", "swept", "-", text=script)
    assert done.returncode == 4
    assert "2 of 2 ended, 1 failed" in done.stderr
    assert "swept n=0" in done.stdout
    assert "swept n=4" in done.stdout
    left = run("submit", "--sweep", "n=0,0", "--detach", "-", text=script)
    assert len(left.stdout.split()) == 2


def test_data_goes_in_and_comes_out(run: Run, server: Server, tmp_path: Path) -> None:
    store(server, "/terminal/in.txt", "heights")
    script = "open('/results/out', 'w').write(open('/data/in.txt').read().upper())"
    data = ("--data", "/terminal/in.txt", "--output", "/terminal/out")
    assert run("submit", *data, "-", text=script).returncode == 0
    assert run("get", "/terminal/out/out", "--to", "here").returncode == 0
    assert (tmp_path / "here" / "out").read_text() == '"HEIGHTS"'


def test_defaults_of_the_project_count(run: Run, server: Server, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.nds]\nmemory = '48m'\n")
    job_id = run("submit", "--detach", "-", text="print()").stdout.strip()
    assert server.ask("GET", f"nds/upload?job_id={job_id}")["limits"]["memory"] == 48 * 2**20


def test_job_is_submitted_looked_at_and_fetched(run: Run, tmp_path: Path) -> None:
    (tmp_path / "make.py").write_text("open('/results/out', 'w').write('x'); print('made')")
    done = run("submit", "--detach", "--name", "from-terminal", "make.py")
    job_id = done.stdout.strip()
    assert done.returncode == 0
    assert run("logs", "-f", job_id[:8]).stdout == "made\n"
    assert "from-terminal" in run("jobs", "--name", "from-term", "--since", "1h").stdout
    for word in (job_id, "from-terminal", "-1"):
        assert run("logs", word, "--tail", "1").stdout == "made\n"
    fetched = run("get", job_id, "--to", "here")
    assert fetched.stdout.strip() == str(tmp_path / "here" / "out")
    assert (tmp_path / "here" / "out").read_text() == "x"
    assert "COMPLETED" in run("stop", job_id).stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_stops_the_job(env: dict[str, str], run: Run, number: signal.Signals) -> None:
    name = f"cut-off-{number}"
    child = subprocess.Popen(
        [*COMMAND, "submit", "--name", name, "-"],
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
        child.send_signal(number)
        assert child.wait(DEADLINE) == 130
        assert child.stderr is not None
        assert "FAILED (stopped)" in child.stderr.read()
    assert "FAILED" in run("jobs", "--name", name).stdout


def test_interrupt_stops_every_job_of_a_sweep(
    env: dict[str, str], server: Server, tmp_path: Path
) -> None:
    script = tmp_path / "sleep.py"
    script.write_text("import time; time.sleep(600)")
    child = subprocess.Popen(
        [*COMMAND, "submit", "--name", "cut", "--sweep", "n=range(3)", str(script)],
        stderr=subprocess.PIPE,
        env=env,
        text=True,
    )
    with child:
        assert child.stderr is not None
        assert "0 of 3 ended" in child.stderr.readline()
        child.send_signal(signal.SIGINT)
        assert child.wait(DEADLINE) == 130
    jobs = server.ask("GET", "nds/jobs?name=cut%20n")
    assert [job["reason"] for job in jobs] == ["stopped"] * 3


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["logs", "0123456789abcdef"], 1, "nds_jupyter: No job"),
        (["submit", "--imge", "x", "-"], 2, "did you mean --image?"),
        (["submit", "--requirements", "absent.txt", "-"], 2, "there is no file absent.txt"),
        (["submit", "absent.py"], 1, "absent.py: No such file"),
        (["submit", "--env", "x", "-"], 2, "not NAME=VALUE"),
        (["submit", "--memory", "many", "-"], 1, "memory"),
        (["--url", "http://127.0.0.1:9/", "jobs"], 1, "does not answer"),
        (["jobs", "--since", "soon"], 2, "Write it like 2h"),
        (["frobnicate"], 2, "there is no 'frobnicate'"),
    ],
)
def test_what_is_wrong_is_a_sentence(
    run: Run, arguments: list[str], code: int, message: str
) -> None:
    done = run(*arguments, text="print()")
    assert done.returncode == code
    assert message in done.stderr
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
