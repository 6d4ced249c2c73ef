"""How the panels keep up in a real browser, in front of a real server: the parts `panel-…`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from benchmarks.bench import seconds
from benchmarks.filled import ENTRIES, JOBS, fill_collection, remember_jobs
from benchmarks.page_scripts import EMPTY_TAB, LATENCY, LONG_TASKS, OPEN, RUN, SCROLL
from benchmarks.report import Figure, median
from dev.chromium import FLAGS, ensure_chromium
from dev.engine import cache_folder
from dev.engine_api import Endpoint
from dev.jupyter import temporary_folder
from tests.browser.lab import TOKEN, Lab, running_lab, started

LINES = 100_000
MANY_LINES = 1_000_000
FRAMES = 400
PATIENCE = 600_000
"""Milliseconds that a page may take."""

ENDED = re.compile(r"^[\d,]+ lines(, the last [\d,]+ here)?$")
"""What the panel says of a log that has come to its end."""

CLOCK = """
import time
for n in range(40):
    time.sleep(0.25)
    print("at", time.time(), flush=True)
"""


@dataclass(frozen=True, kw_only=True)
class Panels:
    """A running server and a page of it.

    Parameters
    ----------
    repeats, scale
        As for the other measurements.
    """

    lab: Lab
    page: Page
    repeats: int
    scale: float

    def scaled(self, size: int) -> int:
        """Return a size for this run."""
        return max(1, int(size * self.scale))


def longest_task(what: str, page: Page, at_most: float | None = 1.0) -> Figure:
    """Return the longest task since they are noted, against the goal; none is noted below 50 ms."""
    tasks = page.evaluate("window.takeLongTasks()")
    return Figure(
        what=f"{what}: longest of {len(tasks)} tasks over 50 ms",
        rival="100 ms",
        ours=max(tasks, default=0),
        theirs=100,
        unit="ms",
        at_most=at_most,
    )


def empty_tab(page: Page) -> Figure:
    """Return the longest task of a tab with nothing in it, opened by the same means as a job's.

    It comes after what is measured, so that nothing of JupyterLab's is made ready by it.
    """
    page.evaluate(LONG_TASKS)
    page.evaluate(EMPTY_TAB)
    return longest_task("beside it: an empty tab of JupyterLab opened", page, at_most=None)


def come_to_rest(page: Page) -> None:
    """Collect what JupyterLab's start and the jobs' arrival left, and let the browser tidy up.

    A collection of that, 30 ms of work over a heap that is JupyterLab's for the greater part, would
    fall into the frames that are measured; what these leave themselves is collected among them.
    """
    page.context.new_cdp_session(page).send("HeapProfiler.collectGarbage")
    page.wait_for_timeout(1000)


def log_as_it_comes(panels: Panels) -> Iterator[Figure]:
    """Show a long log as it comes."""
    lab, page = panels.lab, panels.page
    lines = panels.scaled(LINES)
    script = f"for n in range({lines}): print('line', n, 'x' * 60)"
    page.evaluate(LONG_TASKS)
    open_job(page, lab.submit(script, name="long log"))
    # A page that is too slow for it says which lines it passed over, and counts that as a line.
    shown = page.get_by_text(ENDED)
    shown.wait_for()
    yield longest_task(f"{lines:,} log lines as they come ({shown.inner_text()} shown)", page)
    yield empty_tab(page)


def log_of_a_million_lines(panels: Panels) -> Iterator[Figure]:
    """Open the log of a job that has ended, and search in all of it."""
    lab, page = panels.lab, panels.page
    lines = panels.scaled(MANY_LINES)
    script = f"for n in range({lines}): print('line', n, 'x' * 60)"
    job_id = lab.submit(script, name="a million lines")
    path = f"nds/upload?job_id={job_id}&wait=30"
    while lab.server.ask("GET", path, timeout=120)["phase"] != "finished":
        pass
    page.evaluate(LONG_TASKS)
    open_job(page, job_id)
    page.get_by_text(ENDED).wait_for()
    yield longest_task(f"log of {lines:,} lines opened", page)
    page.evaluate(LONG_TASKS)
    page.get_by_role("searchbox", name="Search in the log").fill("LINE 99")
    page.locator(".nds-log-found").get_by_text(re.compile(r"^\d+$")).wait_for()
    yield longest_task("the same searched", page)


def line_to_pixel(panels: Panels) -> Iterator[Figure]:
    """Time lines from the container's print to the frame that shows them."""
    page = panels.page
    open_job(page, panels.lab.submit(CLOCK, name="clock"))
    page.evaluate(LATENCY)
    page.get_by_text("40 lines").wait_for()
    yield Figure(
        what="a line from its print to its pixel",
        rival="250 ms",
        # The first lines were there before the panel was.
        ours=median(page.evaluate("window.latencies")[5:]),
        theirs=250,
        unit="ms",
        at_most=1.0,
    )


