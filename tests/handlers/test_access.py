"""Who may do what: one table of every route and verb, crossed with everyone who might ask.

A route that is not in the table fails the first test.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPResponse
from tornado.web import RequestHandler

from nds_jupyter.handlers import ROUTES
from tests.engine.fake import FakeEngine
from tests.handlers.http_client import json_of
from tests.handlers.identities import ADA, BOB, READER, NamedUsers, ReadersLook

LOOKS, CHANGES = "read", "write"

ACCESS = {
    ("/upload", "GET"): LOOKS,
    ("/upload", "POST"): CHANGES,
    ("/stdout", "GET"): LOOKS,
    ("/list_data", "GET"): LOOKS,
    ("/list_images", "GET"): LOOKS,
    ("/list_container", "GET"): LOOKS,
    ("/stop", "GET"): CHANGES,
    ("/stop", "POST"): CHANGES,
    ("/info", "GET"): LOOKS,
    ("/diff", "GET"): LOOKS,
    ("/metric", "GET"): LOOKS,
    ("/results", "GET"): LOOKS,
    ("/data/{path}", "GET"): LOOKS,
    ("/data/{path}", "HEAD"): LOOKS,
    ("/data/{path}", "PUT"): CHANGES,
    ("/data/{path}", "POST"): CHANGES,
    ("/data/{path}", "DELETE"): CHANGES,
    ("/metadata/{path}", "GET"): LOOKS,
    ("/metadata/{path}", "PUT"): CHANGES,
    ("/replicas/{path}", "GET"): LOOKS,
    ("/data_login", "GET"): LOOKS,
    ("/data_login", "PUT"): CHANGES,
    ("/data_login", "DELETE"): CHANGES,
    ("/tickets", "GET"): LOOKS,
    ("/tickets", "POST"): CHANGES,
    ("/tickets/{ticket}", "DELETE"): CHANGES,
    ("/jobs", "GET"): LOOKS,
    ("/jobs/{job_id}", "GET"): LOOKS,
    ("/jobs/{job_id}", "DELETE"): CHANGES,
    ("/jobs/{job_id}/rerun", "POST"): CHANGES,
    ("/jobs/{job_id}/background", "POST"): CHANGES,
    ("/health", "GET"): LOOKS,
    ("/openapi.json", "GET"): LOOKS,
    ("/events", "GET"): LOOKS,
    ("/load", "GET"): LOOKS,
    ("/script", "GET"): LOOKS,
    ("/list_results", "GET"): LOOKS,
    ("/archive", "GET"): LOOKS,
    ("/archive", "POST"): LOOKS,
    ("/deliver", "POST"): CHANGES,
    ("/files/{sha256}", "GET"): LOOKS,
    ("/files/{sha256}", "HEAD"): LOOKS,
    ("/files/{sha256}", "PUT"): CHANGES,
}

OF_ONE_JOB = {
    "/upload": "job_id",
    "/stdout": "job_id cont_id",
    "/stop": "job_id cont_id",
    "/info": "cont_id",
    "/diff": "job_id cont_id",
    "/metric": "job_id cont_id",
    "/results": "job_id cont_id",
    "/script": "job_id",
    "/list_results": "job_id cont_id",
    "/jobs/{job_id}": "",
    "/jobs/{job_id}/rerun": "",
    "/jobs/{job_id}/background": "",
}
"""The routes that are about a job or container, and the parameters that say which."""

HAS_BODY = {"POST", "PUT", "PATCH"}

Fetch = Callable[..., Awaitable[HTTPResponse]]
Visit = Callable[[str], Awaitable[dict[str, str]]]
# One server is asked for all routes: starting it takes far longer than they do.
EACH_ROUTE = sorted(ACCESS)


@pytest.fixture
def jp_server_config(fake_engine: FakeEngine, tmp_path: Path) -> dict[str, Any]:
    return {
        "ServerApp": {
            "jpserver_extensions": {"nds_jupyter": True},
            "identity_provider_class": NamedUsers,
            "authorizer_class": ReadersLook,
        },
        "NdsApp": {
            "engine_factory": lambda app: fake_engine,
            "default_image": "nds/shell:test",
            "journal_dir": str(tmp_path / "journal"),
            "data_root": str(tmp_path / "stored"),
        },
    }


@pytest.fixture
def fetch(nds: Any, http_server_client: Any, jp_base_url: str) -> Fetch:
    """Ask for a route with the headers that are given and no others."""

    async def fetch(
        verb: str, path: str, headers: dict[str, str] | None = None, body: str = ""
    ) -> HTTPResponse:
        return await http_server_client.fetch(
            f"{jp_base_url}nds{path}",
            method=verb,
            headers=headers or {},
            body=body if verb in HAS_BODY else None,
            follow_redirects=False,
            raise_error=False,
        )

    return fetch


def by(token: str) -> dict[str, str]:
    return {"Authorization": f"token {token}"}


def path_of(template: str) -> str:
    return template.format(job_id="0123456789abcdef", path="x", sha256="0" * 64, ticket="t")


async def submitted(fetch: Fetch, token: str = ADA) -> dict[str, Any]:
    script = json.dumps({"script": "sleep 600", "scriptname": "a.sh"})
    headers = {**by(token), "Content-Type": "application/json"}
    answer = await fetch("POST", "/upload", headers, script)
    assert answer.code == 201, answer.body
    return json_of(answer)


def test_table_names_every_route_and_verb() -> None:
    served = {
        (template, verb)
        for template, handler in ROUTES
        for verb in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
        if getattr(handler, verb.lower()) is not getattr(RequestHandler, verb.lower())
    }
    assert served == ACCESS.keys()


@pytest.mark.parametrize("headers", [{}, by("wrong"), by("")], ids=["none", "wrong", "empty"])
async def test_stranger_is_refused(fetch: Fetch, headers: dict[str, str]) -> None:
    for template, verb in EACH_ROUTE:
        answer = await fetch(verb, path_of(template), headers)
        # Without XSRF token and login, a change is refused for either reason.
        assert answer.code in {401, 403}, (template, verb)
        assert ADA.encode() not in answer.body, (template, verb)


async def test_reader_reads_and_changes_nothing(fetch: Fetch) -> None:
    for template, verb in EACH_ROUTE:
        answer = await fetch(verb, path_of(template), by(READER))
        refused = ACCESS[template, verb] == CHANGES
        assert (answer.code == 403) == refused, (template, verb, answer.code)


async def test_owner_is_allowed(fetch: Fetch) -> None:
    for template, verb in EACH_ROUTE:
        answer = await fetch(verb, path_of(template), by(ADA))
        assert answer.code not in {401, 403}, (template, verb, answer.code)


def ways_to_name(template: str, job: dict[str, Any]) -> list[str]:
    """Return the paths that are about somebody's job, by every id it has."""
    if not OF_ONE_JOB[template]:
        return [template.format(job_id=each) for each in (job["job_id"], job["job_id"][:6])]
    ids = {
        "job_id": [job["job_id"], job["job_id"][:6]],
        "cont_id": [job["container_id"], job["container_id"][:12], f"nds-{job['job_id']}"],
    }
    return [
        f"{template}?{name}={value}" for name in OF_ONE_JOB[template].split() for value in ids[name]
    ]


