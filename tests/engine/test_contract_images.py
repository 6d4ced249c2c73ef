"""What every engine keeps to: images, pulls and builds."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import aclosing

import pytest

from nds_jupyter.engines.base import (
    Engine,
    ImageSpec,
)
from nds_jupyter.errors import (
    EngineError,
    ImageNotFound,
)
from nds_jupyter.jobs.job import Limits, Network
from tests.engine.contract import BUILDERS, DEADLINE, created, specification
from tests.engine.fake_images import SHELL
from tests.engine.under_test import EngineUnderTest


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
