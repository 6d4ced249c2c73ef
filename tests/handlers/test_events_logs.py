"""Logs that a page follows, through a real Jupyter server, on a real Docker Engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from nds_jupyter.engines.docker.engine import DockerEngine
from tests.handlers.http_client import Ask, submit_script
from tests.handlers.websocket_client import Connect

pytestmark = pytest.mark.engine


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


async def test_two_pages_follow_one_log_by_one_stream(
    ask: Ask, connect: Connect, followed: list[str]
) -> None:
    first, second = await connect(), await connect()
    job_id = await submit_script(
        ask, "until [ -e /results/go ]; do echo tick; sleep 0.1; done; echo end"
    )
    await first.follow({"job_id": job_id})
    await first.until(lambda message: message["type"] == "log")
    await second.follow({"job_id": job_id[:8]})
    await second.until(lambda message: message["type"] == "log")
    assert len(followed) == 1
    await ask("POST", "/stop", job_id=job_id, timeout=0)
    one, other = await first.log(job_id), await second.log(job_id)
    assert one == other
    assert len(followed) == 1


async def test_log_goes_on_where_the_page_had_it(ask: Ask, connect: Connect) -> None:
    client = await connect()
    job_id = await submit_script(ask, "for n in 1 2 3 4 5; do echo $n; done")
    await client.follow({"job_id": job_id})
    lines = await client.log(job_id)
    assert [line["text"] for line in lines] == list("12345")
    for _ in range(2):
        back = await connect()
        await back.follow({"job_id": job_id, "log_since": lines[2]["time"]})
        assert await back.log(job_id) == lines[3:]
        assert all(m["refetch_since"] is None for m in back.received if m["type"] == "log")
    last = await connect()
    await last.follow({"job_id": job_id, "log_tail": 2})
    assert [line["text"] for line in await last.log(job_id)] == ["4", "5"]


async def test_page_that_does_not_read_skips_and_holds_nobody_up(
    ask: Ask, connect: Connect
) -> None:
    count = 100_000
    stalled, quick = await connect(), await connect()
    job_id = await submit_script(ask, f"sleep 1; seq 1 {count} | sed 's/$/ {'x' * 100}/'; echo end")
    for client in (stalled, quick):
        await client.follow({"job_id": job_id})
    assert len(await quick.log(job_id)) == count + 1
    assert all(m["skipped"] == 0 for m in quick.received if m["type"] == "log")
    lines = await stalled.log(job_id)
    gaps = [m for m in stalled.received if m["type"] == "log" and m["skipped"]]
    assert len(lines) + sum(m["skipped"] for m in gaps) == count + 1
    # What is missing is where the message says that it is.
    first = gaps[0]
    before = lines[lines.index(first["lines"][0]) - 1]
    assert first["refetch_since"] == before["time"]
    assert int(first["lines"][0]["text"].split()[0]) - int(before["text"].split()[0]) > 1
    assert lines[-1]["text"] == "end"


async def test_long_and_hostile_lines_come_as_text(ask: Ask, connect: Connect) -> None:
    hostile = [
        "<img src=x onerror=alert(1)>",
        "\x1b[31mred\x1b]0;title\x07",
        'tab\tquote" back\\ \u2028 end',
    ]
    script = "printf '%s\\n' " + " ".join("'" + line + "'" for line in hostile)
    long = "head -c 10000000 /dev/zero | tr '\\0' x; echo y; echo after"
    client = await connect()
    job_id = await submit_script(ask, f"{script}; {long}")
    await client.follow({"job_id": job_id})
    lines = await client.log(job_id)
    assert [line["text"] for line in lines[:3]] == hostile
    *pieces, after = lines[3:]
    assert after["text"] == "after"
    assert "".join(line["text"] for line in pieces) == "x" * 10_000_000 + "y"
    assert max(len(line["text"]) for line in pieces) <= 64 * 1024
    assert [line.get("cut", False) for line in pieces] == [True] * (len(pieces) - 1) + [False]
