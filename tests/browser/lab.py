"""One JupyterLab for the browser tests: the checkout's front end, a real server, a real engine."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from dev.engine_api import Endpoint
from dev.images import PYTHON_IMAGE
from dev.jupyter import Server, disable_announcements, free_port
from tests.servers import isolated_server

CHECKOUT = Path(__file__).resolve().parent.parent.parent
TOKEN = "browser-tests"

ARGUMENTS = (
    "--LabApp.expose_app_in_browser=True",
    f"--IdentityProvider.token={TOKEN}",
    "--NdsApp.max_running=4",
    "--NdsApp.max_gpus=2",
)


class Lab:
    """A JupyterLab server that can be restarted at the same address.

    Parameters
    ----------
    start
        Starts it.
    endpoint
        The engine of its jobs.
    data
        The folder that is its data root, unless it was given another.
    """

    def __init__(
        self,
        start: Callable[[], AbstractContextManager[Server]],
        endpoint: Endpoint,
        data: Path,
    ) -> None:
        self._start = start
        self.endpoint = endpoint
        self.data = data
        self._running: AbstractContextManager[Server] | None = None
        self.server: Server

    def start(self) -> None:
        self._running = self._start()
        self.server = self._running.__enter__()

    def stop(self) -> None:
        if self._running is not None:
            self._running.__exit__(None, None, None)
            self._running = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def submit(self, script: str, **fields: object) -> str:
        """Submit a job by the REST API, and return its id."""
        fields.setdefault("image_name", PYTHON_IMAGE)
        fields.setdefault("scriptname", "job.py")
        job = self.server.ask("POST", "nds/upload", {"script": script, **fields})
        return str(job["job_id"])

    def job(self, job_id: str) -> dict[str, Any]:
        return dict(self.server.ask("GET", f"nds/upload?job_id={job_id}"))

    def jobs(self) -> list[dict[str, Any]]:
        return list(self.server.ask("GET", "nds/jobs?limit=1000"))

    def clear(self) -> None:
        """Remove every job that may have a container."""
        for job in self.jobs():
            if job["removed"] is not None:
                continue
            self.server.ask("DELETE", f"nds/jobs/{job['job_id']}", timeout=60)


@contextmanager
def running_lab(
    endpoint: Endpoint,
    folder: Path,
    data_root: str = "",
    environment: Mapping[str, str] = MappingProxyType({}),
    *,
    image: str = PYTHON_IMAGE,
    arguments: Sequence[str] = (),
) -> Iterator[Lab]:
    """Run JupyterLab until the end of the block.

    Parameters
    ----------
    data_root
        A folder of its own where it is left out.
    environment
        Further variables of the server.
    image
        Of a job that names none.
    arguments
        Further arguments of the server.
    """
    port = free_port()
    extensions = folder / "labextensions" / "nds-jupyter"
    extensions.mkdir(parents=True)
    # The checkout's own files, whatever was installed before they changed.
    (extensions / "package.json").symlink_to(CHECKOUT / "labextension" / "package.json")
    (extensions / "static").symlink_to(CHECKOUT / "nds_jupyter" / "widgets" / "static")

    # Not "data": that is where Jupyter keeps its own.
    data = folder / "collections"
    data.mkdir(exist_ok=True)
    disable_announcements(folder)

    def start() -> AbstractContextManager[Server]:
        given = [
            *ARGUMENTS,
            *arguments,
            f"--LabApp.extra_labextensions_path={extensions.parent}",
            f"--NdsApp.data_root={data_root or data}",
        ]
        return isolated_server(
            endpoint,
            image,
            folder,
            given,
            application="jupyterlab",
            port=port,
            environment=environment,
        )

    lab = Lab(start, endpoint, data)
    lab.start()
    try:
        yield lab
        lab.clear()
    finally:
        lab.stop()


def started(page: Page, ours: str = "NDS Jobs") -> Page:
    """Wait until JupyterLab is there, with the tab of a sidebar.

    A container that starts on this machine changes its interfaces, and Chromium then drops what it
    is loading, JupyterLab's own files included; the page is loaded anew, as a user would.
    """
    tab = page.get_by_role("tab", name=ours)
    for _ in range(5):
        with contextlib.suppress(PlaywrightTimeout):
            tab.wait_for(timeout=20_000)
            page.wait_for_function("window.jupyterapp.restored.then(() => true)")
            # JupyterLab takes its splash away twice, and complains, if a theme is chosen before.
            page.locator("#jupyterlab-splash").wait_for(state="detached")
            if page.get_by_role("dialog", name="Error Loading Theme").count() == 0:
                return page
        page.reload()
    raise AssertionError(f"JupyterLab did not start with {ours} in it.")


def widen_sidebar(page: Page) -> None:
    """Drag the edge of the sidebar, so that every column has room."""
    sidebar = page.locator("#jp-left-stack").bounding_box()
    assert sidebar is not None
    x, y = sidebar["x"] + sidebar["width"], sidebar["y"] + sidebar["height"] / 2
    page.mouse.move(x + 1, y)
    page.mouse.down()
    page.mouse.move(x + 650, y, steps=4)
    page.mouse.up()
    expect(page.get_by_role("columnheader", name="Image")).to_be_visible()
