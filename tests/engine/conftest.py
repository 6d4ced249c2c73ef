"""Every engine in turn, for what all of them keep to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager

import pytest

from nds_jupyter.engines.base import Engine
from tests.engine.contract import ENGINES, MARKS, UNREACHABLE
from tests.engine.under_test import EngineUnderTest


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
