"""HTTP client of a server with the extension, for tests of its routes."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from tornado.httpclient import HTTPResponse

Ask = Callable[..., Awaitable[HTTPResponse]]

DEADLINE = 90.0
"""Seconds for an answer; the machine may be busy with other tests."""


@pytest.fixture
def nds(jp_serverapp: Any, jp_asyncio_loop: asyncio.AbstractEventLoop) -> Iterator[Any]:
    """Give the application, once jobs are resumed and the data root is made."""
    # The hook that a server calls once its event loop runs; the fixture has no such moment.
    app = next(iter(jp_serverapp.extension_manager.extension_apps["nds_jupyter"]))
    jp_asyncio_loop.run_until_complete(app._start_jupyter_server_extension(jp_serverapp))
    yield app
    os.environ.pop("NDS_URL_OF_SERVER")
    assert "token" not in os.environ.pop("NDS_URL")


@pytest.fixture
def fetch(nds: Any, http_server_client: Any, jp_auth_header: dict[str, str]) -> Ask:
    """Ask for a URL as it is; Jupyter's own fixture would quote it once more."""

    async def fetch(
        verb: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> HTTPResponse:
        return await http_server_client.fetch(
            url,
            method=verb,
            headers={**jp_auth_header, **(headers or {})},
            body=body if verb in {"PUT", "POST"} else None,
            raise_error=False,
            request_timeout=DEADLINE,
        )

    return fetch


@pytest.fixture
def ask(fetch: Ask, jp_base_url: str) -> Ask:
    """Ask for a route.

    What can't be in a URL's path is quoted; a body that is not bytes goes as JSON.
    """

    async def ask(
        verb: str,
        path: str,
        body: object = None,
        /,
        *,
        headers: dict[str, str] | None = None,
        accept: str = "",
        **query: object,
    ) -> HTTPResponse:
        url = f"{jp_base_url}nds/{quote(path.lstrip('/'), safe='/%')}?{urlencode(query)}"
        given = dict(headers or {})
        if not isinstance(body, bytes):
            body = json.dumps(body or {}).encode()
            given.setdefault("Content-Type", "application/json")
        if accept:
            given["Accept"] = accept
        return await fetch(verb, url, body, given)

    return ask


def json_of(answer: HTTPResponse) -> Any:
    return json.loads(answer.body)


async def submit_script(ask: Ask, script: str, **fields: object) -> str:
    """Submit a shell script, and return the id of its job."""
    answer = await ask("POST", "/upload", {"scriptname": "job.sh", "script": script, **fields})
    assert answer.code == 201, answer.body
    return str(json_of(answer)["job_id"])


async def submit_form(jp_fetch: Any, body: str) -> dict[str, Any]:
    """Submit what a form sends, and return the job."""
    answer = await jp_fetch(
        "nds",
        "upload",
        method="POST",
        body=body,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    job: dict[str, Any] = json_of(answer)
    return job


async def run_script(ask: Ask, script: str, **fields: object) -> dict[str, Any]:
    """Submit a shell script, and return its job once it has ended."""
    return await wait_for_end(ask, await submit_script(ask, script, **fields))


async def wait_for_end(ask: Ask, job_id: str) -> dict[str, Any]:
    """Wait for a job's end, and return it."""
    async with asyncio.timeout(DEADLINE):
        while True:
            job: dict[str, Any] = json_of(await ask("GET", "/upload", job_id=job_id, wait=30))
            if job["phase"] == "finished":
                return job
