"""The end of a followed log, which an engine may leave out if its last line has no line end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.handlers.http_client import Ask, json_of

TIMES = 4
"""Jobs that are followed; the engine would leave out most of their ends."""

SCRIPT = "echo one; echo bad >&2; sleep 0.3; printf last; printf worse >&2"


async def followed(ask: Ask, jp_fetch: Any, accept: str, **query: str) -> str:
    answer = await ask("POST", "/upload", {"script": SCRIPT, "scriptname": "a.sh"})
    shown = await jp_fetch(
        "nds",
        "stdout",
        params={"job_id": json_of(answer)["job_id"], "follow": "1", **query},
        headers={"Accept": accept},
        request_timeout=60,
    )
    return str(shown.body.decode())


@pytest.mark.parametrize(("stream", "whole"), [("stdout", "one\nlast"), ("stderr", "bad\nworse")])
async def test_plain_text_is_whole(ask: Ask, jp_fetch: Any, stream: str, whole: str) -> None:
    shown = [await followed(ask, jp_fetch, "text/plain", stream=stream) for _ in range(TIMES)]
    assert shown == [whole] * TIMES


async def test_lines_are_whole(ask: Ask, jp_fetch: Any) -> None:
    for _ in range(TIMES):
        lines = (await followed(ask, jp_fetch, "application/x-ndjson")).splitlines()
        seen = sorted((each["stream"], each["text"]) for each in map(json.loads, lines))
        assert seen == [
            ("stderr", "bad"),
            ("stderr", "worse"),
            ("stdout", "last"),
            ("stdout", "one"),
        ]
