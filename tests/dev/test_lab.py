"""`make lab` opens the examples, and leaves nothing behind, whenever it is told to stop."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from dev.engine_api import Endpoint, EngineAnswerError, ask
from dev.processes import wait_until

CHECKOUT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = {path.name for path in (CHECKOUT / "examples").glob("*.ipynb")}

pytestmark = pytest.mark.engine


@contextmanager
def running(endpoint: Endpoint, cache: Path) -> Iterator[subprocess.Popen[str]]:
    """Run what `make lab` runs, with a browser that notes what it is to open."""
    browser = cache.parent / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {browser}-opened\n')
    browser.chmod(0o755)
    asked = {"NDS_CACHE": str(cache), "BROWSER": f"{browser} %s", "NDS_URL": "http://127.0.0.1:1/"}
    lab = subprocess.Popen(
        [sys.executable, "dev/lab.py"],
        cwd=CHECKOUT,
        env={**os.environ, **endpoint.environment, **asked},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # A group of its own, as a terminal would give it; and this run itself may be under nohup.
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )
    try:
        yield lab
    finally:
        lab.send_signal(signal.SIGTERM)
        lab.communicate(timeout=60)


def read_until(lab: subprocess.Popen[str], pattern: str) -> str:
    """Read what it says up to a line with the pattern, and return what matches."""
    assert lab.stderr is not None
    said = ""
    for line in lab.stderr:
        said += line
        if found := re.search(pattern, line):
            return found[0]
    pytest.fail(f"It ended without {pattern}, having said:\n{said}")


class Address:
    """The address that it prints, asked as its page would."""

    def __init__(self, printed: str) -> None:
        parts = urlsplit(printed)
        self.page, self.base = printed, f"http://{parts.netloc}/"
        self._headers = {
            "Authorization": f"token {parts.query.removeprefix('token=')}",
            "Content-Type": "application/json",
        }

    def ask(self, path: str, body: object = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, content, self._headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.base}api", timeout=5).close()
        except OSError:
            return False
        return True


def processes_of(cache: Path) -> list[str]:
    """Return the command lines that name something in the folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(cache) in line:
            found.append(line)
    return found


def assert_nothing_is_left(cache: Path) -> None:
    assert [path.name for path in cache.iterdir()] == []
    assert wait_until(lambda: not processes_of(cache)), processes_of(cache)


def test_two_labs_show_the_examples_and_leave_nothing(
    docker_engine: Endpoint, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    with running(docker_engine, cache) as one, running(docker_engine, cache) as two:
        pages = [Address(read_until(lab, r"http://\S+token=\w+")) for lab in (one, two)]
        assert pages[0].base != pages[1].base
        for page in pages:
            assert urlsplit(page.base).hostname == "127.0.0.1"
            with urllib.request.urlopen(page.page, timeout=30) as answer:
                assert "jupyter-config-data" in answer.read().decode()
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(f"{page.base}nds/health", timeout=30)
            assert page.ask("nds/health")["engine"]["reachable"]
            listed = {entry["name"] for entry in page.ask("api/contents")["content"]}
            assert listed == EXAMPLES | {"nds-data"}
            assert [entry["name"] for entry in page.ask("nds/list_data?path=/")] == ["study"]
        assert wait_until((tmp_path / "browser-opened").exists)

        pages[0].ask("api/kernels", {"name": "python3"})
        job = pages[0].ask("nds/upload", {"script": "import time; time.sleep(600)"})["job_id"]
        state = f"nds/upload?job_id={job}"
        assert wait_until(lambda: pages[0].ask(state)["container_id"] is not None)
        container = pages[0].ask(state)["container_id"]
        assert pages[1].ask("nds/jobs") == []

        two.send_signal(signal.SIGINT)
        assert two.wait(timeout=60) == 0
        assert not pages[1].answers()
        assert pages[0].ask("nds/health")["engine"]["reachable"]
        ask(docker_engine, "GET", f"/containers/{container}/json")

        one.send_signal(signal.SIGINT)
        assert one.wait(timeout=60) == 0
        assert not pages[0].answers()
        with pytest.raises(EngineAnswerError, match="404"):
            ask(docker_engine, "GET", f"/containers/{container}/json")
        assert_nothing_is_left(cache)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_lab_that_is_told_to_stop_while_it_starts_leaves_nothing(
    docker_engine: Endpoint, tmp_path: Path, number: signal.Signals
) -> None:
    cache = tmp_path / "cache"
    with running(docker_engine, cache) as lab:
        read_until(lab, "Starting JupyterLab")
        assert wait_until(lambda: bool(processes_of(cache)))
        lab.send_signal(number)
        assert lab.wait(timeout=60) == 130
        read_until(lab, "nothing is left running")
        assert_nothing_is_left(cache)
