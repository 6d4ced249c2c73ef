"""The Python client: against a real server and engine, and against one that misbehaves."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from dev.jupyter import Server
from nds_jupyter import Client
from nds_jupyter.client.job_methods import job_method
from nds_jupyter.errors import (
    Conflict,
    InvalidRequest,
    JobFailed,
    JobNotFound,
    NdsError,
    ServerNotFound,
    UnexpectedAnswer,
)
from nds_jupyter.jobs.job import JobState

JOB = {
    **dict.fromkeys(("container_id", "worker", "progress", "reason", "image_digest", "output")),
    **dict.fromkeys(("exit_code", "started", "finished")),
    "job_id": "0123456789abcdef",
    "state": "RUNNING",
    "phase": "running",
    "message": "",
    "owner": "ada",
    "name": "",
    "scriptname": "cell.py",
    "image": "x:1",
    "data": [],
    "limits": {"cpus": 1, "memory": 1, "pids": 1},
    "created": "2026-01-01T00:00:00Z",
}


@contextmanager
def server_that(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[Client]:
    """Give a client of a server that does one thing."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            answer(self)

        do_GET = do_POST = handle_any  # noqa: N815

        def log_message(self, *_args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            with Client(f"http://127.0.0.1:{listener.server_port}/", "t0ken") as client:
                yield client
        finally:
            listener.shutdown()
            thread.join()


def send(handler: BaseHTTPRequestHandler, value: object, status: int = 200) -> None:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def test_followed_log_resumes_a_lost_connection_at_the_same_line() -> None:
    lines = [
        {"stream": "stdout", "time": f"2026-01-01T00:00:0{second}.123456789Z", "text": text}
        # The engine's two streams are not strictly in the order of their times.
        for second, text in ((1, "one"), (3, "three"), (2, "two"), (3, "three"), (4, "four"))
    ]
    asked: list[dict[str, list[str]]] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        url = urlsplit(handler.path)
        if not url.path.endswith("/stdout"):
            return send(handler, JOB)
        asked.append(parse_qs(url.query))
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        part = body[: len(body) // 2 + 10] if len(asked) == 1 else body
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        if len(asked) > 1:
            handler.wfile.write(b"0\r\n\r\n")
        handler.close_connection = True
        return None

    with server_that(answer) as client:
        job = client.job("0123")
        assert [line.text for line in job.lines()] == ["one", "three", "two", "three", "four"]
    assert [query.get("since") for query in asked[:2]] == [None, ["2026-01-01T00:00:01.123456Z"]]


def test_submit_whose_answer_is_lost_is_repeated_with_its_key() -> None:
    keys: list[str] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.rfile.read(int(handler.headers["Content-Length"]))
        keys.append(handler.headers["Idempotency-Key"])
        if len(keys) == 1:
            handler.close_connection = True
        else:
            send(handler, JOB, 201)

    with server_that(answer) as client:
        assert client.submit("print()").id == JOB["job_id"]
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_answer_of_something_else_says_what_to_look_at() -> None:
    with (
        server_that(lambda handler: send(handler, b"<html>Login</html>", 403)) as client,
        pytest.raises(UnexpectedAnswer, match="403") as error,
    ):
        client.images()
    assert "jupyter server extension list" in str(error.value)
    assert "t0ken" not in str(error.value) + repr(client)


def test_code_of_a_newer_server_is_still_an_error_of_ours() -> None:
    body = {"message": "The moon is full.", "code": "moon", "phase": 0.5}
    with (
        server_that(lambda handler: send(handler, body, 418)) as client,
        pytest.raises(Exception, match="The moon is full") as error,
    ):
        client.images()
    assert type(error.value).__name__ == "NdsError"


def test_server_that_is_not_there_is_a_sentence() -> None:
    with Client("http://127.0.0.1:9/", "t") as client, pytest.raises(ServerNotFound, match="Is it"):
        client.jobs()


def test_jobs_follow_the_links_of_pages() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        cursor = parse_qs(urlsplit(handler.path).query).get("cursor", ["0"])[0]
        body = json.dumps([{**JOB, "job_id": f"{cursor:0>16}"}]).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        if int(cursor) < 2:
            handler.send_header("Link", f'<?limit=1&cursor={int(cursor) + 1}>; rel="next"')
        handler.end_headers()
        handler.wfile.write(body)

    with server_that(answer) as client:
        assert [job.id[-1] for job in client.jobs()] == ["0", "1", "2"]


ONLY_THE_CLIENT = """
import sys
from nds_jupyter.client import Client
job = Client(sys.argv[1], "t").job("0123")
assert not {"nds_jupyter.values", "nds_jupyter.widgets"} & set(sys.modules)
print(job.value("total"), job.values(), type(job.panel()).__name__)
"""


def test_values_and_panel_are_there_where_only_the_client_was_imported() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked = parse_qs(urlsplit(handler.path).query).get("path")
        labels = {"labels": {"values.out": "total"}}
        send(handler, {**JOB, **labels} if asked is None else {"total.json": 41}[asked[0]])

    with server_that(answer) as client:
        done = subprocess.run(
            [sys.executable, "-c", ONLY_THE_CLIENT, client.address.url],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.stdout == "41 {'total': 41} JobPanel\n", done.stderr


def test_method_that_nothing_provides_is_a_sentence() -> None:
    with pytest.raises(NdsError, match=r"job\.plot\(\) is not there"):
        job_method("plot")


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    with Client(server.url, server.token) as client:
        yield client


@pytest.mark.engine
def test_job_from_submission_to_results(client: Client, tmp_path: Path) -> None:
    script = "import os; print(os.environ['A']); os.makedirs('d'); open('d/f', 'w').write('xyz')"
    job = client.submit(script, scriptname="a.py", name="whole", env={"A": "é"}, memory="64m")
    assert job.state is JobState.RUNNING
    assert list(job.logs(follow=True)) == ["é\n"]
    assert job.wait().state is JobState.COMPLETED
    assert job.raise_if_failed() is job
    assert (job.logs(), job.logs(tail=0), job.logs(stream="stderr")) == ("é\n", "", "")
    assert ("added", "/results/d/f") in list(job.diff())
    assert list(job.results()) == [("d/f", 3)]
    assert job.metrics().now is None
    assert job.info().job_id == job.id
    [path] = job.download(tmp_path)
    assert path.read_text() == "xyz"
    with pytest.raises(Conflict, match="exists"):
        job.download(tmp_path)
    again = job.rerun().wait()
    assert again.id != job.id
    assert again.logs() == "é\n"
    assert client.job(job.id[:8]).id == job.id
    assert {each.id for each in client.jobs(name="whole")} == {job.id, again.id}
    again.delete()
    with pytest.raises(JobNotFound):
        again.refresh()
    assert client.health().engine.reachable
    assert client.info(f"nds-{job.id}").job_id in {each.job_id for each in client.containers()}


@pytest.mark.engine
def test_failed_job_raises_with_its_log(client: Client) -> None:
    job = client.submit("print('before'); raise SystemExit(7)", scriptname="a.py").wait()
    with pytest.raises(JobFailed, match=r"code 7[\s\S]*before") as error:
        job.raise_if_failed()
    assert error.value.details == {"job_id": job.id}


@pytest.mark.engine
def test_stop_ends_a_job_that_is_waited_for(client: Client) -> None:
    job = client.submit("import time; time.sleep(600)", scriptname="a.py")
    with pytest.raises(TimeoutError, match="it goes on"):
        job.wait(timeout=0.2)
    assert job.stop(timeout=1).state == "success"
    assert (job.state, job.view.reason) == (JobState.FAILED, "stopped")


@pytest.mark.engine
def test_file_is_submitted_byte_for_byte(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "tool.sh"
    path.write_bytes(b"#!/bin/sh\nwc -c < /nds/tool.sh # \xff\xfe\r\n")
    job = client.submit(file=path).wait().raise_if_failed()
    assert job.logs().strip() == str(path.stat().st_size)
    with pytest.raises(InvalidRequest, match="both"):
        client.submit("x", file=path)
