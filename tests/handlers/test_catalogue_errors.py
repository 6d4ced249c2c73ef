"""What the routes of the data root say when the zone, or the account, is the trouble."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from tornado.httpclient import HTTPResponse

from tests.handlers.http_client import DEADLINE, Ask, json_of
from tests.irods_zone.codes import Api
from tests.irods_zone.zone import Zone
from tests.roots import WRONG, Root

# The iRODS client leaves the sockets of broken connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

faulty = pytest.mark.parametrize("data_root", ["faulty"], indirect=True)

ROUTES: list[tuple[str, str, dict[str, object]]] = [
    ("GET", "/list_data", {"path": "/"}),
    ("GET", "/data/x", {}),
    ("PUT", "/data/y", {}),
    ("POST", "/data/c", {"mkdir": ""}),
    ("POST", "/data/x", {"move_to": "/z"}),
    ("DELETE", "/data/x", {}),
    ("GET", "/metadata/x", {}),
    ("PUT", "/metadata/x", {}),
    ("GET", "/replicas/x", {}),
]


@pytest.fixture
def deadline() -> float:
    return 60.0


@pytest.fixture
def engine_kind() -> str:
    return "none"


@pytest.fixture
def data_traits(data_root: Root, deadline: float) -> dict[str, Any]:
    return {"data_root": data_root.url, "data_deadline": deadline}


async def of_all(ask: Ask) -> list[HTTPResponse]:
    """Ask each route at once."""
    return await asyncio.gather(*(ask(verb, path, b"[]", **query) for verb, path, query in ROUTES))


def assert_all(answers: list[HTTPResponse], code: int, named: str) -> None:
    for (verb, path, _), answer in zip(ROUTES, answers, strict=True):
        assert answer.code == code, (verb, path, answer.code, answer.body)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert named in json_of(answer)["message"], (verb, path, answer.body)


@pytest.mark.parametrize("data_root", ["wrong password"], indirect=True)
async def test_wrong_password_says_what_to_renew(ask: Ask) -> None:
    answers = await of_all(ask)
    assert_all(answers, 502, "does not accept the user or the password. Run iinit again")
    assert not any(WRONG in answer.body.decode() for answer in answers)
    assert not json_of(await ask("GET", "/health"))["catalogue"]["reachable"]


@faulty
async def test_password_that_expires_says_what_to_renew_and_needs_no_restart(
    ask: Ask, data_root: Root, faulty_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_root.put("/x", b"1")
    assert (await ask("GET", "/data/x")).body == b"1"
    faulty_zone.expire_password()
    faulty_zone.faults.drop_now()
    assert_all(await of_all(ask), 502, "has expired. Run iinit again")
    user = faulty_zone.environment()["irods_user_name"]
    faulty_zone.add_user(user, "a new one", kind="rodsadmin")
    monkeypatch.setenv("IRODS_PASSWORD", "a new one")
    assert (await ask("GET", "/data/x")).body == b"1"


@faulty
@pytest.mark.usefixtures("little_patience")
async def test_zone_that_is_down_is_reported_and_back_by_itself(
    ask: Ask, data_root: Root, faulty_zone: Zone
) -> None:
    data_root.put("/x", b"1")
    assert (await ask("GET", "/data/x")).body == b"1"
    faulty_zone.faults.refuse()
    faulty_zone.faults.drop_now()
    began = time.monotonic()
    assert_all(await of_all(ask), 502, "Is the zone running")
    assert time.monotonic() - began < DEADLINE
    faulty_zone.faults.accept()
    assert (await ask("GET", "/data/x")).body == b"1"


@faulty
@pytest.mark.usefixtures("little_patience")
@pytest.mark.parametrize("deadline", [1.0])
async def test_zone_that_hangs_is_given_up(ask: Ask, data_root: Root, faulty_zone: Zone) -> None:
    data_root.put("/x", b"1")
    data_root.put("/kept", b"1")
    faulty_zone.faults.stall(times=10_000)
    assert_all(await of_all(ask), 504, "in time")
    faulty_zone.faults.clear()
    async with asyncio.timeout(DEADLINE):
        # What hung goes on, and frees its threads one after the other.
        while (answer := await ask("GET", "/data/kept")).code != 200:
            assert answer.code == 504, answer.body
    assert answer.body == b"1"


@faulty
async def test_full_resource_takes_nothing_and_keeps_what_it_has(
    ask: Ask, data_root: Root, faulty_zone: Zone
) -> None:
    data_root.put("/x", b"before")
    faulty_zone.faults.fill(5 * 2**20)
    answer = await ask("PUT", "/data/x", bytes(9 * 2**20))
    assert (answer.code, json_of(answer)["code"]) == (507, "data_root_full")
    assert json_of(answer)["message"].startswith("/x: ")
    assert (data_root.get("/x"), data_root.hidden()) == (b"before", [])


@faulty
async def test_connections_that_drop_are_taken_up(
    ask: Ask, data_root: Root, faulty_zone: Zone
) -> None:
    data = bytes(range(256)) * 2**16
    faulty_zone.faults.drop(Api.WRITE, nth=2)
    assert (await ask("PUT", "/data/x", data)).code == 201
    assert data_root.get("/x") == data
    faulty_zone.faults.drop_after(5 * 2**20)
    assert (await ask("GET", "/data/x")).body == data
    assert faulty_zone.faults.bytes_left is None
    faulty_zone.faults.drop(Api.WRITE, times=10_000)
    answer = await ask("PUT", "/data/y", data)
    assert (answer.code, "/y" in json_of(answer)["message"]) == (502, True), answer.body
    faulty_zone.faults.clear()
    assert (data_root.names(), data_root.hidden()) == ({"x"}, [])


@pytest.mark.parametrize("data_root", ["reader"], indirect=True)
async def test_error_of_a_reader_names_whom_to_ask(ask: Ask, data_root: Root) -> None:
    data_root.put("/shared/secret", b"secret")
    assert (await ask("GET", "/data/shared/x")).body == b"shared"
    assert (await ask("GET", "/data/shared/secret")).code == 404
    rows = json_of(await ask("GET", "/list_data", path="/shared"))
    assert [row["name"] for row in rows] == ["mine", "x"]
    for verb, path, query in [
        ("PUT", "/data/shared/x", {}),
        ("PUT", "/data/shared/y", {}),
        ("POST", "/data/shared/c", {"mkdir": ""}),
        ("POST", "/data/shared/x", {"move_to": "/shared/z"}),
        ("DELETE", "/data/shared/x", {}),
        ("PUT", "/metadata/shared/x", {}),
    ]:
        body = b'[{"name": "a", "value": "b"}]'
        answer = await ask(verb, path, body, **query)
        assert answer.code == 403, (verb, path, answer.body)
        assert "Ask the owner" in json_of(answer)["message"]
    assert data_root.names("/shared") == {"mine", "x", "secret"}
    assert data_root.get("/shared/x") == b"shared"
