"""What tests of the routes ask of a server, and how they read its answers."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from tornado.httpclient import HTTPResponse

Ask = Callable[..., Awaitable[HTTPResponse]]


def said(answer: HTTPResponse) -> Any:
    return json.loads(answer.body)


async def finished(ask: Ask, script: str, **fields: object) -> dict[str, Any]:
    fields.setdefault("scriptname", "job.sh")
    answer = await ask("POST", "/upload", {"script": script, **fields})
    assert answer.code == 201, answer.body
    job = said(answer)
    await ask("GET", "/stdout", job_id=job["job_id"], follow=1)
    return said(await ask("GET", "/upload", job_id=job["job_id"]))
