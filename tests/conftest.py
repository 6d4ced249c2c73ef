"""A real Docker Engine for the tests that are marked `engine`."""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.workermanage import NodeManager

from dev.engine import engine
from dev.engine_api import Endpoint, EngineAnswerError, answers, ask
from dev.images import PYTHON_IMAGE, SHELL_IMAGE, ensure_images
from tests.distribution import GroupScheduling, arrange
from tests.sharing import removing_what_came, run_folder

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("steady", hypothesis.settings.default, deadline=None)
hypothesis.settings.load_profile("steady")

# jsonschema would compile its grammars for two seconds as it is imported. It does without where the
# package is missing: only formats of IRIs, which no schema here has, are then not checked.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

pytest_plugins = [
    "pytest_jupyter.jupyter_server",
    "tests.engine.proxy",
    "tests.handlers.http_client",
    "tests.irods_zone.fixtures",
    "tests.roots",
    "tests.package_index",
    "tests.servers",
    "tests.swarm.cluster",
]


# An interrupted process has servers and Swarms to end; xdist would kill it after ten seconds.
NodeManager.EXIT_TIMEOUT = 60


REAL = {"browser", "engine", "hub", "swarm"}
"""Markers of tests on parts that have moods of their own."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Arrange the tests for several processes, and try those on real parts once more in CI.

    Nobody watches there; the report has both tries in full.
    """
    arrange(items)
    if not os.environ.get("CI"):
        return
    for item in items:
        if REAL & {mark.name for mark in item.iter_markers()}:
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Take a process for each core, and one more where tests wait for an engine.

    A real zone is used by one process alone: the tests make a user in it.
    """
    if "NDS_TEST_IRODS_ENV" in os.environ:
        return 1
    cores = len(os.sched_getaffinity(0))
    return cores if "not engine" in config.option.markexpr else cores + 1


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling | None:
    """Give whole groups to the processes where a run says ``--dist loadfile``, as make does."""
    if config.getvalue("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False
    return GroupScheduling(config, log)


def pytest_collection_finish() -> None:
    """Spare each collection of garbage what imports and the list of tests keep for good."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def jp_nbconvert_templates() -> None:
    """Copy no templates for a server, as pytest-jupyter does: none exports a notebook."""


@pytest.fixture
def jp_configurable_serverapp(jp_configurable_serverapp: Any) -> Iterator[Any]:
    """Forget a server's loggers with it: pytest goes through all there are, for each test."""
    yield jp_configurable_serverapp
    loggers = logging.root.manager.loggerDict
    for name in [name for name in loggers if name.startswith("jupyter_events.logger.")]:
        del loggers[name]


@pytest.fixture(scope="session", autouse=True)
def interrupts() -> Iterator[None]:
    """Let interrupts reach tests and servers, also where the run is in the background.

    A shell lets what it puts there ignore them, and every child would inherit that.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module", autouse=True)
def client_leaves_no_socket_for_another_module() -> Iterator[None]:
    """Collect what a module left, so that no later test is blamed for a socket of the iRODS client.

    The client leaves the sockets of broken connections to the garbage collector. Within a module
    an unclosed socket is still an error.
    """
    yield
    if "irods" in sys.modules:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


@pytest.fixture(scope="session")
def docker_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """Give an engine with the test images; starts a private one where there is none.

    `NDS_TEST_DOCKER` or `DOCKER_HOST` name another. Containers of jobs that a test left behind
    are removed when the last process of the run leaves it.
    """
    run = run_folder(tmp_path_factory)
    named = os.environ.get("NDS_TEST_DOCKER") or os.environ.get("DOCKER_HOST")
    if not named:
        with engine() as endpoint:
            yield from _with_images(endpoint, run)
        return
    endpoint = Endpoint(named, os.environ.get("DOCKER_CERT_PATH"))
    if not answers(endpoint, timeout=10):
        pytest.fail(
            f"No Docker Engine answers at {named}, which NDS_TEST_DOCKER or DOCKER_HOST names. "
            "Unset it to let the tests find or start one."
        )
    yield from _with_images(endpoint, run)


@pytest.fixture(scope="session")
def docker_engine_url(docker_engine: Endpoint) -> str:
    """Give the URL of an engine that has `nds/python:3.11` and `nds/shell:test`."""
    return docker_engine.url


def _with_images(endpoint: Endpoint, run: Path) -> Iterator[Endpoint]:
    ensure_images(endpoint, PYTHON_IMAGE, SHELL_IMAGE)

    def remove(container: str) -> None:
        # Another one may be removing it, or has done so.
        with suppress(EngineAnswerError):
            ask(endpoint, "DELETE", f"/containers/{container}", query={"force": "1", "v": "1"})

    with removing_what_came(run / "containers", lambda: _job_containers(endpoint), remove):
        yield endpoint


def _job_containers(endpoint: Endpoint) -> list[str]:
    filters = json.dumps({"label": ["nds.job"]})
    listed = ask(endpoint, "GET", "/containers/json", query={"all": "1", "filters": filters})
    return [container["Id"] for container in json.loads(listed)]
