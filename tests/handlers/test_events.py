"""`/events` through a real Jupyter server, on a real Docker Engine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPClientError
from tornado.websocket import WebSocketClientConnection

from nds_jupyter.engines.docker import DockerEngine
from tests.handlers.asking import Ask, said

pytestmark = pytest.mark.engine

PATIENCE = 60.0
"""Seconds for anything to be told; the machine may be busy."""

Open = Callable[..., Awaitable["Watcher"]]


class Watcher:
    """A page: what it was told, in order."""

    def __init__(self, socket: WebSocketClientConnection) -> None:
        self.socket = socket
        self.told: list[dict[str, Any]] = []

    async def next(self) -> dict[str, Any] | None:
        async with asyncio.timeout(PATIENCE):
            message = await self.socket.read_message()
        if message is None:
            return None
        self.told.append(json.loads(message))
        return self.told[-1]

    async def until(self, reached: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Return the first message that fulfils a condition, told already or still to come."""
        for message in self.told:
            if reached(message):
                return message
        while (message := await self.next()) is not None:
            if reached(message):
                return message
        pytest.fail(f"The socket was closed. Last told: {self.told[-3:]}")

    async def follow(self, *follows: dict[str, Any]) -> None:
        await self.socket.write_message(json.dumps({"follow": follows}))

    async def log(self, job_id: str) -> list[dict[str, Any]]:
        """Read the lines of a followed job to the end."""
        await self.until(lambda message: message.get("end") and message["job_id"] == job_id)
        return self.lines(job_id)

    def lines(self, job_id: str) -> list[dict[str, Any]]:
        logs = [m for m in self.told if m["type"] == "log" and m["job_id"] == job_id]
        return [line for message in logs for line in message["lines"]]

    def phases(self, job_id: str) -> list[str]:
        jobs = [m for m in self.told if m["type"] == "job" and m["job_id"] == job_id]
        return [message["job"]["phase"] for message in jobs if "job" in message]


@pytest.fixture
def open_page(nds: Any, jp_ws_fetch: Any) -> Iterator[Open]:
    pages: list[Watcher] = []

    async def open_page(**query: str) -> Watcher:
        page = Watcher(await jp_ws_fetch("nds", "events", params=query))
        pages.append(page)
        await page.next()
        return page

    yield open_page
    for page in pages:
        page.socket.close()


