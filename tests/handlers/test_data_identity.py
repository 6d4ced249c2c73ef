"""Whose account: two owners of one server, each with an iRODS user or a folder of their own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from tornado.httpclient import HTTPResponse

from nds_jupyter.data.irods import IrodsFileSystem
from tests.engine.fake import FakeEngine
from tests.handlers.http_client import json_of
from tests.handlers.identities import ADA, BOB, READER, NamedUsers, ReadersLook
from tests.handlers.test_access import ACCESS
from tests.irods_zone.authentication import CODE
from tests.irods_zone.fixtures import AnyZone
from tests.irods_zone.zone import Zone
from tests.roots import configure

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

USERS = {"ada": "nds-ada", "bob": "nds-bob"}
"""The iRODS users of the owners; a third owner has none."""

As = Callable[..., Awaitable[HTTPResponse]]


@pytest.fixture
def data_traits(
    irods_zone: AnyZone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Give a server that acts for its owners; a test may ask for other traits."""
    configure(irods_zone, tmp_path, monkeypatch)
    for user in USERS.values():
        irods_zone.home(user)
    return {"data_root": "irods://", "data_identity": "proxy", "data_user": USERS.get}


@pytest.fixture
def jp_server_config(
    fake_engine: FakeEngine, data_traits: dict[str, Any], tmp_path: Path
) -> dict[str, Any]:
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
            **data_traits,
        },
    }


@pytest.fixture
def ask_as(nds: Any, http_server_client: Any, jp_base_url: str) -> As:
    """Ask for a route as somebody."""

    async def ask_as(token: str, verb: str, path: str, body: object = None) -> HTTPResponse:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        return await http_server_client.fetch(
            f"{jp_base_url}nds{path}",
            method=verb,
            headers={"Authorization": f"token {token}", "Content-Type": kind},
            body=content if verb in {"POST", "PUT"} else None,
            raise_error=False,
        )

    return ask_as


async def run_job(ask_as: As, token: str, script: str, **fields: Any) -> dict[str, Any]:
    body = {"script": script, "scriptname": "a.sh", **fields}
    answer = await ask_as(token, "POST", "/upload", body)
    assert answer.code == 201, answer.body
    job = json_of(answer)
    while job["state"] == "RUNNING":
        job = json_of(await ask_as(token, "GET", f"/upload?job_id={job['job_id']}&wait=20"))
    return dict(job)


@pytest.fixture
def homes(irods_zone: AnyZone) -> dict[str, str]:
    return {owner: irods_zone.home(user) for owner, user in USERS.items()}


async def test_owner_lists_and_writes_as_their_own_user(
    ask_as: As, irods_zone: AnyZone, homes: dict[str, str]
) -> None:
    for token, owner in ((ADA, "ada"), (BOB, "bob")):
        path = f"{homes[owner]}/kept"
        assert (await ask_as(token, "PUT", f"/data{path}", owner.encode())).code == 201
        listed = await ask_as(token, "GET", "/list_data")
        assert listed.headers["Content-Location"] == f"list_data?path={homes[owner]}"
        assert [row["path"] for row in json_of(listed)] == [path]
        with irods_zone.session(USERS[owner]) as session:
            assert session.data_objects.get(path).owner_name == USERS[owner]
    # What one may not see is not there, though the account that asks may see it.
    for verb, path in (
        ("GET", f"/data{homes['ada']}/kept"),
        ("HEAD", f"/data{homes['ada']}/kept"),
        ("GET", f"/list_data?path={homes['ada']}"),
        ("GET", f"/metadata{homes['ada']}/kept"),
        ("GET", f"/replicas{homes['ada']}/kept"),
        ("DELETE", f"/data{homes['ada']}/kept"),
    ):
        assert (await ask_as(BOB, verb, path)).code == 404, (verb, path)
    refused = await ask_as(BOB, "PUT", f"/data{homes['ada']}/other", b"x")
    assert refused.code in {403, 404}
    assert (await ask_as(ADA, "GET", f"/data{homes['ada']}/kept")).body == b"ada"
    for token, owner in ((ADA, "ada"), (BOB, "bob")):
        assert (await ask_as(token, "DELETE", f"/data{homes[owner]}/kept")).code == 204


