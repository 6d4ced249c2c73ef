"""A Jupyter server in a process of its own, to be killed at any moment and started again."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

DEADLINE = 60.0
"""Seconds for whatever is waited for."""


class Server:
    """A server over one folder, which keeps its journal over restarts.

    Parameters
    ----------
    folder
        Where everything of it lies.
    traits
        Of `NdsApp`.
    """

    def __init__(self, folder: Path, **traits: object) -> None:
        self._folder = folder
        self._traits = {"journal_dir": str(folder / "journal"), "owner": folder.name, **traits}
        self._child: subprocess.Popen[bytes] | None = None
        self._url = self._token = ""
        self.links: list[socket.socket] = []
        """Connections that are to be open as long as it lives."""

    def share_journals_of(self, other: Server) -> None:
        """Keep the journal in the same folder as another, as servers of one user do."""
        self._traits["journal_dir"] = other._traits["journal_dir"]

    def start(self) -> None:
        """Start it, and wait until it answers."""
        places = {
            f"JUPYTER_{name.upper()}_DIR": str(self._folder / name)
            for name in ("config", "data", "runtime")
        }
        env = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "JPY_", "NDS_"))}
        command = [
            *(sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"),
            "--ServerApp.ip=127.0.0.1",
            "--ServerApp.port=0",
            f"--ServerApp.root_dir={self._folder}",
            *(f"--NdsApp.{name}={value}" for name, value in self._traits.items()),
        ]
        with (self._folder / "server.log").open("ab") as log:
            self._child = subprocess.Popen(
                command, env={**env, **places}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._wait_until_it_answers(self._child.pid)

    def _wait_until_it_answers(self, pid: int) -> None:
        described = self._folder / "runtime" / f"jpserver-{pid}.json"

        def answers() -> bool:
            assert self._child is not None
            assert self._child.poll() is None, self.log()
            with suppress(OSError, ValueError):
                facts = json.loads(described.read_text())
                self._url, self._token = facts["url"], facts["token"]
                self.get("/openapi.json")
                return True
            return False

        wait_for(answers, "the server to answer", self.log)

    def kill(self) -> None:
        """Kill it as a power cut would; nothing of it runs any more."""
        assert self._child is not None
        self._child.send_signal(signal.SIGKILL)
        self._child.wait(timeout=DEADLINE)
        self._child = None
        while self.links:
            self.links.pop().close()

    def stop(self) -> None:
        """End it if it still runs."""
        if self._child is not None:
            self.kill()

    def log(self) -> str:
        """Return the end of what it logged."""
        return (self._folder / "server.log").read_text()[-3000:]

    def get(self, path: str, **query: object) -> Any:
        """Ask for a route."""
        return self._ask("GET", f"{path}?{urlencode(query)}")

    def submit(self, script: str, **fields: object) -> str:
        """Submit a shell script and return the job's id."""
        body = {"script": script, "scriptname": "job.sh", **fields}
        job: dict[str, str] = self._ask("POST", "/upload", body)
        return job["job_id"]

    def begin_upload(self, route: str, size: int, first: bytes) -> socket.socket:
        """Send the beginning of a PUT of so many bytes; closing the socket cuts it off."""
        where = urlsplit(f"{self._url}nds{route}")
        link = socket.create_connection((str(where.hostname), where.port or 80), timeout=DEADLINE)
        head = (
            f"PUT {where.path} HTTP/1.1\r\nHost: {where.netloc}\r\n"
            f"Authorization: token {self._token}\r\nContent-Length: {size}\r\n\r\n"
        )
        link.sendall(head.encode() + first)
        return link

    def send(self, content: bytes) -> str:
        """Send a file for jobs and return its digest."""
        sha256 = hashlib.sha256(content).hexdigest()
        with urllib.request.urlopen(self._request("PUT", f"/files/{sha256}", content)) as answer:
            assert answer.status == 201
        return sha256

    def stop_without_waiting(self, job_id: str) -> None:
        """Ask for a job's end, and do not stay for the answer."""
        with suppress(TimeoutError, urllib.error.URLError):
            self._ask("POST", f"/stop?job_id={job_id}", {}, timeout=1)

    def job(self, job_id: str) -> dict[str, Any]:
        """Return a job as it stands."""
        job: dict[str, Any] = self.get("/upload", job_id=job_id)
        return job

    def wait_for_phase(self, job_id: str, phase: str) -> None:
        """Wait until a job has come to a phase."""
        wait_for(lambda: self.job(job_id)["phase"] == phase, f"phase {phase}", self.log)

    def end_of(self, job_id: str) -> dict[str, Any]:
        """Wait for a job's end and return it."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            job: dict[str, Any] = self.get("/upload", job_id=job_id, wait=10)
            if job["phase"] == "finished":
                return job
        pytest.fail(f"Job {job_id} has not ended: {job}\n{self.log()}")

    def _ask(self, verb: str, path: str, body: object = None, timeout: float = DEADLINE) -> Any:
        content = None if body is None else json.dumps(body).encode()
        request = self._request(verb, path, content)
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.loads(answer.read())

    def _request(self, verb: str, path: str, content: bytes | None) -> urllib.request.Request:
        return urllib.request.Request(
            f"{self._url}nds{path}",
            method=verb,
            data=content,
            headers={"Authorization": f"token {self._token}", "Content-Type": "application/json"},
        )


def wait_for(reached: Any, what: str, seen: Any) -> None:
    """Wait for a condition; fail with what was seen last."""
    deadline = time.monotonic() + DEADLINE
    while not reached():
        if time.monotonic() > deadline:
            pytest.fail(f"Waited {DEADLINE:g} s for {what}. Last seen:\n{seen()}")
        time.sleep(0.02)
