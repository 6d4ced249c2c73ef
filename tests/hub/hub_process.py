"""A real JupyterHub with the jobs service, as examples/jupyterhub describes it."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dev.console import tail
from dev.processes import send, with_descendants

START_SECONDS = 240.0
JOBS = "services/nds/nds"
"""Where the service has its routes."""

# What only a test needs, added to the example's own configuration.
CONFIG = """
load_subconfig({example!r})
c.JupyterHub.hub_port = {hub_port}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
c.ConfigurableHTTPProxy.command = [{proxy!r}]
c.ConfigurableHTTPProxy.pid_file = {folder!r} + "/proxy.pid"
c.JupyterHub.db_url = "sqlite:///" + {folder!r} + "/hub.sqlite"
c.JupyterHub.cookie_secret_file = {folder!r} + "/cookie"
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = {folder!r} + "/{{username}}"
c.Spawner.cmd = [{python!r}, "-m", "jupyterhub.singleuser"]
c.Spawner.args = [
    "--allow-root",
    "--KernelSpecManager.ensure_native_kernel=True",
    "--LabApp.expose_app_in_browser=True",
]
c.Authenticator.allowed_users = {{"ada", "bob", "eve"}}
# A busy machine takes its time.
c.Spawner.start_timeout = c.Spawner.http_timeout = 240
from jupyterhub.services.service import Service
if hasattr(Service, "timeout"):
    c.JupyterHub.services[0]["timeout"] = 240
c.JupyterHub.services.append({{"name": "test", "api_token": {token!r}}})
c.JupyterHub.load_roles.append({{
    "name": "test",
    "services": ["test"],
    "scopes": ["admin:users", "admin:servers", "tokens", "access:servers"],
}})
"""


@dataclass(frozen=True)
class Hub:
    """A running JupyterHub."""

    url: str
    admin_token: str
    folder: Path

    def ask(
        self, method: str, path: str, token: str | None = None, body: object = None
    ) -> tuple[int, Any]:
        """Make a JSON request and return status and body."""
        request = urllib.request.Request(
            f"{self.url}/{path}",
            method=method,
            data=body if isinstance(body, bytes | None) else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"}
            | ({"Authorization": f"token {token}"} if token else {}),
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                status, content = answer.status, answer.read()
        except urllib.error.HTTPError as exc:
            with exc:
                status, content = exc.code, exc.read()
        with suppress(ValueError):
            return status, json.loads(content)
        return status, content

    def token(self, user: str) -> str:
        """Return a new token of a user, who is added if the Hub does not know them."""
        self.ask("POST", f"hub/api/users/{user}", self.admin_token)
        status, made = self.ask("POST", f"hub/api/users/{user}/tokens", self.admin_token)
        assert status in {200, 201}, made
        return str(made["token"])


def finished(hub: Hub, token: str, job_id: str) -> Any:
    """Return a job of the service once it has ended."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        _, job = hub.ask("GET", f"{JOBS}/upload?job_id={job_id}&wait=30", token)
        if job["state"] != "RUNNING":
            return job
    return pytest.fail(f"The job did not end: {job}")


def start_server(hub: Hub, user: str) -> None:
    """Start a user's own server, if it does not run, and wait until it does."""
    hub.ask("POST", f"hub/api/users/{user}/server", hub.admin_token)

    def ready() -> object:
        servers = hub.ask("GET", f"hub/api/users/{user}", hub.admin_token)[1]["servers"]
        return servers.get("", {}).get("ready")

    wait_for(ready, hub.folder / "hub.log")


def serves(hub: Hub) -> bool:
    """Tell whether the Hub and its service answer."""
    with suppress(OSError):
        status, _ = hub.ask("GET", "hub/api/")
        if status == 200:
            return hub.ask("GET", "services/nds/api/")[0] == 200
    return False


def wait_for(
    reached: Callable[[], object], log: Path, child: subprocess.Popen[bytes] | None = None
) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not reached():
        ended = child is not None and child.poll() is not None
        if ended or time.monotonic() > deadline:
            pytest.fail(f"JupyterHub did not come so far. The end of its log:\n{tail(log, 40)}")
        time.sleep(0.2)


def end(child: subprocess.Popen[bytes]) -> None:
    """End the Hub, which ends its proxy, service and servers; then what is left of them.

    They have sessions of their own, so a signal to the Hub's does not reach them.
    """
    everything = with_descendants([child.pid])
    child.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        child.wait(timeout=60)
    send(with_descendants(everything), signal.SIGKILL)
    child.wait()
