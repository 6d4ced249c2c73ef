"""What every engine keeps to: the fake one that other tests rest on, and the real ones.

A further engine joins by a line in `ENGINES` and one in `UNREACHABLE`.
"""

from __future__ import annotations

import asyncio
import io
import secrets
import tarfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from nds_jupyter.engines.base import (
    LABEL_JOB,
    LABEL_OWNER,
    Change,
    ChangeKind,
    Container,
    ContainerSpec,
    ContainerStatus,
    Engine,
    EngineEvent,
    ImageSpec,
    LogRequest,
    LogStream,
    Part,
)
from nds_jupyter.errors import (
    AmbiguousId,
    ContainerNotFound,
    EngineError,
    EngineUnavailable,
    ImageNotFound,
    NameTaken,
    NotPlaced,
    PathNotFound,
)
from nds_jupyter.jobs import Limits, Network
from tests.engine import under_test
from tests.engine.fake import SHELL
from tests.engine.under_test import EngineUnderTest, Opener

DEADLINE = 60.0
"""Seconds for whatever a test waits for."""

ENGINES: dict[str, Callable[[pytest.FixtureRequest], Opener]] = {
    "fake": lambda request: under_test.fake,
    "docker": lambda request: under_test.docker(request.getfixturevalue("docker_engine_url")),
    "swarm": lambda request: under_test.swarm(request.getfixturevalue("clean_swarm")),
}

UNREACHABLE: dict[str, Opener] = {
    "fake": under_test.fake_down,
    "docker": under_test.docker_down,
    "swarm": under_test.swarm_down,
}

MARKS = {"docker": [pytest.mark.engine], "swarm": [pytest.mark.swarm]}

BUILDERS = [pytest.param(name, marks=MARKS.get(name, [])) for name in ENGINES if name != "swarm"]
"""A Swarm builds no images: its nodes would not have them."""


def opened(
    loop: asyncio.AbstractEventLoop, context: AbstractAsyncContextManager[EngineUnderTest]
) -> Iterator[EngineUnderTest]:
    yield loop.run_until_complete(context.__aenter__())
    loop.run_until_complete(context.__aexit__(None, None, None))


@pytest.fixture(params=[pytest.param(name, marks=MARKS.get(name, [])) for name in ENGINES])
def given(
    request: pytest.FixtureRequest, jp_asyncio_loop: asyncio.AbstractEventLoop
) -> Iterator[EngineUnderTest]:
    """Give each engine in turn."""
    yield from opened(jp_asyncio_loop, ENGINES[request.param](request)())


@pytest.fixture
def engine(given: EngineUnderTest) -> Engine:
    return given.engine


@pytest.fixture(params=list(UNREACHABLE))
def unreachable(
    request: pytest.FixtureRequest, jp_asyncio_loop: asyncio.AbstractEventLoop
) -> Iterator[EngineUnderTest]:
    """Give each engine while nobody answers."""
    yield from opened(jp_asyncio_loop, UNREACHABLE[request.param]())


def specification(
    script: str, *, labels: dict[str, str] | None = None, **changes: object
) -> ContainerSpec:
    name = f"nds-{secrets.token_hex(8)}"
    fields = {
        "name": name,
        "image": SHELL,
        "command": ("sh", "-c", script),
        "env": {},
        "labels": {LABEL_JOB: name.removeprefix("nds-"), LABEL_OWNER: "contract"} | (labels or {}),
        "limits": Limits(cpus=1.0, memory=2**26, pids=64),
        "network": Network.BRIDGE,
        "working_dir": "/",
    }
    return ContainerSpec(**{**fields, **changes})  # type: ignore[arg-type]