@pytest.fixture
def followed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Give the containers whose log was followed, one entry for each stream of the engine."""
    streams: list[str] = []
    original = DockerEngine.logs

    def logs(self: DockerEngine, container_id: str, request: Any) -> Any:
        # The end of a followed log is read once more, which is no stream that stays open.
        if request.follow:
            streams.append(container_id)
        return original(self, container_id, request)

    monkeypatch.setattr(DockerEngine, "logs", logs)
    return streams


async def submit(ask: Ask, script: str, **fields: object) -> str:
    answer = await ask("POST", "/upload", {"script": script, "scriptname": "job.sh", **fields})
    assert answer.code == 201, answer.body
    return said(answer)["job_id"]


async def test_page_is_told_of_a_job_from_submission_to_deletion(ask: Ask, open_page: Open) -> None:
    page = await open_page()
    assert page.told[0]["type"] == "reset"
    job_id = await submit(ask, "echo out; echo err >&2; sleep 3")
    await page.follow({"job_id": job_id, "metrics": True})
    await page.until(lambda message: message["type"] == "metric")
    lines = await page.log(job_id)
    assert sorted((line["stream"], line["text"]) for line in lines) == [
        ("stderr", "err"),
        ("stdout", "out"),
    ]
    ended = await page.until(lambda m: m["type"] == "job" and m["job"]["phase"] == "finished")
    assert ended["job"] == said(await ask("GET", "/upload", job_id=job_id))
    phases = page.phases(job_id)
    assert (phases[0], phases[-1]) == ("accepted", "finished")
    assert {"staging", "running", "collecting"} <= set(phases)
    await ask("DELETE", f"/jobs/{job_id}")
    gone = await page.until(lambda message: message.get("deleted"))
    assert gone["job_id"] == job_id


async def test_two_pages_follow_one_log_by_one_stream(
    ask: Ask, open_page: Open, followed: list[str]
) -> None:
    first, second = await open_page(), await open_page()
    job_id = await submit(ask, "until [ -e /results/go ]; do echo tick; sleep 0.1; done; echo end")
    await first.follow({"job_id": job_id})
    await first.until(lambda message: message["type"] == "log")
    await second.follow({"job_id": job_id[:8]})
    await second.until(lambda message: message["type"] == "log")
    assert len(followed) == 1
    await ask("POST", "/stop", job_id=job_id, timeout=0)
    one, other = await first.log(job_id), await second.log(job_id)
    assert one == other
    assert len(followed) == 1


async def test_page_that_comes_back_has_missed_no_job_message(ask: Ask, open_page: Open) -> None:
    page, witness = await open_page(), await open_page()
    first = await submit(ask, "true")
    seen = await page.until(lambda m: m["type"] == "job" and m["job"]["phase"] == "running")
    # Cut without a closing handshake, as when a laptop's lid is closed.
    page.socket.protocol.stream.close()
    second = await submit(ask, "true")
    for job_id in (first, second):
        await witness.until(
            lambda m, job_id=job_id: (
                m["type"] == "job" and m["job_id"] == job_id and m["job"]["phase"] == "finished"
            )
        )
    back = await open_page(since=seen["seq"])
    assert back.told[0]["type"] == "hello"
    await back.until(lambda m: m["seq"] == witness.told[-1]["seq"])
    for job_id in (first, second):
        assert page.phases(job_id) + back.phases(job_id) == witness.phases(job_id)


@pytest.mark.parametrize("since", ["0badcafe.3", "nonsense", ""])
async def test_unknown_position_begins_with_a_reset(open_page: Open, since: str) -> None:
    page = await open_page(since=since)
    assert page.told[0]["type"] == "reset"


async def test_log_goes_on_where_the_page_had_it(ask: Ask, open_page: Open) -> None:
    page = await open_page()
    job_id = await submit(ask, "for n in 1 2 3 4 5; do echo $n; done")
    await page.follow({"job_id": job_id})
    lines = await page.log(job_id)
    assert [line["text"] for line in lines] == list("12345")
    for _ in range(2):
        back = await open_page()
        await back.follow({"job_id": job_id, "log_since": lines[2]["time"]})
        assert await back.log(job_id) == lines[3:]
        assert all(m["refetch_since"] is None for m in back.told if m["type"] == "log")
    last = await open_page()
    await last.follow({"job_id": job_id, "log_tail": 2})
    assert [line["text"] for line in await last.log(job_id)] == ["4", "5"]


async def test_page_that_does_not_read_skips_and_holds_nobody_up(ask: Ask, open_page: Open) -> None:
    count = 100_000
    stalled, quick = await open_page(), await open_page()
    job_id = await submit(ask, f"sleep 1; seq 1 {count} | sed 's/$/ {'x' * 100}/'; echo end")
    for page in (stalled, quick):
        await page.follow({"job_id": job_id})
    assert len(await quick.log(job_id)) == count + 1
    assert all(m["skipped"] == 0 for m in quick.told if m["type"] == "log")
    lines = await stalled.log(job_id)
    gaps = [m for m in stalled.told if m["type"] == "log" and m["skipped"]]
    assert len(lines) + sum(m["skipped"] for m in gaps) == count + 1
    # What is missing is where the message says that it is.
    first = gaps[0]
    before = lines[lines.index(first["lines"][0]) - 1]
    assert first["refetch_since"] == before["time"]
    assert int(first["lines"][0]["text"].split()[0]) - int(before["text"].split()[0]) > 1
    assert lines[-1]["text"] == "end"


async def test_long_and_hostile_lines_come_as_text(ask: Ask, open_page: Open) -> None:
    hostile = [
        "<img src=x onerror=alert(1)>",
        "\x1b[31mred\x1b]0;title\x07",
        'tab\tquote" back\\ \u2028 end',
    ]
    script = "printf '%s\\n' " + " ".join("'" + line + "'" for line in hostile)
    long = "head -c 10000000 /dev/zero | tr '\\0' x; echo y; echo after"
    page = await open_page()
    job_id = await submit(ask, f"{script}; {long}")
    await page.follow({"job_id": job_id})
    lines = await page.log(job_id)
    assert [line["text"] for line in lines[:3]] == hostile
    *pieces, after = lines[3:]
    assert after["text"] == "after"
    assert "".join(line["text"] for line in pieces) == "x" * 10_000_000 + "y"
    assert max(len(line["text"]) for line in pieces) <= 64 * 1024
    assert [line.get("cut", False) for line in pieces] == [True] * (len(pieces) - 1) + [False]


async def test_stranger_s_job_is_not_followed(
    ask: Ask, open_page: Open, nds: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await submit(ask, "echo secret")
    monkeypatch.setattr(nds, "owner", "eve")
    page = await open_page()
    await page.follow({"job_id": job_id}, {"job_id": "0123456789abcdef"})
    for asked in (job_id, "0123456789abcdef"):
        error = await page.until(
            lambda m, asked=asked: m["type"] == "error" and m["job_id"] == asked
        )
        assert error["code"] == "job_not_found"
    own = await submit(ask, "echo mine")
    await page.follow({"job_id": own})
    await page.log(own)
    assert {m["job_id"] for m in page.told if m["type"] in {"job", "log"}} == {own}


@pytest.mark.parametrize(
    "message", ["{", '{"follow": 1}', '{"follow": [{"log": true}]}', b"\xff\xfe"]
)
async def test_message_that_is_not_understood_is_answered(
    open_page: Open, message: str | bytes
) -> None:
    page = await open_page()
    await page.socket.write_message(message, binary=isinstance(message, bytes))
    error = await page.until(lambda m: m["type"] == "error")
    assert (error["code"], error["job_id"]) == ("invalid_request", None)


async def test_frame_that_is_too_large_ends_the_connection(open_page: Open) -> None:
    page = await open_page()
    await page.socket.write_message("x" * 100_000)
    while await page.next() is not None:
        pass
    assert page.socket.close_code == 1009


async def test_load_counts_what_runs_and_what_waits(ask: Ask, open_page: Open) -> None:
    page = await open_page()
    jobs = [await submit(ask, "sleep 300") for _ in range(5)]
    load = await page.until(lambda m: m["type"] == "load" and (m["running"], m["queued"]) == (4, 1))
    assert load["places"] == 4
    assert load["cpus"] >= 1
    assert load["memory"] > 0
    asked = said(await ask("GET", "/load"))
    assert (asked["running"], asked["queued"]) == (4, 1)
    for job_id in reversed(jobs):
        await ask("POST", "/stop", job_id=job_id, timeout=0)
    await page.until(lambda m: m is page.told[-1] and m["type"] == "load" and not m["running"])


async def test_server_that_stops_says_so(open_page: Open, nds: Any) -> None:
    page = await open_page()
    closing = asyncio.ensure_future(nds._pages.close())
    while await page.next() is not None:
        pass
    await closing
    assert page.socket.close_code == 1001


@pytest.mark.parametrize("token", ["", "token wrong"])
async def test_stranger_is_refused(nds: Any, jp_ws_fetch: Any, token: str) -> None:
    with pytest.raises(HTTPClientError) as refused:
        await jp_ws_fetch("nds", "events", headers={"Authorization": token})
    assert refused.value.code == 403


async def test_browser_s_page_is_let_in_from_its_own_origin_only(
    nds: Any, jp_ws_fetch: Any, jp_http_port: int, jp_base_url: str, jp_auth_header: dict[str, str]
) -> None:
    # Whoever knows the token may come from anywhere; a cookie is sent along by any page.
    own = f"http://localhost:{jp_http_port}"
    answer = await AsyncHTTPClient().fetch(f"{own}{jp_base_url}nds/jobs", headers=jp_auth_header)
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    browser = {"Authorization": "", "Cookie": cookie}
    for origin in ("http://evil.example", "null", f"{own}.evil.example"):
        with pytest.raises(HTTPClientError) as refused:
            await jp_ws_fetch("nds", "events", headers={**browser, "Origin": origin})
        assert refused.value.code == 403
    page = Watcher(await jp_ws_fetch("nds", "events", headers={**browser, "Origin": own}))
    assert await page.next() is not None
    page.socket.close()


async def test_reader_may_open_a_page(open_page: Open, jp_serverapp: Any) -> None:
    asked = []

    def read_only(handler: Any, user: Any, action: str, resource: str) -> bool:
        asked.append((action, resource))
        return action == "read"

    jp_serverapp.authorizer.is_authorized = read_only
    page = await open_page()
    assert page.told[0]["type"] == "reset"
    assert asked == [("read", "nds")]


async def test_who_may_not_read_is_refused(nds: Any, jp_ws_fetch: Any, jp_serverapp: Any) -> None:
    jp_serverapp.authorizer.is_authorized = lambda *_args: False
    with pytest.raises(HTTPClientError) as refused:
        await jp_ws_fetch("nds", "events")
    assert refused.value.code == 403
