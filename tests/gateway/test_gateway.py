"""A server that passes everything on to another one, which runs the jobs."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from dev.engine_api import Endpoint
from dev.images import SHELL_IMAGE
from dev.jupyter import Server, free_port
from tests.handlers.http_client import json_of
from tests.handlers.identities import ADA, READER, NamedUsers, ReadersLook
from tests.handlers.test_access import ACCESS, CHANGES, Fetch, by, fetch, path_of
from tests.servers import isolated_server

__all__ = ["fetch"]

SECONDS = 60
FRONT_TOKEN, BACK_TOKEN = "token-of-the-front", "token-of-the-back"


@pytest.fixture
def jp_server_config() -> dict[str, Any]:
    """Give a server whose jobs are run where nobody listens."""
    return {
        "ServerApp": {
            "jpserver_extensions": {"nds_jupyter": True},
            "identity_provider_class": NamedUsers,
            "authorizer_class": ReadersLook,
        },
        "NdsApp": {"gateway_url": f"http://127.0.0.1:{free_port()}/", "gateway_token": BACK_TOKEN},
    }


async def test_requests_are_authorized_before_they_are_forwarded(fetch: Fetch) -> None:
    for (template, verb), action in ACCESS.items():
        what = f"{verb} {template}"
        stranger = await fetch(verb, path_of(template))
        assert stranger.code in {401, 403}, what
        reader = await fetch(verb, path_of(template), by(READER))
        assert (reader.code == 403) == (action == CHANGES), what
        owner = await fetch(verb, path_of(template), by(ADA))
        # A WebSocket that is not one is refused as such.
        assert owner.code == (400 if template == "/events" else 502), what
        if verb != "HEAD" and owner.code == 502:
            assert json_of(owner)["code"] == "gateway_unavailable"
            assert "does not answer" in json_of(owner)["message"]
            assert BACK_TOKEN.encode() not in owner.body


async def test_request_of_a_gateway_is_not_forwarded_again(fetch: Fetch) -> None:
    answer = await fetch("GET", "/jobs", {**by(ADA), "Nds-Passed-On": "1"})
    assert answer.code == 502
    assert "NDS_URL" in json_of(answer)["message"]


class Front:
    """Two servers: the one that is asked, and behind it the one that runs the jobs."""

    def __init__(self, front: Server, stop_back: Callable[[], object]) -> None:
        self.front = front
        self.stop_back = stop_back

    def ask(
        self, verb: str, path: str, body: Any = b"", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Make a request of the front; a body may be an iterable."""
        address = urlsplit(self.front.url)
        connection = http.client.HTTPConnection(address.netloc, timeout=SECONDS)
        try:
            known = {name.replace("_", "-"): value for name, value in headers.items()}
            known["Authorization"] = f"token {FRONT_TOKEN}"
            connection.request(verb, f"{address.path}nds{path}", body=body, headers=known)
            answer = connection.getresponse()
            given = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, given, answer.read()
        finally:
            connection.close()

    def submit(self, script: str) -> dict[str, Any]:
        fields = json.dumps({"script": script, "scriptname": "a.sh"}).encode()
        status, headers, body = self.ask("POST", "/upload", fields, Content_Type="application/json")
        assert status == 201, body
        return {**json.loads(body), "location": headers["location"]}


