"""A Jupyter server of its own, and a notebook executed by a kernel of that server."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import nbformat
from jupyter_client.asynchronous.client import AsyncKernelClient
from nbclient import NotebookClient

from dev.console import SetupError, say, tail
from dev.engine_api import Endpoint
from dev.interrupts import delayed_interrupts

START_SECONDS = 60.0
PORTS = range(11_000, 32_000)
STOP_SECONDS = 10.0
CELL_SECONDS = 300
REMOVED_AT_ONCE = 8
PORT_TAKEN = "no available port could be found"

Show = Callable[[str], None]


@dataclass(frozen=True)
class Server:
    """A running Jupyter server, and the token to ask it with."""

    url: str
    token: str
    runtime_folder: Path
    log: Path
    process: subprocess.Popen[bytes]

    def ask(self, method: str, path: str, body: object = None, timeout: float = 30.0) -> Any:
        """Make one JSON request below the base URL; None for an empty answer."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"token {self.token}",
                "Content-Type": "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            content = answer.read()
        return json.loads(content) if content else None


@contextmanager
def jupyter_server(
    endpoint: Endpoint,
    image: str,
    folder: Path,
    arguments: Sequence[str] = (),
    *,
    application: str = "jupyter_server",
    root: Path | None = None,
    port: int = 0,
    browser: bool = False,
    environment: Mapping[str, str] = MappingProxyType({}),
    ready: str = "nds/health",
) -> Iterator[Server]:
    """Run a Jupyter server on a free port, with settings and data of its own.

    Parameters
    ----------
    endpoint
        The engine that its jobs run on.
    image
        The image of a job that names none.
    folder
        Where its configuration, data, runtime files and log go.
    application
        The module to run: ``jupyter_server`` or ``jupyterlab``.
    root
        Where its notebooks lie; `folder` where it is left out.
    port
        0 for a free one; the next free one where it is taken.
    browser
        Whether it opens a browser, where there is one.
    environment
        Further variables.
    ready
        The route that answers once the server can be used.
    """
    places = {
        f"JUPYTER_{name.upper()}_DIR": str(folder / name) for name in ("config", "data", "runtime")
    }
    env = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "JPY_", "NDS_"))}
    log = folder / "server.log"
    command = [
        *(sys.executable, "-m", application),
        *([] if browser else ["--no-browser"]),
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port or free_port()}",
        f"--ServerApp.root_dir={root or folder}",
        f"--NdsApp.default_image={image}",
        *(["--allow-root"] if os.geteuid() == 0 else []),
        *arguments,
    ]
    child = None
    try:
        for is_last in (False, False, True):
            with log.open("wb") as output, delayed_interrupts():
                # A group of its own, so that it and its kernels can be ended together.
                child = subprocess.Popen(
                    command,
                    env={**env, **places, **endpoint.environment, **environment},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            try:
                server = _wait_until_ready(child, folder / "runtime", log, ready)
                break
            except SetupError:
                # Somebody took the port between Jupyter's look at it and its use of it.
                if is_last or PORT_TAKEN not in log.read_text(errors="replace"):
                    raise
        yield server
    finally:
        if child is not None:
            _end(child)


def disable_announcements(folder: Path) -> None:
    """Let a JupyterLab with its configuration below this folder not ask whether to get news."""
    settings = folder / "config" / "labconfig" / "page_config.json"
    settings.parent.mkdir(parents=True)
    extension = "@jupyterlab/apputils-extension:announcements"
    settings.write_text(json.dumps({"disabledExtensions": {extension: True}}))


def remove_jobs(server: Server) -> None:
    """End a server's kernels and remove its jobs, whose containers would outlive it."""
    try:
        for kind, name in (("api/kernels", "id"), ("nds/jobs", "job_id")):
            paths = [f"{kind}/{each[name]}" for each in server.ask("GET", f"{kind}?limit=1000")]
            with ThreadPoolExecutor(REMOVED_AT_ONCE) as pool:
                list(pool.map(lambda path: server.ask("DELETE", path), paths))
    except OSError as exc:
        say(f"The server's jobs could not be removed: {exc}")


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on.

    It is below those that the kernel gives to connections, or one of them could have it by the time
    that a server listens there. Chosen at random, no two processes get the same one at a time.
    """
    while True:
        port = PORTS.start + secrets.randbelow(len(PORTS))
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def _wait_until_ready(
    child: subprocess.Popen[bytes], runtime: Path, log: Path, route: str
) -> Server:
    described = runtime / f"jpserver-{child.pid}.json"
    deadline = time.monotonic() + START_SECONDS
    seen = "the server has not written its runtime file"
    while time.monotonic() < deadline and child.poll() is None:
        with suppress(OSError, ValueError):
            facts = json.loads(described.read_text())
            server = Server(facts["url"], facts["token"], runtime, log, child)
            try:
                server.ask("GET", route, timeout=5)
            except urllib.error.HTTPError as exc:
                seen = f"/{route} answered {exc.code}: {exc.read().decode(errors='replace')}"
            else:
                return server
        time.sleep(0.1)
    if child.poll() is not None:
        seen = f"the server ended with exit code {child.returncode}"
    raise SetupError(f"Jupyter did not start: {seen}. The end of its log:\n{tail(log)}")


def _end(child: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=STOP_SECONDS)
            break
    # Kernels have sessions of their own; the server ends them unless it had to be killed.
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


@contextmanager
def kernel(server: Server) -> Iterator[Path]:
    """Start a kernel through the server, as JupyterLab does; gives its connection file."""
    started = server.ask("POST", "api/kernels", {"name": "python3"})
    try:
        yield server.runtime_folder / f"kernel-{started['id']}.json"
    finally:
        with suppress(OSError):
            server.ask("DELETE", f"api/kernels/{started['id']}")


class ServerNotebook(NotebookClient):  # type: ignore[misc, unused-ignore]
    """Executes a notebook in a kernel that a Jupyter server started."""

    def __init__(self, nb: nbformat.NotebookNode, connection_file: Path, **options: Any) -> None:
        super().__init__(nb, timeout=CELL_SECONDS, **options)
        self._connection_file = connection_file
        self.show: Show = lambda _text: None

    @asynccontextmanager
    async def async_setup_kernel(self, **_options: Any) -> AsyncGenerator[None, None]:
        """Connect to the kernel; the server starts and ends it."""
        client = await self._ready_client()
        try:
            client.allow_stdin = False
            self.kc = client
            yield
        finally:
            client.stop_channels()

    async def _ready_client(self) -> AsyncKernelClient:
        until = time.monotonic() + START_SECONDS
        while True:
            client = AsyncKernelClient(connection_file=str(self._connection_file))
            client.load_connection_file()
            client.start_channels()
            try:
                await client.wait_for_ready(timeout=START_SECONDS)
            except RuntimeError:
                # On a busy machine a kernel misses heartbeats while it starts.
                client.stop_channels()
                if time.monotonic() > until:
                    raise
            else:
                return client

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        """Show what a cell prints when it prints it."""
        content = msg["content"]
        match msg["msg_type"]:
            case "stream":
                self.show(content["text"])
            case "execute_result" | "display_data":
                self.show(content["data"].get("text/plain", "") + "\n")
            case "error":
                self.show("\n".join(content["traceback"]) + "\n")
        return super().process_message(msg, cell, cell_index)


def execute(
    server: Server,
    path: Path,
    show: Show = lambda _text: None,
    show_cell: Callable[[nbformat.NotebookNode], None] = lambda _cell: None,
) -> nbformat.NotebookNode:
    """Execute a notebook in a kernel of the server and return it with its outputs.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        A cell failed.
    """
    notebook: nbformat.NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]

    def on_cell_start(cell: nbformat.NotebookNode, cell_index: int) -> None:  # noqa: ARG001
        show_cell(cell)

    with kernel(server) as connection_file:
        client = ServerNotebook(notebook, connection_file, on_cell_start=on_cell_start)
        client.show = show
        client.execute()
    return notebook


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """Give a folder that only this account may read, removed at the end."""
    parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=parent, ignore_cleanup_errors=True) as folder:
        yield Path(folder)
