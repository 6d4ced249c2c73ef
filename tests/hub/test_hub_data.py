"""Data of a Hub's users: the service opens an iRODS zone with an account for each of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.hub_process import JOBS, Hub, finished, start_server, wait_for
from tests.irods_zone.zone import Zone

pytestmark = [
    pytest.mark.engine,
    pytest.mark.hub,
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]


@pytest.fixture(scope="module")
def zone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zone]:
    """Give a zone that has users of the names of the Hub's."""
    with Zone(tmp_path_factory.mktemp("irods") / "zone") as zone:
        for user in ("ada", "bob"):
            zone.home(user)
        yield zone


@pytest.fixture(scope="module", params=["proxy", "own"])
def identity(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def hub_environment(
    identity: str, zone: Zone, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    if identity == "proxy":
        file = zone.environment_file()
    else:
        # Where the zone is, and nobody's account.
        environment = zone.environment()
        del environment["irods_user_name"]
        file = tmp_path_factory.mktemp("environment") / "irods_environment.json"
        file.write_text(json.dumps(environment))
    return {"NDS_DATA_IDENTITY": identity, "IRODS_ENVIRONMENT_FILE": str(file)}


@pytest.fixture
def tokens(hub: Hub, identity: str, zone: Zone) -> dict[str, str]:
    """Give a token of each user; each has logged in to the zone, where that is needed."""
    tokens = {user: hub.token(user) for user in ("ada", "bob")}
    if identity == "own":
        for user, token in tokens.items():
            login = {"password": zone.password(user)}
            status, view = hub.ask("PUT", f"{JOBS}/data_login", token, login)
            assert (status, view["user"], view["logged_in"]) == (200, user, True)
    return tokens


def test_job_of_each_user_takes_and_leaves_data_as_that_user(
    hub: Hub, zone: Zone, tokens: dict[str, str]
) -> None:
    for user, token in tokens.items():
        home = zone.home(user)
        status, row = hub.ask("PUT", f"{JOBS}/data{home}/in", token, user.encode())
        assert status == 201, row
        script = {"script": "cp /data/in /results/out", "scriptname": "a.sh"}
        body = {**script, "data": ["in"], "output": "results"}
        status, job = hub.ask("POST", f"{JOBS}/upload", token, body)
        assert status == 201, job
        job = finished(hub, token, job["job_id"])
        assert job["state"] == "COMPLETED", job["message"]
        assert hub.ask("GET", f"{JOBS}/data{home}/results/out", token) == (200, user.encode())
        with zone.session(user) as session:
            made = session.data_objects.get(f"{home}/results/out")
            assert made.owner_name == user
        for path in ("in", "results?recursive=1"):
            assert hub.ask("DELETE", f"{JOBS}/data{home}/{path}", token)[0] == 204


def test_users_see_what_the_zone_shows_them(hub: Hub, zone: Zone, tokens: dict[str, str]) -> None:
    path = f"{zone.home('ada')}/mine"
    assert hub.ask("PUT", f"{JOBS}/data{path}", tokens["ada"], b"of ada")[0] == 201
    for route in (f"data{path}", f"metadata{path}", f"list_data?path={zone.home('ada')}"):
        assert hub.ask("GET", f"{JOBS}/{route}", tokens["ada"])[0] == 200
        assert hub.ask("GET", f"{JOBS}/{route}", tokens["bob"])[0] == 404
    status, _ = hub.ask("DELETE", f"{JOBS}/data{path}", tokens["bob"])
    assert status == 404
    assert hub.ask("DELETE", f"{JOBS}/data{path}", tokens["ada"])[0] == 204


def test_notebook_of_a_user_shares_what_is_theirs(
    hub: Hub, zone: Zone, tokens: dict[str, str]
) -> None:
    """The user's own server has no account: all of it goes through the service."""
    start_server(hub, "ada")
    said = hub.folder / "ada" / "shared"
    said.unlink(missing_ok=True)
    startup = hub.folder / "ada" / ".ipython" / "profile_default" / "startup" / "share.py"
    startup.parent.mkdir(parents=True, exist_ok=True)
    startup.write_text(
        "import nds_jupyter, pathlib\n"
        "data = nds_jupyter.Client().data\n"
        "pathlib.Path('shared.txt').write_text('for all')\n"
        "data.put('shared.txt', 'shared.txt', overwrite=True)\n"
        "made = data.share('shared.txt', uses=3)\n"
        f"pathlib.Path({str(said)!r}).write_text(made.ticket + ' ' + data.home())\n"
    )
    status, kernel = hub.ask("POST", "user/ada/api/kernels", tokens["ada"], {"name": "python3"})
    assert status == 201, kernel
    wait_for(lambda: said.exists() and said.read_text(), hub.folder / "hub.log")
    ticket, home = said.read_text().split()
    assert home == zone.home("ada")
    with zone.session("bob") as session:
        session.ticket__ = ticket
        with session.data_objects.open(f"{home}/shared.txt", "r") as file:
            assert file.read() == b"for all"
    startup.unlink()
    assert hub.ask("DELETE", f"{JOBS}/tickets/{ticket}", tokens["bob"])[0] == 404
    assert hub.ask("DELETE", f"{JOBS}/tickets/{ticket}", tokens["ada"])[0] == 204
    hub.ask("DELETE", f"user/ada/api/kernels/{kernel['id']}", tokens["ada"])


def test_credentials_lie_nowhere_in_the_clear(
    hub: Hub, zone: Zone, tokens: dict[str, str], identity: str
) -> None:
    secrets = [zone.password(user) for user in ("rods", *tokens)]
    files = [each for each in hub.folder.rglob("*") if each.is_file()]
    assert any("logins" in each.parts for each in files) == (identity == "own")
    for file in files:
        content = _content(file)
        assert not any(secret.encode() in content for secret in secrets), file


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""
