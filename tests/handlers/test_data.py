"""The routes of the data root, through a real Jupyter server; they need no engine."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from typing import Any
from urllib.parse import quote

import pytest

from tests.handlers.http_client import Ask, json_of
from tests.roots import AWKWARD, Root
from tests.waiting import until


@pytest.fixture
def engine_kind() -> str:
    return "none"


@pytest.fixture
def data_traits(data_root: Root) -> dict[str, Any]:
    return {"data_root": data_root.url}


in_a_folder = pytest.mark.parametrize("data_root", ["folder"], indirect=True)


async def test_upload_list_read_move_remove(ask: Ask, fetch: Ask) -> None:
    made = await ask("POST", "/data/c/d", mkdir="")
    assert (made.code, json_of(made)["kind"]) == (201, "collection")
    assert (await ask("POST", "/data/c/d", mkdir="")).code == 200
    stored = await ask("PUT", "/data/c/d/x.csv", b"a,b\n1,2\n")
    assert stored.code == 201
    assert (await ask("PUT", "/data/c/d/x.csv", b"a,b\n1,3\n")).code == 200
    (row,) = json_of(await ask("GET", "/list_data", path="/c/d"))
    assert (row["name"], row["path"], row["kind"], row["size"]) == (
        "x.csv",
        "/c/d/x.csv",
        "data_object",
        8,
    )
    opened = await fetch("GET", row["url"])
    assert opened.body == b"a,b\n1,3\n"
    assert opened.headers["Content-Disposition"].startswith('attachment; filename="x.csv"')
    (above,) = json_of(await ask("GET", "/list_data", path="/c"))
    listed = await fetch("GET", above["url"])
    assert [each["name"] for each in json.loads(listed.body)] == ["x.csv"]
    moved = await ask("POST", "/data/c/d/x.csv", move_to="/c/y.csv")
    assert (moved.code, json_of(moved)["path"]) == (200, "/c/y.csv")
    assert (await ask("GET", "/data/c/d/x.csv")).code == 404
    assert (await ask("DELETE", "/data/c")).code == 409
    assert (await ask("DELETE", "/data/c", recursive=1)).code == 204
    assert json_of(await ask("GET", "/list_data", path="/")) == []


async def test_awkward_names_travel_in_urls_and_headers(ask: Ask, fetch: Ask) -> None:
    for name in AWKWARD:
        assert (await ask("PUT", f"/data/{quote(name, safe='')}", name.encode())).code == 201
    rows = {row["name"]: row for row in json_of(await ask("GET", "/list_data", path="/"))}
    assert rows.keys() == set(AWKWARD)
    for name in AWKWARD:
        answer = await fetch("GET", rows[name]["url"])
        assert answer.body == name.encode()
        assert quote(name, safe="") in answer.headers["Content-Disposition"]
        found = json_of(await ask("GET", "/list_data", path="/", q=name[1:]))
        assert [row["name"] for row in found] == [name]
        assert (await ask("DELETE", f"/data/{quote(name, safe='')}")).code == 204
    assert json_of(await ask("GET", "/list_data", path="/")) == []


async def test_pages_are_linked(ask: Ask, fetch: Ask, data_root: Root, jp_base_url: str) -> None:
    for number in range(5):
        data_root.put(f"/o {number}&", b"")
    first = await ask("GET", "/list_data", limit=2)
    found = [row["name"] for row in json_of(first)]
    link = first.headers["Link"]
    while link:
        query = re.fullmatch(r'<\?(.*)>; rel="next"', link)
        assert query
        answer = await fetch("GET", f"{jp_base_url}nds/list_data?{query[1]}")
        found += [row["name"] for row in json.loads(answer.body)]
        link = answer.headers.get("Link")
    assert found == [f"o {number}&" for number in range(5)]
    assert len(json_of(await ask("GET", "/list_data", q="3"))) == 1


async def test_ranges_and_conditions(ask: Ask, data_root: Root) -> None:
    tag = (await ask("PUT", "/data/x", b"0123456789")).headers["ETag"]
    part = await ask("GET", "/data/x", headers={"Range": "bytes=2-4"})
    assert (part.code, part.body, part.headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")
    assert part.headers["ETag"] == tag
    assert (await ask("GET", "/data/x", headers={"Range": "bytes=10-"})).code == 416
    stale = {"Range": "bytes=2-4", "If-Range": '"other"'}
    assert (await ask("GET", "/data/x", headers=stale)).body == b"0123456789"
    known = await ask("GET", "/data/x", headers={"If-None-Match": tag})
    assert (known.code, known.body) == (304, b"")
    head = await ask("HEAD", "/data/x")
    assert (head.code, head.body, head.headers["Content-Length"]) == (200, b"", "10")
    for verb in ("GET", "PUT", "DELETE"):
        refused = await ask(verb, "/data/x", headers={"If-Match": '"other"'})
        assert (refused.code, json_of(refused)["code"]) == (412, "precondition_failed")
    new = await ask("PUT", "/data/x", b"new", headers={"If-None-Match": "*"})
    assert new.code == 412
    assert data_root.get("/x") == b"0123456789"
    # No condition could make that right.
    await ask("POST", "/data/c", mkdir="1")
    assert (await ask("PUT", "/data/c", b"new", headers={"If-None-Match": "*"})).code == 409
    assert (await ask("PUT", "/data/x", b"new", headers={"If-Match": tag})).code == 200
    assert (await ask("GET", "/data/x", headers={"If-None-Match": tag})).body == b"new"


async def test_metadata_and_replicas(ask: Ask) -> None:
    await ask("PUT", "/data/x", b"12")
    assert json_of(await ask("GET", "/metadata/x")) == []
    avus = [{"name": "study", "value": "ü", "unit": ""}]
    assert json_of(await ask("PUT", "/metadata/x", json.dumps(avus).encode())) == avus
    assert json_of(await ask("GET", "/metadata/x")) == avus
    (replica,) = json_of(await ask("GET", "/replicas/x"))
    assert (replica["status"], replica["size"]) == ("good", 2)


BAD = [
    ("GET", "/data/none", {}, None, 404, "/none"),
    ("GET", "/data/c", {}, None, 409, "/c"),
    ("GET", "/data/x", {"colour": 1}, None, 400, "colour"),
    ("GET", "/data/..%2Fx", {}, None, 400, ".."),
    ("GET", "/data/%00", {}, None, 400, "NUL"),
    ("GET", "/list_data", {"path": "/none"}, None, 404, "/none"),
    ("GET", "/list_data", {"path": "/x"}, None, 409, "/x"),
    ("GET", "/list_data", {"path": "s3://b/x"}, None, 400, "s3://b/x"),
    ("GET", "/list_data", {"path": "/a" * 1000}, None, 400, "deep"),
    ("GET", "/list_data", {"limit": 0}, None, 400, "limit"),
    ("PUT", "/data/c", {}, b"1", 409, "/c"),
    ("PUT", "/data/none/x", {}, b"1", 404, "/none"),
    ("PUT", "/data/x", {"colour": 1}, b"1", 400, "colour"),
    ("PUT", "/metadata/x", {}, b"[", 400, "JSON"),
    ("PUT", "/metadata/x", {}, b'[{"name": "a"}]', 400, "value"),
    ("PUT", "/metadata/x", {}, b'[{"name": "", "value": "1"}]', 400, "name"),
    ("PUT", "/metadata/none", {}, b"[]", 404, "/none"),
    ("POST", "/data/x", {}, None, 400, "mkdir"),
    ("POST", "/data/x", {"mkdir": ""}, None, 409, "/x"),
    ("POST", "/data/x", {"move_to": "/c/../../y"}, None, 400, "move_to"),
    ("POST", "/data/x", {"move_to": "/c"}, None, 409, "/c"),
    ("DELETE", "/data/none", {}, None, 404, "/none"),
    ("GET", "/replicas/none", {}, None, 404, "/none"),
]


async def test_bad_input_is_named(ask: Ask, data_root: Root) -> None:
    data_root.mkdir("/c")
    data_root.put("/x", b"x")
    for verb, path, query, body, code, named in BAD:
        answer = await ask(verb, path, body or b"", **query)
        assert answer.code == code, (verb, path, answer.body)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert named in json_of(answer)["message"], (verb, path, answer.body)
        assert data_root.base not in answer.body.decode()
    assert data_root.names() == {"c", "x"}


def connected(port: int, head: str) -> socket.socket:
    link = socket.create_connection(("127.0.0.1", port), timeout=30)
    link.sendall(head.replace("\n", "\r\n").encode())
    return link


async def test_cut_upload_leaves_nothing(
    ask: Ask, data_root: Root, jp_base_url: str, http_server_port: Any, jp_auth_header: Any
) -> None:
    head = (
        f"PUT {jp_base_url}nds/data/x HTTP/1.1\nHost: 127.0.0.1:{http_server_port[1]}\n"
        f"Authorization: {jp_auth_header['Authorization']}\nContent-Length: 15000000\n\n"
    )
    link = connected(http_server_port[1], head)
    with link:
        await asyncio.to_thread(link.sendall, b"x" * 9_000_000)
        await until(data_root.names, "the upload begins")
    await until(lambda: not data_root.names(), "the upload is cleaned up")


async def test_upload_past_jupyters_bound_is_streamed(
    ask: Ask, data_root: Root, http_server: Any
) -> None:
    http_server.conn_params.max_body_size = 1000
    data = bytes(range(256)) * 40_000
    assert (await ask("PUT", "/data/x", data)).code == 201
    assert data_root.get("/x") == data
    assert (await ask("PUT", "/metadata/x", b" " * 2000)).code in {400, 599}


async def test_upload_that_fails_still_answers(ask: Ask, data_root: Root) -> None:
    answer = await ask("PUT", "/data/none/x", b"x" * 30_000_000)
    assert (answer.code, json_of(answer)["code"]) == (404, "path_not_found")
    assert data_root.names() == set()


@in_a_folder
async def test_upload_needs_permission_before_its_body(
    ask: Ask, data_root: Root, jp_serverapp: Any
) -> None:
    jp_serverapp.authorizer.is_authorized = lambda handler, user, action, resource: action == "read"
    assert (await ask("PUT", "/data/x", b"x" * 100_000)).code == 403
    assert (await ask("POST", "/data/x", mkdir="")).code == 403
    assert (await ask("DELETE", "/data/x")).code == 403
    assert (await ask("PUT", "/metadata/x", b"[]")).code == 403
    assert (await ask("GET", "/list_data")).code == 200
    assert data_root.names() == set()


async def test_concurrent_uploads_of_one_name_end_as_one_of_them(ask: Ask, data_root: Root) -> None:
    bodies = [bytes([number]) * 3_000_000 for number in range(4)]
    answers = await asyncio.gather(*(ask("PUT", "/data/x", body) for body in bodies))
    assert {answer.code for answer in answers} <= {200, 201}
    assert data_root.get("/x") in bodies
    assert data_root.names() == {"x"}


async def test_health_tells_of_the_data_root(ask: Ask, data_root: Root) -> None:
    health = json_of(await ask("GET", "/health"))
    assert health["catalogue"]["reachable"]
    await asyncio.to_thread(data_root.fs.rmdir, data_root.base)
    assert not json_of(await ask("GET", "/health"))["catalogue"]["reachable"]
