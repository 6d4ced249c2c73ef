"""The OpenAPI document, held against what the routes really answer."""

from __future__ import annotations

import json

import jsonschema
import pytest
from tornado.httpclient import HTTPResponse
from tornado.web import RequestHandler

from nds_jupyter.handlers import ROUTES
from nds_jupyter.rest.openapi import openapi_document
from tests.engine.fake import FakeEngine
from tests.handlers.http_client import Ask, json_of, run_script

DIALECT = jsonschema.Draft202012Validator


@pytest.fixture(params=["fake"])
def engine_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def references(value: object) -> set[str]:
    """Return every ``$ref`` in a document."""
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(references, value.values()))
    if isinstance(value, list):
        return set().union(*map(references, value))
    return set()


def test_document_describes_each_verb_of_each_route_once() -> None:
    described = {
        (path.removeprefix("/nds"), verb)
        for path, verbs in openapi_document()["paths"].items()
        for verb in verbs
    }
    served = {
        (template, verb)
        for template, handler in ROUTES
        for verb in ("get", "head", "post", "put", "patch", "delete")
        if getattr(handler, verb) is not getattr(RequestHandler, verb)
    }
    assert described == served


def test_every_schema_is_one_and_every_reference_leads_somewhere() -> None:
    whole = openapi_document()
    schemas = whole["components"]["schemas"]
    for schema in schemas.values():
        DIALECT.check_schema(schema)
    known = {f"#/components/schemas/{name}" for name in schemas}
    assert references(whole) <= known
    json.dumps(whole)


class Described:
    """Holds answers against the document."""

    def __init__(self) -> None:
        self.document = openapi_document()
        self.seen: set[tuple[str, str, int]] = set()

    def check(self, verb: str, template: str, answer: HTTPResponse) -> None:
        operation = self.document["paths"][f"/nds{template}"][verb.lower()]
        where = f"{verb} {template} answered {answer.code}: {answer.body[:300]!r}"
        assert str(answer.code) in operation["responses"], where
        self.seen.add((verb, template, answer.code))
        kind = answer.headers.get("Content-Type", "").partition(";")[0]
        content = operation["responses"][str(answer.code)].get("content", {})
        if not answer.body:
            return
        assert kind in content, where
        if "json" in kind and "schema" in content[kind]:
            schema = {**content[kind]["schema"], "components": self.document["components"]}
            DIALECT(schema).validate(json_of(answer))


async def test_answers_are_as_described(ask: Ask, fake_engine: FakeEngine) -> None:
    described = Described()
    job = await run_script(ask, "echo out; printf x > /results/made", name="one")
    job_id = job["job_id"]

    async def check(verb: str, template: str, body: object = None, **query: object) -> HTTPResponse:
        path = template.format(job_id=query.pop("at", job_id), path="none")
        answer = await ask(verb, path, body, **query)
        described.check(verb, template, answer)
        return answer

    new = await check("POST", "/upload", {"script": "exit 3", "scriptname": "a.sh"})
    for reading in ("/upload", "/stdout", "/diff", "/metric", "/results"):
        await check("GET", reading, job_id=job_id)
        await check("GET", reading, job_id="0123456789abcdef")
        await check("GET", reading, colour=1)
    for archive in ("tar.gz", "zip"):
        await check("GET", "/results", job_id=job_id, format=archive)
    await check("GET", "/results", job_id=job_id, path="made", format="raw")
    for listing in ("/jobs", "/list_container", "/list_images", "/info", "/list_data", "/load"):
        await check("GET", listing)
    await check("GET", "/info", cont_id=job["container_id"])
    await check("GET", "/health")
    await check("GET", "/openapi.json")
    await check("GET", "/data/{path}")
    await check("GET", "/metadata/{path}")
    await check("GET", "/data_login")
    await check("GET", "/tickets")
    await check("POST", "/stop", job_id=json_of(new)["job_id"])
    await check("GET", "/stop", job_id=json_of(new)["job_id"])
    await check("POST", "/jobs/{job_id}/rerun")
    await check("POST", "/jobs/{job_id}/background")
    await check("DELETE", "/jobs/{job_id}")
    await check("DELETE", "/jobs/{job_id}", at="0123456789abcdef")
    await check("POST", "/upload", {"script": "a", "image_name": "evil"})
    await check("POST", "/upload", {"script": "#" * 1001})
    fake_engine.faults.go_down()
    for reading in ("/list_images", "/list_container", "/info", "/load"):
        await check("GET", reading)
    await check("GET", "/health")
    assert len({(verb, template) for verb, template, _ in described.seen}) >= 20


ODD = ["", "\x00", "é" * 300, "-1", "[]", "NaN", "1e400", "../../etc"]


async def test_no_value_of_a_parameter_is_a_defect(ask: Ask) -> None:
    described = openapi_document()["paths"]
    for template in sorted({template for template, _ in ROUTES}):
        operation = described[f"/nds{template}"].get("get")
        names = {"path": "none", "job_id": "0123456789abcdef", "sha256": "0" * 64}
        path = template.format(**names, ticket="none")
        for parameter in operation["parameters"] if operation else ():
            for value in ODD if parameter["in"] == "query" else ():
                answer = await ask("GET", path, **{parameter["name"]: value})
                # A folder does not do all that iRODS does, whatever it is asked.
                well = answer.code < 500 or answer.code == 501
                assert well, (template, parameter["name"], value, answer.body)
