"""A server killed while data moves: the next one removes what is half-made of it, and only that."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.server import Server, wait_for
from tests.irods_zone.codes import Api
from tests.irods_zone.zone import Zone
from tests.roots import Root

# The iRODS client leaves the sockets of broken connections to the garbage collector.
pytestmark = [pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"), pytest.mark.slow]

SIZE = 20 * 2**20
NOWHERE = "tcp://127.0.0.1:9"

any_root = pytest.mark.parametrize("data_root", ["folder", "faulty"], indirect=True)


@pytest.fixture
def server(data_root: Root, tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path, engine_url=NOWHERE, data_root=data_root.url)
    server.start()
    yield server
    server.stop()


def begun(server: Server, data_root: Root, path: str) -> None:
    """Wait until an upload has left something in its collection."""
    before = set(data_root.hidden())
    link = server.begin_upload(f"/data{path}", SIZE, os.urandom(SIZE // 2))
    wait_for(lambda: set(data_root.hidden()) - before, "the upload to begin", server.log)
    # Open until the server is killed, which is what closes it.
    server.links.append(link)


def nothing_hidden(server: Server, data_root: Root) -> None:
    wait_for(lambda: not data_root.hidden(), "nothing to be left", lambda: data_root.hidden())


@any_root
def test_killed_while_an_upload_comes(server: Server, data_root: Root) -> None:
    data_root.put("/c/x", b"old")
    for path in ("/c/x", "/c/y"):
        begun(server, data_root, path)
    server.kill()
    assert len(data_root.hidden()) == 2
    server.start()
    nothing_hidden(server, data_root)
    assert (data_root.names("/c"), data_root.get("/c/x")) == ({"x"}, b"old")


@pytest.mark.parametrize("data_root", ["faulty"], indirect=True)
def test_upload_of_another_server_is_left_alone(
    server: Server, data_root: Root, tmp_path: Path
) -> None:
    other = Server(tmp_path / "other", engine_url=NOWHERE, data_root=data_root.url)
    (tmp_path / "other").mkdir()
    other.share_journals_of(server)
    other.start()
    try:
        data_root.mkdir("/c")
        data = os.urandom(SIZE)
        going_on = other.begin_upload("/data/c/theirs", SIZE, data[: SIZE // 2])
        wait_for(data_root.hidden, "the other upload to begin", other.log)
        theirs = set(data_root.hidden())
        begun(server, data_root, "/c/mine")
        server.kill()
        server.start()
        wait_for(lambda: set(data_root.hidden()) == theirs, "mine to be removed", data_root.hidden)
        with going_on:
            going_on.sendall(data[SIZE // 2 :])
            assert going_on.recv(100).startswith(b"HTTP/1.1 201")
    finally:
        other.stop()
    assert (data_root.names("/c"), data_root.get("/c/theirs") == data) == ({"theirs"}, True)


@pytest.mark.engine
@pytest.mark.parametrize("data_root", ["faulty"], indirect=True)
@pytest.mark.parametrize("outcome", ["delivered", "stopped"])
def test_killed_while_results_are_delivered(
    data_root: Root, faulty_zone: Zone, docker_engine_url: str, tmp_path: Path, outcome: str
) -> None:
    server = Server(
        tmp_path,
        engine_url=docker_engine_url,
        default_image="nds/shell:test",
        data_root=data_root.url,
    )
    server.start()
    try:
        # The seventh of the results is being written.
        faulty_zone.faults.stall(Api.PUT, nth=7)
        script = "mkdir /results/d; for n in $(seq 20); do echo $n > /results/d/$n; done"
        job_id = server.submit(script, output="/deep/er/out")
        wait_for(lambda: faulty_zone.faults.calls.count(Api.PUT) >= 7, "the delivery", server.log)
        assert server.job(job_id)["phase"] == "collecting"
        server.kill()
        assert data_root.hidden("/deep")
        faulty_zone.faults.clear()
        if outcome == "stopped":
            faulty_zone.faults.stall(Api.PUT)
        server.start()
        if outcome == "stopped":
            wait_for(lambda: Api.PUT in faulty_zone.faults.calls, "another delivery", server.log)
            server.stop_without_waiting(job_id)
            faulty_zone.faults.clear()
        job = server.end_of(job_id)
        if outcome == "stopped":
            assert (job["state"], job["reason"]) == ("FAILED", "stopped"), job
            wait_for(lambda: not data_root.names(), "nothing to be left", data_root.names)
        else:
            assert job["state"] == "COMPLETED", job
            assert data_root.names("/deep/er/out/d") == {str(n) for n in range(1, 21)}
            assert data_root.get("/deep/er/out/d/20") == b"20\n"
            nothing_hidden(server, data_root)
    finally:
        server.stop()