def archive_of(**files: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


async def created(engine: Engine, spec: ContainerSpec) -> str:
    """Create a container, and go on as long as an engine of many nodes looks for one."""
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                return await engine.create(spec)
            except NotPlaced:
                await asyncio.sleep(0.1)


@asynccontextmanager
async def container(engine: Engine, script: str, **changes: Any) -> AsyncIterator[str]:
    container_id = await created(engine, specification(script, **changes))
    try:
        yield container_id
    finally:
        await engine.remove(container_id)


async def read_log(engine: Engine, container_id: str, **wanted: object) -> list[tuple[str, bytes]]:
    request = LogRequest(**wanted)  # type: ignore[arg-type]
    async with asyncio.timeout(DEADLINE), aclosing(engine.logs(container_id, request)) as chunks:
        return [(chunk.stream.value, chunk.data) async for chunk in chunks]


async def end_of(engine: Engine, container_id: str) -> Container:
    """Wait for the end, by the log, which ends with the container."""
    async with asyncio.timeout(DEADLINE):
        while True:
            await read_log(engine, container_id, follow=True)
            found = await engine.inspect(container_id)
            if found.state is ContainerStatus.EXITED:
                return found


async def test_script_runs_once_started_and_its_end_is_told(engine: Engine) -> None:
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


async def test_missing_image_is_named(engine: Engine) -> None:
    with pytest.raises(ImageNotFound, match="nds/nothing"):
        await engine.image("nds/nothing:1")
    with pytest.raises(ImageNotFound):
        await created(engine, specification("true", image="nds/nothing:1"))


async def test_images_are_listed_with_their_paths(engine: Engine) -> None:
    image = await engine.image(SHELL)
    assert "/bin" in image.path
    assert image.id in {each.id for each in await engine.images() if SHELL in each.references}


async def test_pull_brings_an_image_and_tells_how_far_it_is(given: EngineUnderTest) -> None:
    async with asyncio.timeout(DEADLINE), aclosing(given.engine.pull(given.pullable)) as reports:
        seen = [report async for report in reports]
    assert seen
    assert all(report.unit == "bytes" for report in seen)
    assert given.pullable in (await given.engine.image(given.pullable)).references


def image_specification(*steps: str) -> ImageSpec:
    return ImageSpec(
        reference=f"nds-build:{secrets.token_hex(16)}",
        dockerfile="\n".join((f"FROM {SHELL}", *steps)),
        files={"requirements.txt": b"some\n"},
        labels={"nds.build": SHELL},
        limits=Limits(cpus=1.0, memory=64 * 2**20, pids=100),
        network=Network.NONE,
    )


@pytest.mark.parametrize("given", BUILDERS, indirect=True)
async def test_build_makes_an_image_that_can_be_removed(engine: Engine) -> None:
    spec = image_specification("COPY requirements.txt /made", "RUN cat /made")
    async with asyncio.timeout(DEADLINE), aclosing(engine.build(spec)) as lines:
        log = [line async for line in lines]
    assert any("RUN cat /made" in line for line in log)
    (built,) = [each for each in await engine.images() if spec.reference in each.references]
    assert built.labels["nds.build"] == SHELL
    for _ in range(2):
        await engine.remove_image(spec.reference)
    with pytest.raises(ImageNotFound):
        await engine.image(spec.reference)


@pytest.mark.parametrize("given", BUILDERS, indirect=True)
async def test_build_whose_step_fails_makes_nothing(engine: Engine) -> None:
    spec = image_specification("RUN exit 1")
    log: list[str] = []

    async def build() -> None:
        async with asyncio.timeout(DEADLINE), aclosing(engine.build(spec)) as lines:
            async for line in lines:
                log.append(line)

    with pytest.raises(ImageNotFound, match="exit 1"):
        await build()
    assert any("RUN exit 1" in line for line in log)
    with pytest.raises(ImageNotFound):
        await engine.image(spec.reference)


@pytest.mark.parametrize("given", BUILDERS, indirect=True)
async def test_image_of_a_container_is_not_removed(
    engine: Engine,
) -> None:
    spec = image_specification("CMD true")
    async with asyncio.timeout(DEADLINE), aclosing(engine.build(spec)) as lines:
        assert [line async for line in lines]
    container = await engine.create(specification("true", image=spec.reference))
    try:
        with pytest.raises(EngineError):
            await engine.remove_image(spec.reference)
    finally:
        await engine.remove(container)
        await engine.remove_image(spec.reference)


async def test_pull_of_what_no_registry_has_fails(given: EngineUnderTest) -> None:
    missing = given.pullable.replace("slow", "nothing")
    async with aclosing(given.engine.pull(missing)) as reports:
        with pytest.raises(ImageNotFound, match="nothing"):
            [report async for report in reports]


async def test_missing_program_ends_as_a_shell_would_say(engine: Engine) -> None:
    async with container(engine, "", command=("/no/such/program",)) as container_id:
        await engine.start(container_id)
        assert (await end_of(engine, container_id)).exit_code == 127
        log = b"".join(data for _, data in await read_log(engine, container_id))
        assert b"/no/such/program" in log


async def test_unknown_container_is_told(engine: Engine) -> None:
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


async def test_archive_put_in_is_found_before_the_start(engine: Engine) -> None:
    async with container(engine, "cat /given") as container_id:
        assert not await engine.path_exists(container_id, "/given")
        await engine.put_archive(container_id, "/", archive_of(given="content\n"))
        assert await engine.path_exists(container_id, "/given")
        await engine.start(container_id)
        await end_of(engine, container_id)
        assert await read_log(engine, container_id) == [("stdout", b"content\n")]


async def test_archive_read_begins_with_the_last_part_of_the_path(engine: Engine) -> None:
    script = "mkdir /made; printf abc > /made/file"
    async with container(engine, script) as container_id:
        await engine.start(container_id)
        await end_of(engine, container_id)
        async with aclosing(engine.archive(container_id, "/made")) as parts:
            data = b"".join([part async for part in parts])
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            assert tar.getnames() == ["made", "made/file"]
            file = tar.extractfile("made/file")
            assert file is not None
            assert file.read() == b"abc"
        with pytest.raises(PathNotFound, match="/nothing"):
            async with aclosing(engine.archive(container_id, "/nothing")) as parts:
                await anext(parts)


class Kept:
    """A sink that keeps what it is sent."""

    def __init__(self) -> None:
        self.data = b""
        self.closed = 0

    async def open(self) -> Kept:
        return self

    def send(self, parts: Sequence[Part]) -> None:
        self.data += b"".join(parts)

    def abort(self) -> None:
        raise AssertionError("nobody ended it")

    def close(self) -> None:
        self.closed += 1


async def test_archive_is_sent_to_a_sink_as_it_is_read(engine: Engine) -> None:
    script = "mkdir /made; seq 50000 > /made/file"
    async with container(engine, script) as container_id:
        await engine.start(container_id)
        await end_of(engine, container_id)
        async with aclosing(engine.archive(container_id, "/made")) as parts:
            data = b"".join([part async for part in parts])
        kept = Kept()
        await engine.send_archive(container_id, "/made", kept.open)
        assert (kept.data == data, kept.closed) == (True, 1)
        nothing = Kept()
        with pytest.raises(PathNotFound, match="/nothing"):
            await engine.send_archive(container_id, "/nothing", nothing.open)
        assert (nothing.data, nothing.closed) == (b"", 0)


async def test_path_says_what_it_is(engine: Engine) -> None:
    script = "mkdir /made; printf abc > /made/file"
    async with container(engine, script) as container_id:
        await engine.start(container_id)
        await end_of(engine, container_id)
        file = await engine.stat(container_id, "/made/file")
        assert file is not None
        assert (file.kind, file.size) == ("file", 3)
        folder = await engine.stat(container_id, "/made")
        assert folder is not None
        assert folder.kind == "dir"
        assert await engine.stat(container_id, "/nothing") is None


async def test_archive_of_no_container_is_told_apart_from_no_path(engine: Engine) -> None:
    with pytest.raises(ContainerNotFound):
        async with aclosing(engine.archive("nds-nobody", "/results")) as parts:
            await anext(parts)


async def test_log_keeps_its_streams_apart(engine: Engine) -> None:
    async with container(engine, "echo out; echo err >&2") as container_id:
        await engine.start(container_id)
        await end_of(engine, container_id)
        both = await read_log(engine, container_id)
        assert sorted(both) == [("stderr", b"err\n"), ("stdout", b"out\n")]
        only = await read_log(engine, container_id, stream=LogStream.STDERR)
        assert only == [("stderr", b"err\n")]


async def test_log_is_cut_by_lines_and_by_time(engine: Engine) -> None:
    async with container(engine, "echo 1; echo 2; echo 3") as container_id:
        await engine.start(container_id)
        ended = await end_of(engine, container_id)
        tail = await read_log(engine, container_id, tail=2)
        assert b"".join(data for _, data in tail) == b"2\n3\n"
        assert await read_log(engine, container_id, tail=0) == []
        assert ended.finished is not None
        later = ended.finished + timedelta(seconds=1)
        assert await read_log(engine, container_id, since=later) == []
        stamped = await read_log(engine, container_id, tail=1, timestamps=True)
        time, _, text = b"".join(data for _, data in stamped).partition(b" ")
        assert text == b"3\n"
        assert time.startswith(b"20")
        assert time.endswith(b"Z")


async def test_followed_log_is_live_and_ends_with_the_container(engine: Engine) -> None:
    async with container(engine, "echo first; sleep 600") as container_id:
        await engine.start(container_id)
        request = LogRequest(follow=True)
        async with asyncio.timeout(DEADLINE), aclosing(engine.logs(container_id, request)) as log:
            assert (await anext(log)).data == b"first\n"
            await engine.stop(container_id, 0)
            assert [chunk async for chunk in log] == []


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


async def test_too_little_memory_is_told(engine: Engine) -> None:
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


async def test_samples_come_while_it_runs_and_end_with_it(engine: Engine) -> None:
    async with container(engine, "sleep 600") as container_id:
        await engine.start(container_id)
        async with asyncio.timeout(DEADLINE), aclosing(engine.stats(container_id)) as samples:
            sample = await anext(samples)
            assert sample.memory_limit == 2**26
            assert sample.pids >= 1
            await engine.stop(container_id, 0)
            async for _ in samples:
                pass


async def test_events_tell_of_jobs_from_the_moment_of_connection(given: EngineUnderTest) -> None:
    engine = given.engine
    async with asyncio.timeout(DEADLINE), aclosing(engine.events()) as events:
        assert (await anext(events)).action == "connected"
        spec = specification("exit 4")
        stranger = msgspec.structs.replace(specification("true"), labels={})
        unlabelled = await given.beside.create(stranger)
        try:
            await given.beside.start(unlabelled)
            container_id = await created(engine, spec)
            await engine.start(container_id)
            seen: list[EngineEvent] = []
            while not seen or seen[-1].action != "destroy":
                event = await anext(events)
                assert event.container_id != unlabelled
                if event.container_id == container_id:
                    seen.append(event)
                if event.action == "die" and event.container_id == container_id:
                    await engine.remove(container_id)
        finally:
            await given.beside.remove(unlabelled)
        assert [event.action for event in seen] == ["start", "die", "destroy"]
        assert {event.job_id for event in seen} == {spec.labels[LABEL_JOB]}
        assert seen[1].exit_code == 4


async def test_nobody_answering_is_told_by_every_call(unreachable: EngineUnderTest) -> None:
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
        engine.send_archive("a", "/", Kept().open),
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