OF_DATA: dict[tuple[str, str], tuple[str, object]] = {
    ("/list_data", "GET"): ("/list_data?path={path}", None),
    ("/data/{path}", "GET"): ("/data{path}", None),
    ("/data/{path}", "HEAD"): ("/data{path}", None),
    ("/data/{path}", "PUT"): ("/data{path}/new", b"x"),
    ("/data/{path}", "POST"): ("/data{path}/new?mkdir", None),
    ("/data/{path}", "DELETE"): ("/data{path}?recursive=1", None),
    ("/metadata/{path}", "GET"): ("/metadata{path}", None),
    ("/metadata/{path}", "PUT"): ("/metadata{path}", []),
    ("/replicas/{path}", "GET"): ("/replicas{path}", None),
    ("/tickets", "POST"): ("/tickets", {"path": "{path}"}),
    ("/deliver", "POST"): ("/deliver", {"paths": ["x"], "to": "{path}/new", "job_id": "{job}"}),
}
"""The routes that are about data, and a request of each about a path of somebody else."""

OF_ONESELF = {("/tickets", "GET"), ("/tickets/{ticket}", "DELETE")} | {
    ("/data_login", verb) for verb in ("GET", "PUT", "DELETE")
}
"""Those that name no path of others: a test of their own says what they show."""


def test_table_names_every_route_about_data() -> None:
    about_data = {
        each
        for each in ACCESS
        if "{path}" in each[0] or "data" in each[0] or "ticket" in each[0] or each[0] == "/deliver"
    }
    assert about_data == OF_DATA.keys() | OF_ONESELF


def about(template: object, **names: str) -> Any:
    """Return a request with the names in their places."""
    if isinstance(template, str):
        return template.format(**names)
    if isinstance(template, dict):
        return {name: about(value, **names) for name, value in template.items()}
    return template


async def test_no_route_reaches_the_data_of_another(
    ask_as: As, irods_zone: AnyZone, homes: dict[str, str], nds: Any
) -> None:
    taken = f"{homes['ada']}/secret"
    assert (await ask_as(ADA, "PUT", f"/data{taken}", b"of ada")).code == 201
    job = await run_job(ask_as, BOB, "echo x > /results/x")
    for path in (homes["ada"], taken):
        for (_, verb), (template, body) in OF_DATA.items():
            names = {"path": path, "job": job["job_id"]}
            # Two times: nothing that its owner was shown meanwhile comes from a cache.
            for token in (ADA, BOB) if verb in {"GET", "HEAD"} else (BOB,):
                url = about(template, **names)
                answer = await ask_as(token, verb, url, about(body, **names))
                if token == BOB:
                    assert answer.code in {403, 404}, (verb, url, answer.code, answer.body)
                    assert b"of ada" not in answer.body, (verb, url)
    assert (await ask_as(ADA, "GET", f"/data{taken}")).body == b"of ada"
    rows = json_of(await ask_as(ADA, "GET", f"/list_data?path={homes['ada']}"))
    assert [row["path"] for row in rows] == [taken]
    assert (await ask_as(ADA, "DELETE", f"/data{taken}")).code == 204


async def test_job_takes_inputs_and_leaves_results_as_its_owner(
    ask_as: As, irods_zone: AnyZone, homes: dict[str, str]
) -> None:
    for token, owner in ((ADA, "ada"), (BOB, "bob")):
        assert (await ask_as(token, "PUT", f"/data{homes[owner]}/in", owner.encode())).code == 201
    for token, owner in ((ADA, "ada"), (BOB, "bob")):
        job = await run_job(
            ask_as, token, "cat /data/in > /results/copy", data=["in"], output="out"
        )
        assert job["state"] == "COMPLETED", job["message"]
        copy = f"{homes[owner]}/out/copy"
        assert (await ask_as(token, "GET", f"/data{copy}")).body == owner.encode()
        with irods_zone.session(USERS[owner]) as session:
            assert session.data_objects.get(copy).owner_name == USERS[owner]
    job = await run_job(ask_as, BOB, "true", data=[f"{homes['ada']}/in"])
    assert (job["state"], job["reason"]) == ("FAILED", "data")
    job = await run_job(ask_as, BOB, "true", output=f"{homes['ada']}/stolen")
    assert (job["state"], job["reason"]) == ("FAILED", "output")
    for token, owner in ((ADA, "ada"), (BOB, "bob")):
        for path in ("in", "out?recursive=1"):
            assert (await ask_as(token, "DELETE", f"/data{homes[owner]}/{path}")).code == 204


