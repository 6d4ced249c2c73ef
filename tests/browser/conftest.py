"""JupyterLab in a real browser, in front of a real server and a real engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Locator,
    Page,
    Request,
    WebSocket,
    expect,
    sync_playwright,
)

from dev.chromium import FLAGS, ensure_chromium
from dev.engine import cache_folder
from dev.engine_api import Endpoint
from tests.browser.lab import CHECKOUT, TOKEN, Lab, running_lab, started
from tests.browser.notebooks import run_all_cells, write_notebook

SCREENSHOTS = CHECKOUT / "build" / "screenshots"
SLOW = 60_000
"""Milliseconds that a page may take on a loaded machine."""

NOT_OURS = re.compile(
    r"favicon|WebSocket connection|status of 4(00|09|12|22)"
    r"|ERR_(CONNECTION_REFUSED|CONNECTION_RESET|NETWORK_CHANGED|EMPTY_RESPONSE)"
    r"|TypeError: Failed to fetch\s.*static/lab/jlab_core"
)
"""What the browser logs where a server is away or says no, and what JupyterLab itself does then."""


@pytest.fixture(autouse=True)
def jp_asyncio_loop() -> None:
    """Replace pytest-jupyter's: the thread's event loop is Playwright's."""


@pytest.fixture(autouse=True)
def jp_server_cleanup() -> None:
    """Replace pytest-jupyter's, which needs that event loop."""


@pytest.fixture(scope="session")
def lab(docker_engine: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with running_lab(docker_engine, tmp_path_factory.mktemp("lab")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Not longer than a module: until it ends, no other event loop can run in this thread.
    path = ensure_chromium(cache_folder())
    expect.set_options(timeout=SLOW)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    # One for all pages of a module, so that JupyterLab's files come from its cache.
    made = browser.new_context()
    made.set_default_timeout(SLOW)
    yield made
    made.close()


class Watch:
    """Notes what no page may do: log an error, or ask another machine for something."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.foreign: list[str] = []
        self.expected = NOT_OURS
        self.event_sockets: list[str] = []

    def over(self, page: Page) -> None:
        page.on("console", self._note)
        page.on("pageerror", self._note_error)
        page.on("request", self._note_request)
        page.on("websocket", self._note_socket)

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not self.expected.search(
            message.text + message.location["url"]
        ):
            self.errors.append(f"{message.text} at {message.location}")

    def _note_error(self, error: Error) -> None:
        if not self.expected.search(str(error.stack)):
            self.errors.append(str(error.stack or error))

    def _note_socket(self, socket: WebSocket) -> None:
        if "/nds/events" in socket.url:
            self.event_sockets.append(socket.url)

    def _note_request(self, request: Request) -> None:
        if urlsplit(request.url).hostname not in {None, "127.0.0.1"}:
            self.foreign.append(request.url)


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Give what watches over pages, and complains at the end."""
    made = Watch()
    yield made
    assert made.errors == []
    assert made.foreign == []


@pytest.fixture
def open_page(lab: Lab, context: BrowserContext, watch: Watch) -> Iterator[Callable[..., Page]]:
    """Give a function that opens JupyterLab; no page may log an error."""
    pages = []

    def open_page(path: str = "lab", width: int = 1280, height: int = 800) -> Page:
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": height})
        pages.append(page)
        watch.over(page)
        page.goto(f"{lab.server.url}{path}?token={TOKEN}&reset")
        started(page)
        return page

    yield open_page
    for page in pages:
        page.close()


@pytest.fixture
def run_notebook(lab: Lab, open_page: Callable[..., Page]) -> Callable[..., Page]:
    """Give a function that opens a notebook of some cells and begins to run them."""

    def run_notebook(name: str, *cells: str) -> Page:
        write_notebook(lab.server, name, *cells)
        return run_all_cells(open_page(f"lab/tree/{name}.ipynb", height=1600))

    return run_notebook


@pytest.fixture
def shoot() -> Callable[[Page, str], Path]:
    """Give a function that keeps a screenshot as an artefact."""

    def shoot(page: Page, name: str) -> Path:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        page.screenshot(path=path, animations="disabled")
        return path

    return shoot


@pytest.fixture
def form(open_page: Callable[..., Page]) -> Locator:
    """Open the form, with the part that few jobs need."""
    page = open_page()
    page.evaluate("void jupyterapp.commands.execute('nds:new-job')")
    form = page.get_by_role("region", name="New job")
    form.get_by_text("More: command").click()
    return form
