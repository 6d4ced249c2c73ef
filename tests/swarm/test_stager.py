"""Inputs fetched from iRODS on the job's own node, by a stager that leaves nothing behind."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dev.stager_image import STAGER_IMAGE, ensure_stager_image
from dev.swarm import Swarm
from nds_jupyter.data.data_root import DataRoot
from nds_jupyter.data.data_roots import DataRoots
from nds_jupyter.data.irods import IrodsFileSystem
from nds_jupyter.data.irods_backend import IrodsBackend
from nds_jupyter.engines.base import LABEL_JOB, LABEL_OWNER, LABEL_SERVER
from nds_jupyter.engines.cluster import JobPhase, StagerSpec
from nds_jupyter.engines.swarm.engine import SwarmEngine, SwarmSettings
from nds_jupyter.engines.swarm.stager_containers import LABEL_STAGER
from nds_jupyter.errors import EngineError
from nds_jupyter.jobs.job import Input, Job, JobState, Limits, Phase, Reason
from nds_jupyter.journal import Journal
from nds_jupyter.journal.journal import JournalThread
from nds_jupyter.runner import JobRunner, RunnerSettings
from tests.irods_zone.zone import Zone
from tests.swarm.conftest import RunnerHarness, wait_for
from tests.swarm.test_nodes_without_endpoint import placed, wanted

pytestmark = [
    pytest.mark.swarm,
    # The client leaves the sockets of its sessions to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

THREE = ("node.hostname==node3",)
LARGE = 8 * 2**20


@pytest.fixture(scope="module")
def stager_image(swarm_cluster: Swarm) -> str:
    """Give the image, which only node 3 has."""
    ensure_stager_image(swarm_cluster.nodes[2].endpoint)
    return STAGER_IMAGE


@pytest.fixture
def zone(tmp_path: Path) -> Iterator[Zone]:
    """Give a zone that the nodes reach, with a collection and an object of some size."""
    with Zone(tmp_path / "zone", host="0.0.0.0") as made:
        with made.session() as session:
            session.collections.create(f"{made.home()}/in/below")
        made.fill(f"{made.home()}/in", ["large"], b"x" * LARGE)
        made.fill(f"{made.home()}/in/below", [f"ünicode {n}" for n in range(20)], b"small")
        yield made


class CountingEngine(SwarmEngine):
    """A Swarm that notes what passes through this process."""

    archives = 0

    async def put_archive(
        self, container_id: str, path: str, archive: bytes | AsyncIterable[bytes]
    ) -> None:
        self.archives += not isinstance(archive, bytes)
        await super().put_archive(container_id, path, archive)


class HurriedBackend(IrodsBackend):
    """A zone that stagers give up soon where it refuses them."""

    def portable_settings(self) -> Mapping[str, Any] | None:
        settings = super().portable_settings()
        return None if settings is None else {**settings, "patience": 1.0}


OpenStaging = Callable[..., AbstractAsyncContextManager[RunnerHarness]]


@pytest.fixture
def staging(
    settings: SwarmSettings, clean_swarm: Swarm, stager_image: str, zone: Zone, tmp_path: Path
) -> OpenStaging:
    """Give what starts a runner whose data root is the zone."""

    @asynccontextmanager
    async def opened(
        image: str = stager_image, host: str = clean_swarm.manager.lan.gateway
    ) -> AsyncIterator[RunnerHarness]:
        engine = CountingEngine(None, settings)
        journal = JournalThread(Journal.open(tmp_path / "journal"))
        fs = IrodsFileSystem(
            env_file=zone.environment_file(irods_host=host), skip_instance_cache=True
        )
        store = DataRoot(HurriedBackend(fs, ""))
        chosen = RunnerSettings(stager_image=image)
        roots = DataRoots.of_one(store)
        runner = JobRunner(journal, engine, chosen, logging.getLogger("nds"), roots)
        await runner.start()
        try:
            yield RunnerHarness(runner, engine)
        finally:
            await runner.close()
            await engine.close()
            await store.close()
            journal.close()

    return opened


async def left(engine: SwarmEngine, node: int = 2) -> dict[str, list[str]]:
    """Return what stagers and jobs have of their own, but for containers, by kind."""
    manager, there = engine._nodes.endpoints[0], engine._nodes.endpoints[node]
    return {
        "services": [row["Spec"]["Name"] for row in await manager.services([LABEL_STAGER])],
        "secrets": [each.name for each in await manager.secrets([])],
        "containers": [
            row.name for row in await there.containers({LABEL_STAGER: ""}, include_ended=True)
        ],
        "volumes": [each.name for each in await there.volumes([LABEL_JOB])],
    }


async def test_inputs_come_straight_to_the_node_and_no_password_stays(
    staging: OpenStaging, zone: Zone
) -> None:
    seen: list[Job] = []

    class Listener:
        def job_changed(self, job: Job) -> None:
            seen.append(job)

        def job_deleted(self, job: Job) -> None: ...

        def job_sampled(self, job_id: str, sample: object) -> None: ...

    script = (
        "wc -c </data/in/large; cat /data/in/below/* | wc -c; ls /data/in/below | wc -l;"
        "touch /data/mine; exit 4"
    )
    async with staging() as harness:
        harness.runner.add_listener(Listener())
        data = (Input(path=f"{zone.home()}/in", to="/data/in"),)
        ended = await harness.wait_for_end(
            await harness.submit(script, constraints=THREE, data=data)
        )
        assert (ended.reason, ended.exit_code) == (Reason.EXIT, 4), ended
        assert (await harness.read_log(ended)).split() == [str(LARGE), "100", "20"]
        assert getattr(harness.engine, "archives", None) == 0
        progress = [job.progress for job in seen if job.phase is Phase.STAGING and job.progress]
        assert progress[-1].done == progress[-1].total == LARGE + 100
        assert await left(harness.engine) == {
            "services": [],
            "secrets": [],
            "containers": [],
            "volumes": [f"nds-{ended.job_id}"],
        }
        await harness.runner.delete(ended)

        async def nothing() -> bool:
            await harness.runner.run_cleanup()
            return not any((await left(harness.engine)).values())

        await wait_for(nothing, "the removal of the job's volume")


async def test_zone_that_nodes_can_t_reach_fails_the_job_in_the_stager_s_words(
    staging: OpenStaging, zone: Zone
) -> None:
    async with staging(host="127.0.0.1") as harness:
        data = (Input(path=f"{zone.home()}/in/large", to="/data/large"),)
        ended = await harness.wait_for_end(
            await harness.submit("exit 0", constraints=THREE, data=data)
        )
        assert (ended.state, ended.reason) == (JobState.FAILED, Reason.DATA)
        assert f"127.0.0.1:{zone.port}" in ended.message
        assert not any((await left(harness.engine)).values())


async def test_image_that_the_node_can_t_get_fails_the_job_with_a_sentence(
    staging: OpenStaging, zone: Zone
) -> None:
    async with staging("nds/nowhere:1") as harness:
        data = (Input(path=f"{zone.home()}/in/large", to="/data/large"),)
        ended = await harness.wait_for_end(
            await harness.submit("exit 0", constraints=THREE, data=data)
        )
        assert ended.reason is Reason.DATA
        assert "nds/nowhere:1" in ended.message
        assert not any((await left(harness.engine)).values())


async def test_inputs_outside_of_data_pass_through_the_server(
    staging: OpenStaging, zone: Zone
) -> None:
    async with staging() as harness:
        data = (Input(path=f"{zone.home()}/in/large", to="/srv/large"),)
        job = await harness.submit("wc -c </srv/large", constraints=THREE, data=data)
        ended = await harness.wait_for_end(job)
        assert ended.state is JobState.COMPLETED, ended
        assert getattr(harness.engine, "archives", None) == 1


STAGER = StagerSpec(
    image="nds/shell:test",
    command=("sh", "-c", "cat /run/secrets/nds-told; echo; sleep 600"),
    secret=b"open sesame",
    secret_path="/run/secrets/nds-told",
    folder="/data",
    limits=Limits(cpus=0.1, memory=16 << 20, pids=20),
)


async def all_active(owners: Mapping[str, str]) -> Mapping[str, JobPhase]:
    return dict.fromkeys(owners, JobPhase.ACTIVE)


async def test_stager_that_is_left_early_or_by_a_killed_server_leaves_no_secret(
    settings: SwarmSettings,
) -> None:
    engine, later = SwarmEngine(None, settings), SwarmEngine(None, settings)
    try:
        mine, stranger = [
            wanted(
                f"{number:016x}",
                volume="/data",
                labels={LABEL_JOB: f"{number:016x}", LABEL_SERVER: server, LABEL_OWNER: "ada"},
            )
            for number, server in ((0xEE, "this"), (0xEF, "another"))
        ]
        container = await placed(engine, mine)
        async with contextlib.aclosing(engine.run_stager(container, STAGER)) as lines:
            assert await anext(lines) == "open sesame"
        assert (await left(engine))["secrets"] == []
        failing = msgspec.structs.replace(STAGER, command=("sh", "-c", "echo no; exit 3"))
        with pytest.raises(EngineError, match="exit code 3"):
            assert [line async for line in engine.run_stager(container, failing)] == ["no"]
        assert (await left(engine))["secrets"] == []
        for spec, there in ((mine, container), (stranger, await placed(engine, stranger))):
            location = await engine._locations.find(there)
            # As a server does that is killed before it hears of it.
            await engine._stagers._create(spec.labels[LABEL_JOB], location, STAGER)
        assert await later.remove_leftovers("this", all_active) == 1
        after = await left(engine)
        assert after["services"] == after["secrets"] == [f"nds-helper-{0xEF:016x}"]
        await later.remove(mine.name)
    finally:
        await engine._stagers.remove(f"{0xEF:016x}")
        await engine.remove(stranger.name)
        await engine.close()
        await later.close()
