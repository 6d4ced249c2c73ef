"""Jobs whose owners have logged in to the data root, over a restart of the server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from nds_jupyter.data.data_identity import OwnIdentity, ProxyIdentity
from nds_jupyter.data.data_roots import DataRoots
from nds_jupyter.data.input_staging import NodeStaging
from nds_jupyter.data.logins import LoginStore
from nds_jupyter.engines.base import EngineInfo
from nds_jupyter.errors import DataLoginRequired
from nds_jupyter.jobs.job import Input, JobState, Phase, Reason
from nds_jupyter.journal import Journal
from nds_jupyter.journal.journal import JournaledRecords, JournalThread
from nds_jupyter.runner import JobRunner, RunnerSettings
from tests.data.runner_environment import job_spec
from tests.engine.fake import FakeEngine
from tests.irods_zone.fixtures import AnyZone
from tests.roots import configure

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

USER = "nds-alice"
URL = "irods://"


@contextlib.asynccontextmanager
async def server(
    folder: Path, engine: FakeEngine
) -> AsyncIterator[tuple[JobRunner, LoginStore, DataRoots]]:
    """Run what a server is made of, with the journal and the logins of the one before."""
    journal = JournalThread(Journal.open(folder / "journal"))
    logins = LoginStore(folder / "logins")
    roots = DataRoots(OwnIdentity(URL, logins), records=JournaledRecords(journal, URL))
    runner = JobRunner(journal, engine, RunnerSettings(), logging.getLogger("nds"), roots)
    await runner.start()
    try:
        yield runner, logins, roots
    finally:
        await runner.close()
        await roots.close()
        await asyncio.to_thread(journal.close)


@pytest.fixture
def zone(irods_zone: AnyZone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AnyZone:
    """Give a zone that has the owner's user; the server has no account in it."""
    configure(irods_zone, tmp_path, monkeypatch)
    irods_zone.home(USER)
    monkeypatch.delenv("IRODS_PASSWORD")
    file = tmp_path / "irods_environment.json"
    settings = json.loads(file.read_text())
    del settings["irods_user_name"]
    file.write_text(json.dumps(settings))
    return irods_zone


def log_in(zone: AnyZone, logins: LoginStore) -> None:
    OwnIdentity(URL, logins).keep(
        owner="ada",
        user=USER,
        password=zone.password(USER),
        expires=datetime.now(UTC) + timedelta(hours=1),
    )


@pytest.mark.parametrize("still_logged_in", [True, False])
async def test_results_of_a_job_that_ran_meanwhile_are_delivered_with_its_owners_login(
    zone: AnyZone, tmp_path: Path, jp_asyncio_loop: object, *, still_logged_in: bool
) -> None:
    output = f"{zone.home(USER)}/out-{uuid.uuid4().hex[:8]}"
    script = b"sleep 1\necho x > /results/made"
    engine = FakeEngine()
    async with server(tmp_path, engine) as (runner, logins, _):
        log_in(zone, logins)
        job, _ = await runner.submit("ada", job_spec(script.decode(), output=output), script)
        await runner.wait_until(job.job_id, lambda job: job.phase is Phase.RUNNING)
        if not still_logged_in:
            logins.remove("ada")
    async with server(tmp_path, engine) as (runner, logins, roots):
        async with asyncio.timeout(60):
            job = await runner.wait_until(job.job_id, lambda job: job.is_finished)
        if not still_logged_in:
            assert (job.state, job.reason) == (JobState.FAILED, Reason.OUTPUT)
            assert "%ndslogin" in job.message
            with pytest.raises(DataLoginRequired):
                await roots.for_owner("ada")
            return
        assert job.state is JobState.COMPLETED, job.message
        root = await roots.for_owner("ada")
        assert (await root.entry(f"{output}/made")).size == 2
        await root.discard(output)
    with zone.session(USER) as session:
        assert not session.collections.exists(output)


class StagerEngine(FakeEngine):
    """An engine on whose nodes stagers can run."""

    async def info(self) -> EngineInfo:
        return msgspec.structs.replace(await super().info(), runs_stagers=True)


INPUTS = (Input(path="/x", to="/data/x"),)


async def test_worker_gets_the_owners_login_and_no_other(
    zone: AnyZone, tmp_path: Path, jp_asyncio_loop: object
) -> None:
    engine = StagerEngine()
    async with server(tmp_path, engine) as (_, logins, roots):
        log_in(zone, logins)
        staging = NodeStaging(await roots.for_owner("ada"), engine, "stager:1", 10)
        assert await staging.shared_folder(INPUTS) == "/data"
        settings = json.loads(staging._request(INPUTS))["settings"]
        assert (settings["user"], settings["password"]) == (USER, zone.password(USER))


async def test_worker_never_gets_an_account_that_acts_for_others(
    irods_zone: AnyZone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jp_asyncio_loop: object
) -> None:
    configure(irods_zone, tmp_path, monkeypatch)
    roots = DataRoots(ProxyIdentity(URL))
    staging = NodeStaging(await roots.for_owner(USER), StagerEngine(), "stager:1", 10)
    assert await staging.shared_folder(INPUTS) == ""
    await roots.close()
