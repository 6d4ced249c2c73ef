"""A notebook without a page: a kernel that a real Jupyter server started, and its messages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty
from typing import Any
from urllib.parse import quote

from jupyter_client.blocking.client import BlockingKernelClient

from dev.jupyter import Server
from nds_jupyter.client import Client
from tests.waiting import wait_until

DEADLINE = 120.0
"""Seconds for a cell; the machine may be busy with other tests."""


@dataclass
class Cell:
    """What a cell showed, in the order in which it came."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    reply: dict[str, Any] = field(default_factory=dict)

    def _streams(self, *names: str) -> str:
        return "".join(
            message["content"]["text"]
            for message in self.messages
            if message["msg_type"] == "stream" and message["content"]["name"] in names
        )

    @property
    def stdout(self) -> str:
        return self._streams("stdout")

    @property
    def stderr(self) -> str:
        return self._streams("stderr")

    @property
    def log(self) -> str:
        return self._streams("stdout", "stderr")

    @property
    def status(self) -> list[str]:
        """What the line of status said, one after the other."""
        return [
            message["content"]["data"]["text/plain"]
            for message in self.messages
            if message["msg_type"] in {"display_data", "update_display_data"}
        ]

    @property
    def value(self) -> dict[str, str]:
        """The cell's value in its forms, by MIME type; empty where there is none."""
        for message in self.messages:
            if message["msg_type"] == "execute_result":
                data: dict[str, str] = message["content"]["data"]
                return data
        return {}

    @property
    def text(self) -> str:
        return self.value.get("text/plain", "")

    @property
    def error(self) -> dict[str, Any]:
        assert self.reply["status"] == "error", self.messages
        return self.reply

    @property
    def shown_error(self) -> str:
        return "\n".join(self.error["traceback"])

    def must_succeed(self) -> Cell:
        assert self.reply["status"] == "ok", "\n".join(self.reply.get("traceback", []))
        return self


