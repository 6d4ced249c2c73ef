"""How a checkout finds the machine's Docker Engine, and shares a private one."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from dev.engine import run_forwarding_signals
from dev.engine_api import Endpoint, answers, candidates


def make_context(folder: Path, name: str, host: str) -> Path:
    key = hashlib.sha256(name.encode()).hexdigest()
    meta = folder / "contexts" / "meta" / key
    meta.mkdir(parents=True)
    described = {"Name": name, "Endpoints": {"docker": {"Host": host}}}
    (meta / "meta.json").write_text(json.dumps(described))
    (folder / "config.json").write_text(json.dumps({"currentContext": name}))
    return folder / "contexts" / "tls" / key / "docker"


def test_docker_host_comes_before_context_before_default_socket(tmp_path: Path) -> None:
    make_context(tmp_path, "lab", "tcp://lab.example:2376")
    found = candidates({"DOCKER_HOST": "unix:///a/socket", "DOCKER_CONFIG": str(tmp_path)})
    assert [candidate.endpoint.url for candidate in found] == [
        "unix:///a/socket",
        "tcp://lab.example:2376",
        "unix:///var/run/docker.sock",
    ]


def test_context_brings_its_certificates(tmp_path: Path) -> None:
    certificates = make_context(tmp_path, "lab", "tcp://lab.example:2376")
    certificates.mkdir(parents=True)
    context, _default = candidates({"DOCKER_CONFIG": str(tmp_path)})
    assert context.endpoint.environment == {
        "DOCKER_HOST": "tcp://lab.example:2376",
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": str(certificates),
    }


@pytest.mark.parametrize("config", ["", "{", '{"currentContext": "gone"}', "{}"])
def test_unusable_docker_config_leaves_the_default_socket(tmp_path: Path, config: str) -> None:
    (tmp_path / "config.json").write_text(config)
    found = candidates({"DOCKER_CONFIG": str(tmp_path)})
    assert [candidate.source for candidate in found] == ["the default socket"]


class Ping(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"OK")

    def address_string(self) -> str:
        return "socket"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def answering_socket(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "s"
    with socketserver.UnixStreamServer(str(path), Ping) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield path
        server.shutdown()
        thread.join()


def test_engine_that_answers_is_found(answering_socket: Path) -> None:
    assert answers(Endpoint(f"unix://{answering_socket}"))


@pytest.mark.parametrize("url", ["unix:///nowhere", "tcp://127.0.0.1:1", "ssh://host", "nonsense"])
def test_engine_that_does_not_answer_is_passed_over(url: str) -> None:
    assert not answers(Endpoint(url))


def test_command_gives_its_exit_code_and_its_signal() -> None:
    env = dict(os.environ)
    assert run_forwarding_signals(["sh", "-c", "exit 3"], env) == 3
    assert run_forwarding_signals(["sh", "-c", "kill -9 $$"], env) == 128 + signal.SIGKILL


def test_signal_that_comes_while_the_command_starts_reaches_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = subprocess.Popen

    def told_at_once(command: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
        child = start(command, env=env)
        signal.raise_signal(signal.SIGTERM)
        return child

    monkeypatch.setattr(subprocess, "Popen", told_at_once)
    assert run_forwarding_signals(["sleep", "60"], dict(os.environ)) == 128 + signal.SIGTERM


def test_terminating_the_wrapper_terminates_its_command(answering_socket: Path) -> None:
    script = "trap 'echo told; exit 0' TERM; echo started; while :; do sleep 0.05; done"
    with subprocess.Popen(
        [sys.executable, "dev/engine.py", "run", "--", "sh", "-c", script],
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, "DOCKER_HOST": f"unix://{answering_socket}"},
        stdout=subprocess.PIPE,
        text=True,
    ) as wrapper:
        assert wrapper.stdout is not None
        assert wrapper.stdout.readline() == "started\n"
        wrapper.send_signal(signal.SIGTERM)
        assert wrapper.stdout.readline() == "told\n"
        assert wrapper.wait(timeout=10) == 128 + signal.SIGTERM
