"""Whose account: two owners of one server, each with an iRODS user or a folder of their own."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPResponse

from tests.engine.fake import FakeEngine
from tests.handlers.http_client import json_of
from tests.handlers.identities import ADA, BOB, READER, NamedUsers, ReadersLook
from tests.irods_zone.fixtures import AnyZone
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


class TestFolders:
    """A folder for each owner."""

    @pytest.fixture
    def data_traits(self, tmp_path: Path) -> dict[str, Any]:
        return {"data_root": f"{tmp_path}/stored/{{owner}}"}

    async def test_each_owner_has_a_folder(self, ask_as: As, tmp_path: Path) -> None:
        assert (await ask_as(ADA, "PUT", "/data/x", b"of ada")).code == 201
        assert json_of(await ask_as(BOB, "GET", "/list_data")) == []
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