class Notebook:
    """Runs cells one after the other in one kernel of a server."""

    def __init__(self, server: Server, kernel_id: str, client: BlockingKernelClient) -> None:
        self.server = server
        self.kernel_id = kernel_id
        self._client = client

    def start(self, code: str, **options: Any) -> str:
        """Send a cell and return the id of the request."""
        sent: str = self._client.execute(code, **{"allow_stdin": False, **options})
        return sent

    def run_asked(self, code: str, *answers: str) -> tuple[Cell, list[tuple[str, bool]]]:
        """Run a cell that asks, and answer; return it, and the prompts with whether they hide."""
        sent = self.start(code, allow_stdin=True)
        prompts = []
        for answer in answers:
            content = self._client.get_stdin_msg(timeout=DEADLINE)["content"]
            prompts.append((content["prompt"], content["password"]))
            self._client.input(answer)
        return self.finish(sent), prompts

    def finish(self, sent: str, on_message: Callable[[Cell], None] = lambda _cell: None) -> Cell:
        """Collect what a cell shows until its end; `on_message` sees it grow."""
        cell = Cell()
        until = time.monotonic() + DEADLINE
        while True:
            try:
                message = self._client.get_iopub_msg(timeout=max(0.1, until - time.monotonic()))
            except Empty:
                raise AssertionError(f"The cell did not end; it showed {cell.messages}") from None
            if message["parent_header"].get("msg_id") != sent:
                continue
            if message["msg_type"] == "status":
                if message["content"]["execution_state"] == "idle":
                    break
                continue
            cell.messages.append(message)
            on_message(cell)
        while True:
            reply = self._client.get_shell_msg(timeout=DEADLINE)
            if reply["parent_header"].get("msg_id") == sent:
                cell.reply = reply["content"]
                return cell

    def wait_for(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the first message of a kind that comes while no cell runs."""
        until = time.monotonic() + DEADLINE
        while True:
            try:
                message: dict[str, Any] = self._client.get_iopub_msg(
                    timeout=max(0.1, until - time.monotonic())
                )
            except Empty:
                raise AssertionError("The message did not come.") from None
            if wanted(message):
                return message

    def run(self, code: str, **options: Any) -> Cell:
        """Run a cell to its end."""
        return self.finish(self.start(code, **options))

    def value(self, expression: str) -> str:
        """Return the text of an expression's value."""
        return self.run(expression).must_succeed().text

    def interrupt(self) -> None:
        """Press the interrupt button."""
        self.server.ask("POST", f"api/kernels/{self.kernel_id}/interrupt")

    def restart(self) -> None:
        """Restart the kernel; every variable is gone."""
        self.server.ask("POST", f"api/kernels/{self.kernel_id}/restart", timeout=DEADLINE)
        self.close()
        self._client = connect(self.server, self.kernel_id)

    def close(self) -> None:
        """Leave the kernel alone."""
        self._client.stop_channels()

    def complete(self, code: str) -> list[str]:
        """Return what pressing tab at the end of a text offers."""
        return list(self.offered(code))

    def offered(self, code: str, cursor: int | None = None) -> dict[str, str]:
        """Return what pressing tab offers, and what JupyterLab shows beside each.

        Parameters
        ----------
        cursor
            Where; at the end of the text if left out.
        """
        sent = self._client.complete(code, len(code) if cursor is None else cursor)
        while True:
            reply = self._client.get_shell_msg(timeout=DEADLINE)
            if reply["parent_header"].get("msg_id") == sent:
                types = reply["content"]["metadata"].get("_jupyter_types_experimental", ())
                what = {each["text"]: _breakable(each["type"]) for each in types}
                return {match: what.get(match, "") for match in reply["content"]["matches"]}

    def must_offer(self, code: str, wanted: dict[str, str]) -> None:
        """Press tab until this is offered: it does not wait long for the server's answer."""
        shown: list[dict[str, str]] = []

        def reached() -> bool:
            shown.append(self.offered(code))
            return shown[-1] == wanted

        wait_until(reached, lambda: shown[-1])

    def jobs(self) -> list[dict[str, Any]]:
        """Return the jobs that the server knows, newest first."""
        listed: list[dict[str, Any]] = self.server.ask("GET", "nds/jobs")
        return listed

    def started_job(self, name: str) -> dict[str, Any]:
        """Return the job of this name once its script has begun."""
        until = time.monotonic() + DEADLINE
        while time.monotonic() < until:
            for job in self.jobs():
                if job["name"] == name and job["started"]:
                    return job
            time.sleep(0.1)
        raise AssertionError(f"The job {name} did not begin; there are {self.jobs()}")


def _breakable(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u2011", "-")


def store(server: Server, path: str, text: str = "text") -> None:
    """Put an object into the data root, with the collections above it."""
    above, _, _ = path.rpartition("/")
    with Client(server.url, server.token) as client:
        client.data.mkdir(above)
    server.ask("PUT", f"nds/data{quote(path)}", text)


@contextmanager
def open_notebook(
    server: Server, *, loaded: bool = True, kernel_id: str = ""
) -> Iterator[Notebook]:
    """Start a kernel through the server, as JupyterLab does, and end it.

    Parameters
    ----------
    loaded
        Whether the extension is loaded.
    kernel_id
        One that the server has started already.
    """
    kernel_id = kernel_id or server.ask("POST", "api/kernels", {"name": "python3"})["id"]
    try:
        notebook = Notebook(server, kernel_id, connect(server, kernel_id))
        try:
            if loaded:
                notebook.run("%load_ext nds_jupyter").must_succeed()
            yield notebook
        finally:
            notebook.close()
    finally:
        server.ask("DELETE", f"api/kernels/{kernel_id}")


def connect(server: Server, kernel_id: str) -> BlockingKernelClient:
    """Return a client of a kernel that is ready."""
    until = time.monotonic() + DEADLINE
    while True:
        client = BlockingKernelClient(
            connection_file=str(server.runtime_folder / f"kernel-{kernel_id}.json")
        )
        client.load_connection_file()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=DEADLINE)
        except RuntimeError:
            # On a busy machine a kernel misses heartbeats while it starts.
            client.stop_channels()
            if time.monotonic() > until:
                raise
        else:
            return client
