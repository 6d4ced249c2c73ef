"""Each way in which a request can be wrong: its status, a sentence that names it, and no job."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from tornado.httpclient import HTTPResponse

from tests.handlers.http_client import Ask, json_of, run_script

FORM = "application/x-www-form-urlencoded"
OK = {"script": "true", "scriptname": "a.sh"}


@pytest.fixture(params=["fake"])
def engine_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


Post = Callable[..., Awaitable[HTTPResponse]]


@pytest.fixture
def post(nds: Any, jp_fetch: Any) -> Post:
    """Submit a body as it is."""

    async def post(body: bytes | str, kind: str, **headers: str) -> HTTPResponse:
        return await jp_fetch(
            "nds",
            "upload",
            method="POST",
            body=body,
            headers={"Content-Type": kind, **headers},
            raise_error=False,
        )

    return post


def assert_named(answer: HTTPResponse, status: int, named: str, of: object = None) -> None:
    where = f"{of}: {answer.code} {answer.body!r}"
    body = json_of(answer)
    assert answer.code == status, where
    assert answer.headers["Content-Type"] == "application/problem+json", where
    assert named in body["message"], where
    assert body["message"].endswith("."), where
    assert "Traceback" not in answer.body.decode(), where


WRONG_FIELDS: dict[str, tuple[dict[str, Any], int, str]] = {
    "neither script nor file": ({"script": None}, 400, "script, file"),
    "empty script": ({"script": ""}, 400, "script"),
    "file that is not base64": ({"script": None, "file": "%"}, 400, "file"),
    "script that is a number": ({"script": 1}, 400, "script"),
    "scriptname with a folder": ({"scriptname": "../a.sh"}, 400, "scriptname"),
    "scriptname without a known suffix": ({"scriptname": "a.xyz"}, 400, "scriptname"),
    "scriptname too long": ({"scriptname": "a" * 300 + ".sh"}, 400, "scriptname"),
    "image that is no name": ({"image_name": "NDS/../x"}, 400, "image_name"),
    "tag without name": ({"image_tag": "x"}, 400, "image_name"),
    "tag twice": ({"image_name": "nds/shell:test", "image_tag": "x"}, 400, "image_tag"),
    "tag that is no tag": ({"image_name": "nds/shell", "image_tag": "a b"}, 400, "image_tag"),
    "image outside policy": ({"image_name": "evil"}, 422, "evil:latest"),
    "empty command": ({"command": []}, 400, "command"),
    "command that is text": ({"command": "ls"}, 400, "command"),
    "command and args": ({"command": ["ls"], "args": ["x"]}, 400, "args"),
    "NUL in args": ({"args": ["a\0b"]}, 400, "args"),
    "env that is a list": ({"env": ["A=1"]}, 400, "env"),
    "env with a bad name": ({"env": {"A=B": "1"}}, 400, "env"),
    "labels of the server": ({"labels": {"nds.owner": "eve"}}, 400, "labels"),
    "cpus that are no number": ({"cpus": "many"}, 400, "cpus"),
    "no cpus": ({"cpus": 0}, 400, "cpus"),
    "memory that is no size": ({"memory": "lots"}, 400, "memory"),
    "too little memory": ({"memory": "1k"}, 400, "memory"),
    "timeout in the past": ({"timeout": -1}, 400, "timeout"),
    "network of the host": ({"network": "host"}, 400, "network"),
    "name of two lines": ({"name": "a\nb"}, 400, "name"),
    "privileges": ({"privileged": True}, 400, "privileged"),
    "mounts": ({"volumes": ["/:/host"]}, 400, "volumes"),
    "unknown field": ({"colour": 1}, 400, "colour"),
    "script too large": ({"script": "#" * 1001}, 413, "1001 B"),
}


async def test_wrong_field_of_a_job_is_named(ask: Ask) -> None:
    for what, (fields, status, named) in WRONG_FIELDS.items():
        given = {name: value for name, value in {**OK, **fields}.items() if value is not None}
        assert_named(await ask("POST", "/upload", given), status, named, what)
        assert json_of(await ask("GET", "/jobs")) == [], what


WRONG_BODIES = {
    "no type": ("{}", "", 400, "Content-Type"),
    "unknown type": ("<a/>", "text/xml", 400, "text/xml"),
    "broken JSON": ("{", "application/json", 400, "JSON"),
    "JSON of another shape": ("[]", "application/json", 400, "object"),
    "JSON that is not UTF-8": (b'{"script": "\xff"}', "application/json", 400, "JSON"),
    "repeated field": ("script=a&script=b", FORM, 400, "script"),
    "form that is not UTF-8": ("script=%ff", FORM, 400, "script"),
    "command of a form that is not JSON": ("script=a&command=ls", FORM, 400, "command"),
    "file of a form as text": ("file=a", FORM, 400, "file"),
    "unknown field of a form": ("script=a&colour=1", FORM, 400, "colour"),
    "broken multipart": ("--x", "multipart/form-data", 400, ""),
}


async def test_wrong_body_is_named(post: Post, ask: Ask) -> None:
    for what, (body, kind, status, named) in WRONG_BODIES.items():
        assert_named(await post(body, kind), status, named, what)
        assert json_of(await ask("GET", "/jobs")) == [], what


async def test_idempotency_key_that_is_too_long_is_named(post: Post, ask: Ask) -> None:
    answer = await post(json.dumps(OK), "application/json", **{"Idempotency-Key": "k" * 300})
    assert_named(answer, 400, "Idempotency-Key")
    assert json_of(await ask("GET", "/jobs")) == []


ABOUT_ONE = ["/stdout", "/diff", "/metric", "/results", "/stop"]
WRONG_IDS = {
    "neither id": ({}, 400, "neither"),
    "both ids": ({"cont_id": "abcd", "job_id": "abcd"}, 400, "both"),
    "unknown job": ({"job_id": "0123456789abcdef"}, 404, "0123456789abcdef"),
    "unknown container": ({"cont_id": "0123456789ab"}, 404, "0123456789ab"),
    "job id of another form": ({"job_id": "../../etc"}, 404, "../../etc"),
    "container id of another form": ({"cont_id": "a b%2f?"}, 404, "a b"),
    "prefix that is too short": ({"job_id": "abc"}, 404, "abc"),
    "unknown parameter": ({"job_id": "abcd", "colour": "1"}, 400, "colour"),
}


@pytest.mark.parametrize("path", ABOUT_ONE)
async def test_wrong_id_is_named(ask: Ask, path: str) -> None:
    for what, (query, status, named) in WRONG_IDS.items():
        assert_named(await ask("GET", path, **query), status, named, what)


async def test_repeated_parameter_is_named(ask: Ask, jp_base_url: str, jp_fetch: Any) -> None:
    for path in ABOUT_ONE:
        answer = await jp_fetch(
            "nds", path[1:], params=[("job_id", "abcd"), ("job_id", "abce")], raise_error=False
        )
        assert_named(answer, 400, "job_id")


WRONG_PARAMETERS = [
    ("/stdout", "tail", "-1"),
    ("/stdout", "tail", "x"),
    ("/stdout", "since", "yesterday"),
    ("/stdout", "since", "2024-01-01T00:00:00"),
    ("/stdout", "stream", "stdin"),
    ("/stdout", "follow", "maybe"),
    ("/stdout", "limit", "0"),
    ("/diff", "limit", "1001"),
    ("/diff", "cursor", "-1"),
    ("/results", "format", "rar"),
    ("/results", "path", ""),
    ("/stop", "timeout", "-1"),
    ("/stop", "timeout", "1e9"),
]


async def test_wrong_parameter_is_named(ask: Ask) -> None:
    job = await run_script(ask, "true")
    for path, name, value in WRONG_PARAMETERS:
        answer = await ask("GET", path, job_id=job["job_id"], **{name: value})
        assert_named(answer, 400, name, (path, value))


WRONG_QUESTIONS: list[tuple[str, dict[str, str], str]] = [
    ("/upload", {}, "job_id"),
    ("/upload", {"job_id": "a", "wait": "61"}, "wait"),
    ("/jobs", {"state": "DONE"}, "state"),
    ("/jobs", {"limit": "0"}, "limit"),
    ("/jobs", {"cursor": "x"}, "cursor"),
    ("/list_container", {"all": "perhaps"}, "all"),
    ("/list_container", {"limit": "x"}, "limit"),
    ("/list_images", {"colour": "1"}, "colour"),
    ("/info", {"limit": "x"}, "limit"),
    ("/health", {"colour": "1"}, "colour"),
    ("/openapi.json", {"colour": "1"}, "colour"),
]


async def test_wrong_question_is_named(ask: Ask) -> None:
    for path, query, named in WRONG_QUESTIONS:
        assert_named(await ask("GET", path, **query), 400, named, (path, query))


async def test_ambiguous_prefix_lists_its_matches(ask: Ask, nds: Any) -> None:
    import msgspec

    from nds_jupyter.journal import Journal

    job = await run_script(ask, "true")
    twin = job["job_id"][:8] + "0" * 8
    recorded = await nds._journal.call(Journal.job, job["job_id"])
    other = job["container_id"][:10] + "0" * 54
    other_job = msgspec.structs.replace(recorded, job_id=twin, container_id=other)
    await nds._journal.call(Journal.add, other_job, b"true")
    await nds._journal.call(Journal.save, other_job)
    for path in ("/upload", "/stdout", "/stop", "/metric"):
        answer = await ask("GET", path, job_id=job["job_id"][:8])
        assert_named(answer, 409, twin)
        assert json_of(answer)["matches"] == sorted([job["job_id"], twin])
    answer = await ask("GET", "/diff", cont_id=other[:10])
    assert_named(answer, 409, other)


async def test_query_of_a_submission_is_refused(jp_fetch: Any, nds: Any, ask: Ask) -> None:
    answer = await jp_fetch(
        "nds",
        "upload",
        method="POST",
        params={"script": "true"},
        body=urlencode(OK),
        headers={"Content-Type": FORM},
        raise_error=False,
    )
    assert_named(answer, 400, "script")
    assert json_of(await ask("GET", "/jobs")) == []