async def test_ticket_lets_another_read_and_only_its_owner_takes_it_back(
    ask_as: As, irods_zone: AnyZone, homes: dict[str, str]
) -> None:
    path = f"{homes['ada']}/to share"
    url = f"/data{quote(path)}"
    assert (await ask_as(ADA, "PUT", url, b"shared")).code == 201
    answer = await ask_as(ADA, "POST", "/tickets", {"path": path, "uses": 3})
    assert answer.code == 201, answer.body
    made = json_of(answer)
    assert (made["path"], made["write"], made["uses_limit"]) == (path, False, 3)
    week = datetime.fromisoformat(made["expires"]) - datetime.now(UTC)
    assert timedelta(days=6) < week <= timedelta(days=7)
    assert made["url"].endswith(path)
    settings = irods_zone.environment(USERS["bob"])
    password = irods_zone.password(USERS["bob"])
    fs = IrodsFileSystem(
        **{name: value for name, value in settings.items() if name.startswith("irods_")},
        password=password,
        ticket=made["ticket"],
        skip_instance_cache=True,
    )
    assert await asyncio.to_thread(fs.cat_file, path) == b"shared"
    fs.close()
    listed = json_of(await ask_as(ADA, "GET", "/tickets"))
    assert [(each["ticket"], each["path"]) for each in listed] == [(made["ticket"], path)]
    assert listed[0]["uses"] == 1
    below = await ask_as(ADA, "GET", f"/tickets?path={quote(homes['ada'])}/other")
    assert json_of(below) == []
    # What others share is nobody else's to see or to end.
    assert json_of(await ask_as(BOB, "GET", "/tickets")) == []
    ticket = f"/tickets/{made['ticket']}"
    assert (await ask_as(BOB, "DELETE", ticket)).code == 404
    assert (await ask_as(BOB, "POST", "/tickets", {"path": path})).code == 404
    assert (await ask_as(ADA, "DELETE", ticket)).code == 204
    assert (await ask_as(ADA, "DELETE", ticket)).code == 404
    assert json_of(await ask_as(ADA, "GET", "/tickets")) == []
    assert (await ask_as(ADA, "DELETE", url)).code == 204


async def test_ticket_that_can_not_be_is_refused(
    ask_as: As, irods_zone: AnyZone, homes: dict[str, str]
) -> None:
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    for body, status in (
        ({"path": homes["ada"], "expires": yesterday}, 400),
        ({"path": homes["ada"], "uses": 0}, 400),
        ({}, 400),
        ({"path": f"{homes['ada']}/nothing"}, 404),
        ({"path": "/"}, 409),
    ):
        assert (await ask_as(ADA, "POST", "/tickets", body)).code == status, body
    assert json_of(await ask_as(ADA, "GET", "/tickets")) == []


async def test_owner_without_a_user_is_told_so(ask_as: As, fake_engine: FakeEngine) -> None:
    answer = await ask_as(READER, "GET", "/list_data")
    assert answer.code == 403
    assert "no iRODS user of ada-reader" in json_of(answer)["message"]
    health = json_of(await ask_as(READER, "GET", "/health"))
    assert health["catalogue"]["reachable"]
    assert "no iRODS user" in health["catalogue"]["message"]


