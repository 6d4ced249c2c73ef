"""Who may open a page, and what of others they are told: nothing."""

from __future__ import annotations

from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPClientError

from tests.handlers.http_client import Ask, submit_script
from tests.handlers.websocket_client import Connect, EventsClient

pytestmark = pytest.mark.engine


async def test_stranger_s_job_is_not_followed(
    ask: Ask, connect: Connect, nds: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await submit_script(ask, "echo secret")
    monkeypatch.setattr(nds, "owner", "eve")
    client = await connect()
    await client.follow({"job_id": job_id}, {"job_id": "0123456789abcdef"})
    for asked in (job_id, "0123456789abcdef"):
        error = await client.until(
            lambda m, asked=asked: m["type"] == "error" and m["job_id"] == asked
        )
        assert error["code"] == "job_not_found"
    own = await submit_script(ask, "echo mine")
    await client.follow({"job_id": own})
    await client.log(own)
    assert {m["job_id"] for m in client.received if m["type"] in {"job", "log"}} == {own}


@pytest.mark.parametrize("token", ["", "token wrong"])
async def test_stranger_is_refused(nds: Any, jp_ws_fetch: Any, token: str) -> None:
    with pytest.raises(HTTPClientError) as refused:
        await jp_ws_fetch("nds", "events", headers={"Authorization": token})
    assert refused.value.code == 403


async def test_browser_s_page_is_accepted_from_its_own_origin_only(
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
    client = EventsClient(await jp_ws_fetch("nds", "events", headers={**browser, "Origin": own}))
    assert await client.next() is not None
    client.socket.close()


async def test_reader_may_open_a_page(connect: Connect, jp_serverapp: Any) -> None:
    asked = []

    def read_only(handler: Any, user: Any, action: str, resource: str) -> bool:
        asked.append((action, resource))
        return action == "read"

    jp_serverapp.authorizer.is_authorized = read_only
    client = await connect()
    assert client.received[0]["type"] == "reset"
    assert asked == [("read", "nds")]


async def test_who_may_not_read_is_refused(nds: Any, jp_ws_fetch: Any, jp_serverapp: Any) -> None:
    jp_serverapp.authorizer.is_authorized = lambda *_args: False
    with pytest.raises(HTTPClientError) as refused:
        await jp_ws_fetch("nds", "events")
    assert refused.value.code == 403
