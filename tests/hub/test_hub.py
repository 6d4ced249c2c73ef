"""Many users: JupyterHub, with jobs as one service that alone may use Docker."""

from __future__ import annotations

import pytest

from tests.hub.hub_process import JOBS, Hub, finished, start_server, wait_for

pytestmark = [pytest.mark.engine, pytest.mark.hub]

SCRIPT = {"script": "echo from the service", "scriptname": "a.sh"}


def test_users_of_the_service_see_their_own_jobs_only(hub: Hub) -> None:
    ada, bob = hub.token("ada"), hub.token("bob")
    status, job = hub.ask("POST", f"{JOBS}/upload", ada, SCRIPT)
    assert status == 201, job
    assert job["owner"] == "ada"
    job = finished(hub, ada, job["job_id"])
    assert job["state"] == "COMPLETED"
    assert hub.ask("GET", f"{JOBS}/jobs", bob) == (200, [])
    # On the engine there may be containers of another service's bob.
    status, containers = hub.ask("GET", f"{JOBS}/list_container", bob)
    assert status == 200
    assert job["job_id"] not in {each["job_id"] for each in containers}
    for path in (f"upload?job_id={job['job_id']}", f"stdout?cont_id={job['container_id']}"):
        assert hub.ask("GET", f"{JOBS}/{path}", bob)[0] == 404
        assert hub.ask("GET", f"{JOBS}/{path}", ada)[0] == 200
    assert hub.ask("POST", f"{JOBS}/stop?job_id={job['job_id']}", bob)[0] == 404


def test_service_refuses_who_may_not_use_it(hub: Hub) -> None:
    assert hub.ask("GET", f"{JOBS}/jobs", "no such token")[0] == 403
    assert hub.ask("GET", f"{JOBS}/jobs")[0] == 403
    assert hub.ask("GET", f"{JOBS}/jobs", hub.token("eve"))[0] == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "api/kernels"),
        ("GET", "api/kernels"),
        ("GET", "api/contents"),
        ("POST", "api/terminals"),
        ("POST", "api/sessions"),
        ("GET", "files/config.py"),
    ],
)
def test_service_lends_its_account_to_nobody(hub: Hub, method: str, path: str) -> None:
    body = {} if method == "POST" else None
    status, _ = hub.ask(method, f"services/nds/{path}", hub.token("ada"), body)
    assert status in {403, 404}


def test_notebook_of_a_hub_user_sends_its_jobs_to_the_service(hub: Hub) -> None:
    ada = hub.token("ada")
    start_server(hub, "ada")
    # A kernel that runs its start-up file, as a cell would, in the environment that it was given.
    startup = hub.folder / "ada" / ".ipython" / "profile_default" / "startup" / "submit.py"
    startup.parent.mkdir(parents=True, exist_ok=True)
    said = hub.folder / "ada" / "said"
    startup.write_text(
        "import nds_jupyter, pathlib\n"
        "job = nds_jupyter.Client().submit('echo from a notebook', scriptname='a.sh').wait()\n"
        f"pathlib.Path({str(said)!r}).write_text(job.view.owner + ' ' + job.logs())\n"
    )
    status, kernel = hub.ask("POST", "user/ada/api/kernels", ada, {"name": "python3"})
    assert status == 201, kernel
    wait_for(said.exists, hub.folder / "hub.log")
    wait_for(lambda: said.read_text() != "", hub.folder / "hub.log")
    assert said.read_text() == "ada from a notebook\n"
