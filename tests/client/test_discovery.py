"""How a kernel finds its server: the documented order, and what it says when it finds none."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nds_jupyter.client.discovery import find_server
from nds_jupyter.errors import ServerNotFound

Record = Callable[..., Path]

HUB = {
    "JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:9999/user/ada/",
    "JUPYTERHUB_SERVICE_PREFIX": "/user/ada/",
    "JUPYTERHUB_API_TOKEN": "hub-token",
}


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    """Write what a server writes of itself, into a runtime folder of this test."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))

    def write(pid: int, url: str, token: str) -> Path:
        path = tmp_path / f"jpserver-{pid}.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps({"pid": pid, "url": url, "token": token}))
        return path

    return write


def test_each_source_is_tried_before_the_next(record: Record) -> None:
    parent, other = os.getppid(), os.getpid()
    record(other, "http://other/", "other-token")
    record(parent, "http://parent/", "parent-token")
    env = {"NDS_URL": "http://named/", "NDS_TOKEN": "named", "JPY_PARENT_PID": str(parent), **HUB}
    seen = []
    for gone in ("", "NDS_URL", "JPY_PARENT_PID", "JUPYTERHUB_SERVICE_PREFIX"):
        env.pop(gone, None)
        found = find_server(environ=env)
        seen.append((found.url, found.token))
    assert seen[:3] == [
        ("http://named/", "named"),
        ("http://parent/", "parent-token"),
        ("http://127.0.0.1:9999/user/ada/", "hub-token"),
    ]
    assert seen[3][0] in {"http://other/", "http://parent/"}
    configured = find_server("http://configured/", "mine", {**env, "NDS_URL": "http://named/"})
    assert (configured.url, configured.token) == ("http://configured/", "mine")


def test_token_comes_from_the_servers_own_runtime_file(record: Record) -> None:
    path = record(os.getppid(), "http://127.0.0.1:8888/", "from-the-file")
    assert path.stat().st_mode & 0o077 == 0
    env = {"NDS_URL": "http://127.0.0.1:8888/", "JPY_PARENT_PID": str(os.getppid())}
    assert find_server(environ=env).token == "from-the-file"


def test_configured_url_of_a_local_server_needs_no_token(record: Record) -> None:
    record(os.getppid(), "http://127.0.0.1:8888/lab/", "local")
    assert find_server("http://127.0.0.1:8888/lab", environ={}).token == "local"
    assert find_server("http://elsewhere/", environ={}).token == ""


def test_runtime_file_of_a_dead_server_or_of_another_user_is_no_server(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(2**22 + 1, "http://dead/", "dead")
    with pytest.raises(ServerNotFound):
        find_server(environ={})
    record(os.getpid(), "http://living/", "living")
    assert find_server(environ={}).url == "http://living/"
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(ServerNotFound):
        find_server(environ={})


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"url": ""}', '{"token": "x"}'])
def test_damaged_runtime_file_is_passed_over(record: Record, tmp_path: Path, text: str) -> None:
    (tmp_path / f"jpserver-{os.getpid()}.json").write_text(text)
    with pytest.raises(ServerNotFound):
        find_server(environ={"JPY_PARENT_PID": str(os.getpid())})


def test_finding_none_says_what_was_tried_and_what_to_do(record: Record) -> None:
    with pytest.raises(ServerNotFound) as error:
        find_server(environ={})
    said = str(error.value)
    tried = ["NDS_URL", "JPY_PARENT_PID", "JupyterHub", "runtime files"]
    assert sorted(tried, key=said.index) == tried
    assert "NDS_TOKEN" in said
    assert "%config NdsMagics.url" in said


def test_address_shows_no_token_and_keeps_the_prefix() -> None:
    address = find_server("http://h:1/base/", "s3cret", {"NDS_ROUTE_PREFIX": "jobs"})
    assert "s3cret" not in repr(address)
    assert address.route("/upload") == "http://h:1/base/jobs/upload"
    bare = find_server("http://h:1/base/", "s3cret", {"NDS_ROUTE_PREFIX": ""})
    assert bare.route("/upload") == "http://h:1/base/upload"
