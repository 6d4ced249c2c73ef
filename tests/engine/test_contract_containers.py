"""What every engine keeps to: the fake one that other tests rest on, and the real ones."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import aclosing

import pytest

from nds_jupyter.engines import missing_program
from nds_jupyter.engines.base import (
    LABEL_JOB,
    LABEL_OWNER,
    Change,
    ChangeKind,
    ContainerStatus,
    Engine,
    LogRequest,
)
from nds_jupyter.errors import (
    AmbiguousId,
    ContainerNotFound,
    EngineUnavailable,
    NameTaken,
)
from nds_jupyter.jobs.job import Limits
from tests.engine.contract import DEADLINE, container, created, end_of, read_log, specification
from tests.engine.fake_images import SHELL
from tests.engine.test_contract_archives import MemorySink
from tests.engine.under_test import EngineUnderTest


async def test_script_runs_once_started_and_its_end_is_reported(engine: Engine) -> None:
    async with container(engine, "echo hello\nexit 3") as container_id:
        before = await engine.inspect(container_id)
        assert (before.state, before.exit_code) == (ContainerStatus.CREATED, None)
        assert (before.started, before.finished) == (None, None)
        await engine.start(container_id)
        after = await end_of(engine, container_id)
        assert (after.exit_code, after.oom) == (3, False)
        assert after.started is not None
        assert after.finished is not None
        assert after.created <= after.started <= after.finished
        assert after.worker == await engine.worker(container_id)


async def test_container_is_what_was_asked_for(engine: Engine) -> None:
    spec = specification("true", labels={"mine": "b"})
    container_id = await created(engine, spec)
    found = await engine.inspect(spec.name)
    await engine.remove(container_id)
    assert (found.id, found.name, found.image) == (container_id, spec.name, SHELL)
    assert (found.command, found.labels, found.limits) == (spec.command, spec.labels, spec.limits)


async def test_name_can_be_taken_once(engine: Engine) -> None:
    spec = specification("true")
    container_id = await created(engine, spec)
    with pytest.raises(NameTaken, match=spec.name):
        await engine.create(spec)
    await engine.remove(container_id)
    await engine.remove(await created(engine, spec))


@pytest.mark.parametrize("program", ["nosuchprogram", "/no/such/program"])
async def test_missing_program_is_distinguished_from_a_script_that_ends_alike(
    engine: Engine, program: str
) -> None:
    async with container(engine, "", command=(program, "-x")) as container_id:
        await engine.start(container_id)
        code = (await end_of(engine, container_id)).exit_code
        log = b"".join(data for _, data in await read_log(engine, container_id))
    assert code == 127
    assert program.encode() in log
    assert missing_program.is_program_missing(code, log)
    async with container(engine, "echo not found >&2; exit 127") as container_id:
        await engine.start(container_id)
        code = (await end_of(engine, container_id)).exit_code
        log = b"".join(data for _, data in await read_log(engine, container_id))
    assert code == 127
    assert not missing_program.is_program_missing(code, log)


async def test_unknown_container_is_reported(engine: Engine) -> None:
    with pytest.raises(ContainerNotFound, match="nds-nobody"):
        await engine.inspect("nds-nobody")
    with pytest.raises(ContainerNotFound):
        await engine.stop("nds-nobody", 1)
    with pytest.raises(ContainerNotFound):
        await engine.start("nds-nobody")
    with pytest.raises(ContainerNotFound):
        await engine.diff("nds-nobody")
    with pytest.raises(ContainerNotFound):
        await read_log(engine, "nds-nobody")
    await engine.remove("nds-nobody")


async def test_prefix_finds_a_container_unless_several_have_it(engine: Engine) -> None:
    limits = Limits(cpus=0.1, memory=2**24, pids=64)
    specs = [specification("true", limits=limits) for _ in range(17)]
    ids = await asyncio.gather(*(created(engine, spec) for spec in specs))
    try:
        assert (await engine.inspect(ids[0][:24])).id == ids[0]
        shared = next(one for one in ids if sum(each[0] == one[0] for each in ids) > 1)
        with pytest.raises(AmbiguousId):
            await engine.inspect(shared[0])
    finally:
        await asyncio.gather(*map(engine.remove, ids))


async def test_stop_asks_first_and_kills_who_does_not_listen(engine: Engine) -> None:
    async with container(engine, "sleep 600") as polite:
        await engine.start(polite)
        await engine.stop(polite, 30)
        assert (await engine.inspect(polite)).exit_code == 143
        await engine.stop(polite, 30)
    async with container(engine, "trap '' TERM; echo deaf; sleep 600; sleep 600") as deaf:
        await engine.start(deaf)
        async with aclosing(engine.logs(deaf, LogRequest(follow=True))) as log:
            await anext(log)
        await engine.stop(deaf, 1)
        assert (await engine.inspect(deaf)).exit_code == 137


async def test_short_grace_cuts_a_long_one_short(engine: Engine) -> None:
    async with container(engine, "trap '' TERM; echo deaf; sleep 600; sleep 600") as deaf:
        await engine.start(deaf)
        async with aclosing(engine.logs(deaf, LogRequest(follow=True))) as log:
            await anext(log)
        patient = asyncio.create_task(engine.stop(deaf, 300))
        await asyncio.sleep(0)
        async with asyncio.timeout(DEADLINE):
            await engine.stop(deaf, 0)
            await patient


async def test_running_container_can_be_removed(engine: Engine) -> None:
    async with container(engine, "sleep 600") as container_id:
        await engine.start(container_id)
        await engine.remove(container_id)
        with pytest.raises(ContainerNotFound):
            await engine.inspect(container_id)


async def test_too_little_memory_is_reported(engine: Engine) -> None:
    async with container(engine, "tail /dev/zero") as container_id:
        await engine.start(container_id)
        ended = await end_of(engine, container_id)
        assert (ended.exit_code, ended.oom) == (137, True)


async def test_diff_tells_what_was_made_and_removed(engine: Engine) -> None:
    script = "rm /etc/passwd; printf x > /new"
    async with container(engine, script) as container_id:
        await engine.start(container_id)
        await end_of(engine, container_id)
        changes = await engine.diff(container_id)
        assert Change(path="/new", kind=ChangeKind.ADDED) in changes
        assert Change(path="/etc/passwd", kind=ChangeKind.DELETED) in changes
        assert list(changes) == sorted(changes, key=lambda change: change.path)


async def test_containers_are_found_by_their_labels(engine: Engine) -> None:
    owner = secrets.token_hex(4)
    async with container(engine, "sleep 600", labels={LABEL_OWNER: owner}) as container_id:
        assert await engine.containers({LABEL_OWNER: owner}, include_ended=False) == ()
        await engine.start(container_id)
        wanted = {LABEL_JOB: "", LABEL_OWNER: owner}
        (found,) = await engine.containers(wanted, include_ended=False)
        assert (found.id, found.state) == (container_id, ContainerStatus.RUNNING)
        await engine.stop(container_id, 0)
        assert await engine.containers(wanted, include_ended=False) == ()
        (found,) = await engine.containers(wanted, include_ended=True)
        assert found.state is ContainerStatus.EXITED
        assert await engine.containers({LABEL_OWNER: "nobody"}, include_ended=True) == ()


async def test_nobody_answering_is_reported_by_every_call(unreachable: EngineUnderTest) -> None:
    engine = unreachable.engine
    calls = [
        engine.info(),
        engine.images(),
        engine.image(SHELL),
        engine.create(specification("true")),
        engine.put_archive("a", "/", b""),
        engine.path_exists("a", "/"),
        engine.stat("a", "/"),
        engine.start("a"),
        engine.worker("a"),
        engine.inspect("a"),
        engine.containers({}, include_ended=True),
        engine.diff("a"),
        engine.send_archive("a", "/", MemorySink().open),
        engine.stop("a", 0),
        engine.remove("a"),
    ]
    for call in calls:
        with pytest.raises(EngineUnavailable, match="does not answer"):
            await call
    streams = [
        engine.pull(SHELL),
        engine.logs("a", LogRequest()),
        engine.stats("a"),
        engine.archive("a", "/"),
    ]
    for stream in streams:
        with pytest.raises(EngineUnavailable, match="does not answer"):
            await anext(stream)