def table_of_many_jobs(panels: Panels) -> Iterator[Figure]:
    """Scroll the table of jobs from its first to its last row."""
    page = panels.page
    run_command(page, "nds:show-nds-jobs")
    page.locator(".nds-jobs .nds-count").get_by_text(str(JOBS), exact=True).wait_for()
    come_to_rest(page)
    taken = page.evaluate(SCROLL, FRAMES)
    over = sum(each > 50 for each in taken)
    yield Figure(
        what=f"table of {JOBS:,} jobs scrolled: longest frame ({over} of {FRAMES} over 50 ms)",
        rival="50 ms",
        ours=max(taken),
        theirs=50,
        unit="ms",
        at_most=1.0,
    )
    yield Figure(
        what="the same: median frame",
        rival="a display's 16.7 ms",
        ours=median(taken),
        theirs=16.7,
        unit="ms",
    )


def big_collection(panels: Panels) -> Iterator[Figure]:
    """Open a collection, against the time of the route that lists it."""
    lab, page = panels.lab, panels.page
    run_command(page, "nds:show-nds-data")
    page.locator(".nds-data").wait_for()
    painted, answered = [], []

    def route() -> object:
        return lab.server.ask("GET", "nds/list_data?path=/big&limit=200")

    for _ in range(panels.repeats + 2):
        painted.append(page.evaluate(OPEN))
        # The first one waits for what the page no longer wants.
        route()
        answered.append(seconds(route))
    yield Figure(
        what=f"collection of {ENTRIES:,} entries to its first paint",
        rival="the route that lists it",
        ours=median(painted) * 1000,
        theirs=median(answered) * 1000,
        unit="ms",
        at_most=2.5,
    )


def run_command(page: Page, command: str, arguments: dict[str, str] | None = None) -> None:
    """Run a command of JupyterLab.

    What it returns, often a widget with all that hangs on it, stays in the page: to make it ready
    for this process is a task of its own, of hundreds of milliseconds.
    """
    page.evaluate(RUN, [command, arguments or {}])


def open_job(page: Page, job_id: str) -> None:
    """Open a job's tab from the sidebar."""
    run_command(page, "nds:show-nds-jobs")
    run_command(page, "nds:open-job", {"job_id": job_id})


PARTS: dict[str, tuple[Callable[[Panels], Iterator[Figure]], Callable[[Path], None]]] = {
    "panel-log": (log_as_it_comes, lambda _: None),
    "panel-million": (log_of_a_million_lines, lambda _: None),
    "panel-pixel": (line_to_pixel, lambda _: None),
    "panel-table": (table_of_many_jobs, remember_jobs),
    "panel-collection": (big_collection, fill_collection),
}
"""By name: what measures it, and what makes its folder ready before the server starts."""


def measure(name: str, endpoint: Endpoint, repeats: int, scale: float) -> list[Figure]:
    """Carry out one measurement, on a server, in a browser and on a page of its own."""
    carry_out, make_ready = PARTS[name]
    path = ensure_chromium(Path(cache_folder()))
    with temporary_folder(cache_folder()) as folder:
        make_ready(folder)
        # Until the browser ends, no other event loop can run in this thread.
        with running_lab(endpoint, folder) as lab, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
            page = browser.new_page()
            page.set_default_timeout(PATIENCE)
            page.goto(f"{lab.server.url}lab?token={TOKEN}&reset")
            panels = Panels(lab=lab, page=started(page), repeats=repeats, scale=scale)
            # JupyterLab has much to do after it says that it has started, which is not ours.
            page.wait_for_load_state("networkidle")
            page.evaluate("() => new Promise((resolve) => requestIdleCallback(() => resolve()))")
            figures = list(carry_out(panels))
            browser.close()
    return figures
