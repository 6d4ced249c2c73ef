"""Fixtures: JupyterHub's proxy, and a JupyterHub for the module."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.console import run_logged
from dev.debian import find_program, install
from dev.engine import cache_folder
from dev.engine_api import Endpoint
from dev.images import SHELL_IMAGE
from dev.jupyter import free_port
from tests.hub.hub_process import CONFIG, Hub, end, serves, wait_for

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples" / "jupyterhub"


@pytest.fixture(scope="session")
def proxy() -> str:
    """Give JupyterHub's proxy, which npm brings, from the cache folder."""
    folder = cache_folder() / "hub"
    program = folder / "node_modules" / ".bin" / "configurable-http-proxy"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        if find_program("npm") is None:
            install(["npm"], folder)
        command = ["npm", "install", "--prefix", str(folder), "configurable-http-proxy@5"]
        run_logged("Installing JupyterHub's proxy", command, folder / "npm.log")
    return str(program)


@pytest.fixture(scope="module")
def hub_environment() -> dict[str, str]:
    """Give further variables of the Hub; a module may have others."""
    return {}


@pytest.fixture(scope="module")
def hub(
    docker_engine: Endpoint,
    proxy: str,
    hub_environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("hub")
    started = Hub(f"http://127.0.0.1:{free_port()}", secrets.token_hex(16), folder)
    config = folder / "config.py"
    config.write_text(
        CONFIG.format(
            example=str(EXAMPLE / "jupyterhub_config.py"),
            hub_port=free_port(),
            proxy_port=free_port(),
            proxy=proxy,
            folder=str(folder),
            python=sys.executable,
            token=started.admin_token,
        )
    )
    env = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "JPY_", "NDS_"))}
    env |= docker_engine.environment | {
        "HOME": str(folder),
        "NDS_HUB_URL": started.url,
        "NDS_HUB_USERS": "ada bob",
        "NDS_SERVICE_URL": f"http://127.0.0.1:{free_port()}",
        "NDS_JOURNAL": str(folder / "journal"),
        "NDS_IMAGE": SHELL_IMAGE,
        **hub_environment,
    }
    log = folder / "hub.log"
    with log.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "-f", str(config)],
            cwd=folder,
            env=env,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        wait_for(lambda: serves(started), log, child)
        yield started
    finally:
        end(child)