@pytest.fixture(scope="module")
def front(docker_engine: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("back")
    arguments = [
        f"--IdentityProvider.token={BACK_TOKEN}",
        f"--NdsApp.data_root={folder / 'stored'}",
    ]
    back = isolated_server(docker_engine, SHELL_IMAGE, folder, arguments)
    running = back.__enter__()
    nowhere = Endpoint("unix:///nowhere/docker.sock", None)
    try:
        with isolated_server(
            nowhere,
            SHELL_IMAGE,
            tmp_path_factory.mktemp("front"),
            [f"--IdentityProvider.token={FRONT_TOKEN}"],
            environment={"NDS_URL": running.url, "NDS_TOKEN": BACK_TOKEN},
        ) as server:
            yield Front(server, lambda: back.__exit__(None, None, None))
    finally:
        back.__exit__(None, None, None)


@pytest.mark.engine
def test_jobs_of_the_server_behind_are_run_followed_and_archived(front: Front) -> None:
    job = front.submit("echo passed on; echo result > /results/a.txt")
    query = f"?job_id={job['job_id']}"
    status, headers, log = front.ask("GET", f"/stdout{query}&follow=1&token={FRONT_TOKEN}")
    assert (status, log) == (200, b"passed on\n")
    assert headers["content-type"].startswith("text/plain")
    assert job["location"] == f"/nds/upload{query}"
    status, _, body = front.ask("GET", f"/upload{query}&wait=30")
    assert (status, json.loads(body)["state"]) == (200, "COMPLETED")
    status, headers, content = front.ask("GET", f"/results{query}&path=/results/a.txt&format=raw")
    assert (status, content) == (200, b"result\n")
    assert "a.txt" in headers["content-disposition"]
    fields = json.dumps({"job_id": job["job_id"], "paths": ["/results"], "format": "zip"}).encode()
    status, _, archive = front.ask("POST", "/archive", fields, Content_Type="application/json")
    assert (status, archive[:2]) == (200, b"PK")
    assert front.ask("POST", f"/stop{query}")[0] == 200
    assert front.ask("DELETE", f"/jobs/{job['job_id']}")[0] == 204
    assert front.ask("GET", f"/upload{query}")[0] == 404


@pytest.mark.engine
def test_lists_are_paged_through_the_gateway(front: Front) -> None:
    for name in ("a b", "c&d"):
        assert front.ask("POST", f"/data/paged/{name.replace(' ', '%20')}?mkdir=1")[0] == 201
    _, headers, body = front.ask("GET", "/list_data?path=/paged&limit=1")
    assert [row["name"] for row in json.loads(body)] == ["a b"]
    # A URL of the server that was asked.
    assert json.loads(body)[0]["url"] == "/nds/list_data?path=/paged/a%20b"
    following = headers["link"].partition("<")[2].partition(">")[0]
    _, headers, body = front.ask("GET", f"/list_data{following}")
    assert [row["name"] for row in json.loads(body)] == ["c&d"]
    assert "link" not in headers


@pytest.mark.engine
def test_content_is_streamed_both_ways_and_refused_before_it_is_read(front: Front) -> None:
    content = os.urandom(2**20) * 40
    status, headers, body = front.ask("PUT", "/data/large", content)
    assert (status, json.loads(body)["size"]) == (201, len(content))
    tag = headers["etag"]
    status, headers, read = front.ask("GET", "/data/large")
    assert hashlib.sha256(read).digest() == hashlib.sha256(content).digest()
    status, headers, read = front.ask("GET", "/data/large", Range="bytes=10-19")
    assert (status, read) == (206, content[10:20])
    assert headers["content-range"] == f"bytes 10-19/{len(content)}"
    status, headers, read = front.ask("HEAD", "/data/large")
    assert (headers["content-length"], headers["etag"], read) == (str(len(content)), tag, b"")
    assert front.ask("GET", "/data/large", If_None_Match=tag)[0] == 304
    # A body without a length, in pieces.
    route = f"/files/{hashlib.sha256(content).hexdigest()}"
    assert front.ask("PUT", route, content)[0] == 201
    assert front.ask("GET", route)[2] == content
    status, _, body = front.ask("PUT", "/data/pieces", iter([b"one ", b"two"]))
    assert (status, json.loads(body)["size"]) == (201, 7)
    status, _, body = front.ask("PUT", "/data/large", content, If_None_Match="*")
    assert (status, json.loads(body)["code"]) == (412, "precondition_failed")
    assert front.ask("GET", "/data/large", If_Match=tag, Range="bytes=0-0")[0] == 206


@pytest.mark.engine
async def test_page_receives_messages_through_the_gateway(front: Front) -> None:
    socket = await opened(front)
    assert json.loads(await read(socket))["type"] == "reset"
    job = front.submit("echo to the page")
    follow = {"follow": [{"job_id": job["job_id"], "log": True}]}
    await socket.write_message(json.dumps(follow))
    lines: list[str] = []
    deadline = time.monotonic() + SECONDS
    while lines != ["to the page"]:
        assert time.monotonic() < deadline, lines
        message = json.loads(await read(socket))
        if message["type"] == "log":
            lines += [line["text"] for line in message["lines"]]
    socket.close()


@pytest.mark.engine
async def test_upstream_that_stops_is_reported_in_a_sentence(front: Front) -> None:
    socket = await opened(front)
    front.stop_back()
    while await socket.read_message() is not None:
        pass
    status, _, body = front.ask("GET", "/jobs")
    assert status == 502
    assert "does not answer" in json.loads(body)["message"]
    assert BACK_TOKEN.encode() not in body


async def opened(front: Front) -> WebSocketClientConnection:
    url = f"{front.front.url.replace('http', 'ws', 1)}nds/events"
    request = HTTPRequest(url, headers=by(FRONT_TOKEN), connect_timeout=SECONDS)
    return await websocket_connect(request)


async def read(socket: WebSocketClientConnection) -> str:
    message = await socket.read_message()
    assert message is not None, "the gateway closed the connection"
    return str(message)