class TestOwnersOfTheSameName:
    """Names of owners are taken as names of iRODS users, as they are by default."""

    @pytest.fixture
    def data_traits(
        self, irods_zone: AnyZone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> dict[str, Any]:
        configure(irods_zone, tmp_path, monkeypatch)
        monkeypatch.setattr(
            "tests.handlers.identities._NAMES",
            {ADA: "nobody-of-the-zone", BOB: str(irods_zone.environment()["irods_user_name"])},
        )
        return {"data_root": "irods://", "data_identity": "proxy"}

    async def test_user_that_the_zone_does_not_know(self, ask_as: As) -> None:
        answer = await ask_as(ADA, "GET", "/list_data")
        assert answer.code == 403, answer.body
        assert "iRODS has no user nobody-of-the-zone" in json_of(answer)["message"]
        # What needs no data goes on.
        job = await run_job(ask_as, ADA, "true")
        assert job["state"] == "COMPLETED"

    async def test_account_itself_is_lent_to_nobody(self, ask_as: As) -> None:
        answer = await ask_as(BOB, "GET", "/list_data")
        assert answer.code == 403
        assert "stands for no owner" in json_of(answer)["message"]


class TestAccountThatMayNotAct:
    @pytest.fixture
    def data_traits(
        self, irods_zone: AnyZone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> dict[str, Any]:
        configure(irods_zone, tmp_path, monkeypatch, "nds-ada")
        irods_zone.home("nds-bob")
        return {"data_root": "irods://", "data_identity": "proxy", "data_user": USERS.get}

    async def test_it_is_said_that_it_must_be_an_administrator(self, ask_as: As) -> None:
        answer = await ask_as(BOB, "GET", "/list_data")
        assert answer.code == 502
        assert "rodsadmin" in json_of(answer)["message"], answer.body


def without_account(zone: AnyZone, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Configure where a zone is, and no account in it."""
    configure(zone, folder, monkeypatch)
    monkeypatch.delenv("IRODS_PASSWORD")
    file = folder / "irods_environment.json"
    settings = json.loads(file.read_text())
    del settings["irods_user_name"]
    file.write_text(json.dumps(settings))


class TestOwnAccounts:
    """Each owner logs in."""

    @pytest.fixture
    def data_traits(
        self, irods_zone: AnyZone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> dict[str, Any]:
        without_account(irods_zone, tmp_path, monkeypatch)
        return {"data_root": "irods://", "data_identity": "own", "data_user": USERS.get}

    async def test_without_login_only_what_needs_none_works(self, ask_as: As) -> None:
        for verb, path in (
            ("GET", "/list_data"),
            ("GET", "/data/x"),
            ("PUT", "/data/x"),
            ("DELETE", "/data/x"),
            ("GET", "/metadata/x"),
            ("GET", "/replicas/x"),
        ):
            answer = await ask_as(ADA, verb, path, b"x")
            assert answer.code == 403, (verb, path, answer.body)
            if verb != "HEAD":
                assert json_of(answer)["code"] == "data_login_required"
                assert "%ndslogin" in json_of(answer)["message"]
        body = {"script": "true", "scriptname": "a.sh"}
        refused = await ask_as(ADA, "POST", "/upload", {**body, "data": ["x"]})
        assert (refused.code, json_of(refused)["code"]) == (403, "data_login_required")
        assert (await run_job(ask_as, ADA, "true"))["state"] == "COMPLETED"
        assert json_of(await ask_as(ADA, "GET", "/data_login")) == {
            "identity": "own",
            "user": USERS["ada"],
            "logged_in": False,
            "expires": None,
            "conversation": None,
            "prompt": None,
            "secret": False,
        }

    async def test_each_logs_in_works_and_logs_out(
        self,
        ask_as: As,
        irods_zone: AnyZone,
        homes: dict[str, str],
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level("DEBUG")
        for token, owner in ((ADA, "ada"), (BOB, "bob")):
            password = {"password": irods_zone.password(USERS[owner])}
            answer = await ask_as(token, "PUT", "/data_login", password)
            assert answer.code == 200, answer.body
            view = json_of(answer)
            assert (view["user"], view["logged_in"]) == (USERS[owner], True)
            assert view["expires"] is not None
            put = await ask_as(token, "PUT", f"/data{homes[owner]}/in", owner.encode())
            assert put.code == 201, put.body
        for token, owner in ((ADA, "ada"), (BOB, "bob")):
            script = "cat /data/in > /results/copy"
            job = await run_job(ask_as, token, script, data=["in"], output="out")
            assert job["state"] == "COMPLETED", job["message"]
            with irods_zone.session(USERS[owner]) as session:
                made = session.data_objects.get(f"{homes[owner]}/out/copy")
                assert made.owner_name == USERS[owner]
        assert (await ask_as(BOB, "GET", f"/data{homes['ada']}/in")).code == 404
        for token, owner in ((ADA, "ada"), (BOB, "bob")):
            for path in ("in", "out?recursive=1"):
                assert (await ask_as(token, "DELETE", f"/data{homes[owner]}/{path}")).code == 204
        assert (await ask_as(ADA, "DELETE", "/data_login")).code == 204
        assert (await ask_as(ADA, "GET", "/list_data")).code == 403
        assert (await ask_as(BOB, "GET", "/list_data")).code == 200
        assert_nowhere(tmp_path, caplog.text, *map(irods_zone.password, USERS.values()))

    async def test_wrong_password_or_user_is_refused_and_not_kept(
        self, ask_as: As, irods_zone: AnyZone
    ) -> None:
        wrong = {"password": "certainly not"}
        for request in (wrong, {**wrong, "user": "nobody-of-the-zone"}):
            answer = await ask_as(ADA, "PUT", "/data_login", request)
            assert (answer.code, json_of(answer)["code"]) == (403, "data_login_required")
            assert b"certainly" not in answer.body
        assert not json_of(await ask_as(ADA, "GET", "/data_login"))["logged_in"]
        # One may have another iRODS user than the one of one's name.
        bob = USERS["bob"]
        request = {"password": irods_zone.password(bob), "user": bob}
        assert (await ask_as(ADA, "PUT", "/data_login", request)).code == 200
        listed = await ask_as(ADA, "GET", "/list_data")
        assert listed.headers["Content-Location"].endswith(f"/{bob}")

    @pytest.mark.parametrize(
        "request_body",
        [{}, {"password": 1}, {"password": "x", "scheme": "gsi"}, {"answer": "x"}, {"pw": "x"}],
    )
    async def test_malformed_login_is_400(self, ask_as: As, request_body: object) -> None:
        assert (await ask_as(ADA, "PUT", "/data_login", request_body)).code == 400

    async def test_login_that_the_zone_ends_is_asked_for_again(
        self, ask_as: As, irods_zone: AnyZone, nds: Any
    ) -> None:
        password = irods_zone.password(USERS["ada"])
        assert (await ask_as(ADA, "PUT", "/data_login", {"password": password})).code == 200
        login = nds._data_identity.logins.decrypt("ada")
        # As if the password had been changed since.
        nds._data_identity.logins.add(msgspec.structs.replace(login, password="x", login_id="2"))
        answer = await ask_as(ADA, "GET", "/list_data")
        assert (answer.code, json_of(answer)["code"]) == (403, "data_login_required")
        assert "%ndslogin" in json_of(answer)["message"]
        assert (await ask_as(ADA, "PUT", "/data_login", {"password": password})).code == 200
        assert (await ask_as(ADA, "GET", "/list_data")).code == 200


class TestPam:
    """A zone with TLS, where users have PAM passwords."""

    @pytest.fixture
    def pam_zone(self, tmp_path: Path) -> Iterator[Zone]:
        with Zone(tmp_path / "zone", tls=True, host="localhost") as zone:
            yield zone

    @pytest.fixture
    def data_traits(
        self, pam_zone: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> dict[str, Any]:
        pam_zone.home("ada")
        without_account(pam_zone, tmp_path, monkeypatch)
        return {"data_root": "irods://", "data_identity": "own"}

    async def test_password_is_exchanged_and_never_kept(
        self, ask_as: As, pam_zone: Zone, nds: Any
    ) -> None:
        password = pam_zone.password("ada")
        answer = await ask_as(
            ADA, "PUT", "/data_login", {"password": password, "scheme": "pam_password"}
        )
        assert answer.code == 200, answer.body
        assert nds._data_identity.logins.decrypt("ada").password != password
        assert (await ask_as(ADA, "GET", "/list_data")).code == 200

    async def test_longer_than_the_zone_allows_is_said(
        self, ask_as: As, pam_zone: Zone, nds: Any
    ) -> None:
        nds._data_logins._hours = 10_000
        login = {"password": pam_zone.password("ada"), "scheme": "pam_password"}
        answer = await ask_as(ADA, "PUT", "/data_login", login)
        assert answer.code == 502
        assert "c.NdsApp.data_login_hours" in json_of(answer)["message"]

    async def test_interactive_login_is_a_conversation(self, ask_as: As, pam_zone: Zone) -> None:
        async def log_in(**fields: str) -> tuple[int, dict[str, Any]]:
            answer = await ask_as(ADA, "PUT", "/data_login", fields)
            return answer.code, json_of(answer)

        status, view = await log_in(scheme="pam_interactive")
        assert (status, view["prompt"], view["secret"]) == (202, "Code: ", False)
        name = view["conversation"]
        # Nobody else may go on with it.
        other = {"conversation": name, "answer": CODE}
        assert (await ask_as(BOB, "PUT", "/data_login", other)).code == 409
        status, view = await log_in(conversation=name, answer=CODE)
        assert (status, view["prompt"], view["secret"]) == (202, "Password: ", True)
        status, view = await log_in(conversation=name, answer=pam_zone.password("ada"))
        assert (status, view["logged_in"], view["user"]) == (200, True, "ada")
        assert (await log_in(conversation=name, answer="x"))[0] == 409
        assert (await ask_as(ADA, "GET", "/list_data")).code == 200

    async def test_server_that_stops_ends_what_waits_for_an_answer(self, ask_as: As) -> None:
        answer = await ask_as(ADA, "PUT", "/data_login", {"scheme": "pam_interactive"})
        assert answer.code == 202


def assert_nowhere(folder: Path, log: str, *secrets: str) -> None:
    """Check that no log and no file has one of some secrets."""
    for secret in secrets:
        assert secret not in log
        for file in folder.rglob("*"):
            assert file.is_dir() or secret.encode() not in file.read_bytes(), file


@pytest.mark.parametrize("data_traits", [{}], ids=["server"])
async def test_where_nobody_logs_in_it_is_said(ask_as: As) -> None:
    assert json_of(await ask_as(ADA, "GET", "/data_login"))["identity"] == "server"
    answer = await ask_as(ADA, "PUT", "/data_login", {"password": "x"})
    assert answer.code == 501
    assert "nothing to log in to" in json_of(answer)["message"]


class TestFolders:
    """A folder for each owner."""

    @pytest.fixture
    def data_traits(self, tmp_path: Path) -> dict[str, Any]:
        return {"data_root": f"{tmp_path}/stored/{{owner}}"}

    async def test_each_owner_has_a_folder(self, ask_as: As, tmp_path: Path) -> None:
        assert (await ask_as(ADA, "PUT", "/data/x", b"of ada")).code == 201
        assert json_of(await ask_as(BOB, "GET", "/list_data")) == []
        refused = await ask_as(ADA, "POST", "/tickets", {"path": "/x"})
        assert refused.code == 501
        assert "Tickets are of iRODS" in json_of(refused)["message"]
        assert (await ask_as(BOB, "GET", "/data/x")).code == 404
        assert (tmp_path / "stored" / "ada" / "x").read_bytes() == b"of ada"
        assert (tmp_path / "stored" / "bob").is_dir()
        job = await run_job(ask_as, ADA, "cat /data/x > /results/y", data=["/x"], output="/out")
        assert job["state"] == "COMPLETED", job["message"]
        assert (tmp_path / "stored" / "ada" / "out" / "y").read_bytes() == b"of ada"

    async def test_name_of_an_owner_leads_nowhere_else(
        self, ask_as: As, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names = {ADA: "../ada", BOB: ".."}
        monkeypatch.setattr("tests.handlers.identities._NAMES", names)
        for token in names:
            assert (await ask_as(token, "PUT", "/data/x", b"1")).code == 201
        assert not (tmp_path / "x").exists()
        assert not (tmp_path / "stored" / "x").exists()
        assert {each.name for each in (tmp_path / "stored").iterdir()} == {"..%2Fada", "%2E%2E"}


class TestFoldersInAnUnsuitableRoot:
    @pytest.fixture
    def data_traits(self, tmp_path: Path) -> dict[str, Any]:
        return {"data_root": str(tmp_path), "data_identity": "proxy"}

    async def test_setting_that_can_not_be_is_said(self, ask_as: As) -> None:
        answer = await ask_as(ADA, "GET", "/list_data")
        assert answer.code == 502
        assert "irods://" in json_of(answer)["message"]