async def test_job_of_another_does_not_exist(
    fetch: Fetch, nds: Any, fake_engine: FakeEngine
) -> None:
    job = await submitted(fetch)
    job = json_of(await fetch("GET", f"/upload?job_id={job['job_id']}", by(ADA)))
    running = await nds._runner.wait_until(job["job_id"], lambda each: each.started is not None)
    named = {**job, "container_id": running.container_id}
    about_one = [
        (verb, path)
        for template, verb in EACH_ROUTE
        if template in OF_ONE_JOB and (template, verb) != ("/upload", "POST")
        for path in ways_to_name(template, named)
    ]
    for verb, path in about_one:
        answer = await fetch(verb, path, by(BOB))
        assert answer.code == 404, (verb, path)
        assert json_of(answer)["code"] in {"job_not_found", "container_not_found"}, (verb, path)
    assert fake_engine.runs == {f"nds-{job['job_id']}": 1}
    assert fake_engine.containers_by_id[running.container_id].running


@pytest.mark.parametrize("path", ["/jobs", "/list_container", "/info"])
async def test_lists_hold_only_what_is_ones_own(fetch: Fetch, nds: Any, path: str) -> None:
    for token in (ADA, BOB):
        job = await submitted(fetch, token)
        await nds._runner.wait_until(job["job_id"], lambda each: each.started is not None)
    for token, owner in ((ADA, "ada"), (BOB, "bob")):
        rows = json_of(await fetch("GET", path, by(token)))
        assert [row["owner"] for row in rows] == [owner]


@pytest.fixture
def visit(fetch: Fetch, http_server_client: Any, jp_base_url: str) -> Visit:
    """Return what a browser has after its first visit: the login and the XSRF cookie."""

    async def visit(token: str) -> dict[str, str]:
        pages = [
            await http_server_client.fetch(f"{jp_base_url}login"),
            await fetch("GET", "/health", by(token)),
        ]
        pairs = [
            each.partition(";")[0].partition("=")
            for page in pages
            for each in page.headers.get_list("Set-Cookie")
        ]
        return {name: value for name, _, value in pairs}

    return visit


def as_header(cookies: dict[str, str]) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


async def test_cookie_alone_changes_nothing(fetch: Fetch, visit: Visit) -> None:
    cookies = as_header(await visit(ADA))
    assert (await fetch("GET", "/jobs", {**cookies, "Referer": "x"})).code == 200
    # As a page of another site would make a browser ask.
    elsewhere = {**cookies, "Referer": "http://evil.example/"}
    for template, verb in [each for each in EACH_ROUTE if ACCESS[each] == CHANGES]:
        for headers in (elsewhere, cookies):
            answer = await fetch(verb, path_of(template), headers)
            assert answer.code == 403, (template, verb, headers)


@pytest.mark.parametrize("verb", ["GET", "POST"])
async def test_cookie_with_xsrf_token_may_stop(fetch: Fetch, visit: Visit, verb: str) -> None:
    job = await submitted(fetch)
    cookies = await visit(ADA)
    headers = {**as_header(cookies), "X-XSRFToken": cookies["_xsrf"]}
    answer = await fetch(verb, f"/stop?job_id={job['job_id']}", headers)
    assert (answer.code, json_of(answer)["state"]) == (200, "success")


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
async def test_link_of_another_site_stops_nothing(fetch: Fetch, visit: Visit, site: str) -> None:
    job = await submitted(fetch)
    cookies = await visit(ADA)
    headers = {**as_header(cookies), "X-XSRFToken": cookies["_xsrf"], "Sec-Fetch-Site": site}
    assert (await fetch("GET", f"/stop?job_id={job['job_id']}", headers)).code == 403
    # Who shows a token asks on purpose, wherever the page is from.
    known = {**by(ADA), "Sec-Fetch-Site": site}
    assert (await fetch("GET", f"/stop?job_id={job['job_id']}", known)).code == 200
