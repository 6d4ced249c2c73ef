"""JupyterLab in a real browser, in front of a real server and a real engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    expect,
    sync_playwright,
)

from dev.chromium import FLAGS, ensure_chromium
from dev.engine import cache_folder
from dev.engine_api import Endpoint
from tests.browser.lab import CHECKOUT, TOKEN, Lab, running_lab, started

SCREENSHOTS = CHECKOUT / "build" / "screenshots"
SLOW = 60_000
"""Milliseconds that a page may take on a loaded machine."""

NOT_OURS = re.compile(
    r"favicon|WebSocket connection|status of 4(00|09|12)"
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


@pytest.fixture
def open_page(lab: Lab, context: BrowserContext) -> Iterator[Callable[..., Page]]:
    """Give a function that opens JupyterLab; no page may log an error."""
    errors: list[str] = []
    pages = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and not NOT_OURS.search(message.text + message.location["url"]):
            errors.append(f"{message.text} at {message.location}")

    def note_error(error: Error) -> None:
        if not NOT_OURS.search(str(error.stack)):
            errors.append(str(error.stack or error))

    def open_page(path: str = "lab", width: int = 1280, height: int = 800) -> Page:
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": height})
        pages.append(page)
        page.on("console", note)
        page.on("pageerror", note_error)
        page.goto(f"{lab.server.url}{path}?token={TOKEN}&reset")
        started(page)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert errors == []


@pytest.fixture
def shoot() -> Callable[[Page, str], Path]:
    """Give a function that keeps a screenshot as an artefact."""

    def shoot(page: Page, name: str) -> Path:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        page.screenshot(path=path, animations="disabled")
        return path

    return shoot
