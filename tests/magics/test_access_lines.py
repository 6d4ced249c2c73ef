"""Logging in to the data root and sharing by tickets, in a real kernel; no engine is needed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.engine_api import Endpoint
from dev.jupyter import jupyter_server
from nds_jupyter.data.irods import IrodsFileSystem
from tests.irods_zone.authentication import CODE
from tests.irods_zone.zone import Zone
from tests.magics.notebook import Notebook, open_notebook

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

USER = "ada"


@pytest.fixture(scope="module")
def zone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zone]:
    with Zone(tmp_path_factory.mktemp("irods") / "zone", tls=True, host="localhost") as zone:
        zone.home(USER)
        yield zone


@pytest.fixture(scope="module")
def notebook(zone: Zone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    """Give a notebook of a server that has no account in the zone, but knows where it is."""
    folder: Path = tmp_path_factory.mktemp("server")
    environment = zone.environment()
    del environment["irods_user_name"]
    file = folder / "irods_environment.json"
    file.write_text(json.dumps(environment))
    arguments = ["--NdsApp.data_root=irods://", "--NdsApp.data_identity=own"]
    with (
        jupyter_server(
            Endpoint("tcp://127.0.0.1:9"),
            "nds/shell:test",
            folder,
            [*arguments, f"--NdsApp.owner={USER}"],
            environment={"IRODS_ENVIRONMENT_FILE": str(file)},
            ready="nds/data_login",
        ) as server,
        open_notebook(server) as opened,
    ):
        yield opened


@pytest.fixture
def logged_in(notebook: Notebook, zone: Zone) -> Notebook:
    cell, _ = notebook.run_asked("%ndslogin --user ada", zone.password(USER))
    cell.must_succeed()
    return notebook


def test_login_is_asked_for_and_ends(notebook: Notebook, zone: Zone) -> None:
    notebook.run("%ndslogin --out").must_succeed()
    refused = notebook.run("%ndsls").shown_error
    assert "Run %ndslogin" in refused
    assert "Traceback" not in refused
    cell, asked = notebook.run_asked("%ndslogin", zone.password(USER))
    assert USER in cell.must_succeed().text
    assert asked == [("iRODS password of ada: ", True)]
    assert zone.password(USER) not in str(cell.messages)
    notebook.run("%ndsls").must_succeed()
    assert "own" in notebook.run("%ndslogin --status").must_succeed().text
    notebook.run("%ndslogin --out").must_succeed()
    assert "Run %ndslogin" in notebook.run("%ndsls").shown_error
    cell, _ = notebook.run_asked("%ndslogin", "wrong")
    assert "does not accept the user ada" in cell.shown_error
    # Where nobody can be asked, as when a notebook is only executed.
    assert "nobody to ask" in notebook.run("%ndslogin").stderr


def test_interactive_pam_asks_in_the_notebook(notebook: Notebook, zone: Zone) -> None:
    cell, asked = notebook.run_asked(
        "%ndslogin --scheme pam_interactive", CODE, zone.password(USER)
    )
    cell.must_succeed()
    assert asked == [("Code: ", False), ("Password: ", True)]
    notebook.run("%ndsls").must_succeed()


def test_ticket_is_shown_used_listed_and_revoked(
    logged_in: Notebook, zone: Zone, tmp_path: Path
) -> None:
    file = tmp_path / "heights.csv"
    file.write_text("1,2\n")
    logged_in.run(f"%ndsput {file}").must_succeed()
    shown = logged_in.run("%ndsshare heights.csv --read --expires 7d --uses 2").must_succeed().text
    found = re.search(r"ticket=\"(\w+)\"", shown)
    assert found is not None, shown
    ticket = found[1]
    assert f"iget -t {ticket}" in shown
    fs = IrodsFileSystem(
        **{k: v for k, v in zone.environment("bob").items() if k.startswith("irods_")},
        password=zone.password("bob"),
        ticket=ticket,
        skip_instance_cache=True,
    )
    assert fs.cat_file(f"{zone.home(USER)}/heights.csv") == b"1,2\n"
    fs.close()
    assert "1 of 2" in logged_in.run("%ndsshare --list").must_succeed().text
    assert ticket in logged_in.run("%ndsshare heights.csv --list").must_succeed().text
    assert ticket not in logged_in.run(f"%ndsshare --revoke {ticket}").must_succeed().text
    assert "no such ticket" in logged_in.run(f"%ndsshare --revoke {ticket}").shown_error


def test_ticket_may_let_write_and_last_for_ever(logged_in: Notebook, zone: Zone) -> None:
    shown = (
        logged_in.run(f"%ndsshare {zone.home(USER)} --write --expires never").must_succeed().text
    )
    assert "iput" in shown
    assert "never" in shown
    assert "is no time" in logged_in.run("%ndsshare x --expires soon").stderr
    assert "Name what to share" in logged_in.run("%ndsshare").stderr
    assert "one of them" in logged_in.run("%ndsshare x --read --write").stderr
