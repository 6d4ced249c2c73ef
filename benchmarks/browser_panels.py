"""How the panels keep up in a real browser, in front of a real server.

`.venv/bin/python dev/engine.py run -- .venv/bin/python -m benchmarks.browser_panels`,
or with `--only table` (repeatable) some of it.
"""

from __future__ import annotations

import argparse
import getpass
import json
import re
import statistics
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.bench import seconds
from dev.chromium import FLAGS, ensure_chromium
from dev.console import say
from dev.engine import cache_folder, engine, one_interrupt
from dev.engine_api import Endpoint
from dev.images import PYTHON_IMAGE, ensure_image
from dev.jupyter import temporary_folder
from nds_jupyter.jobs import Job, JobSpec, JobState, Limits, Phase, utc_now
from nds_jupyter.journal import Journal
from tests.browser.lab import TOKEN, Lab, running_lab, started

LINES = 100_000
JOBS = 10_000
ENTRIES = 100_000
REPEATS = 7

ENDED = re.compile(r"^[\d,]+ lines$")
"""What the panel says of a log that has come to its end."""

CLOCK = """
import time
for n in range(40):
    time.sleep(0.25)
    print("at", time.time(), flush=True)
"""

LONG_TASKS = """() => {
  window.longTasks = [];
  const began = performance.now();
  new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) {
      if (startTime >= began) window.longTasks.push(duration);
    }
  }).observe({type: "longtask", buffered: true});
}"""
"""Note the tasks over 50 ms that begin from now on; none is missed while the page is busy."""

LATENCY = """() => {
  window.latencies = [];
  const seen = new Set();
  const look = () => {
    for (const row of document.querySelectorAll(".nds-log-text")) {
      const at = /^at ([\\d.]+)$/.exec(row.textContent)?.[1];
      if (!at || seen.has(at)) continue;
      seen.add(at);
      window.latencies.push(Date.now() - Number(at) * 1000);
    }
    requestAnimationFrame(look);
  };
  look();
}"""

SCROLL = """async () => {
  const rows = document.querySelector(".nds-jobs .nds-table-rows");
  const frame = () => new Promise(requestAnimationFrame);
  const taken = [];
  await frame();
  for (let last = await frame(); taken.length < 400; ) {
    rows.scrollTop += rows.scrollHeight / 400;
    const now = await frame();
    taken.push(now - last);
    last = now;
  }
  return taken;
}"""

OPEN = """async () => {
  const panel = document.querySelector(".nds-data");
  const frame = () => new Promise(requestAnimationFrame);
  const buttons = () => [...panel.querySelectorAll("button")];
  const big = () => buttons().find(({ textContent }) => textContent === "big");
  while (!big()) await frame();
  const began = performance.now();
  big().click();
  const rows = panel.querySelector(".nds-table-rows");
  while (!rows.textContent.includes("entry-000000")) await frame();
  // The frame after the one that drew it begins when it was painted.
  await frame();
  const taken = performance.now() - began;
  panel.querySelector('[aria-label="Up to the parent collection"]').click();
  return taken / 1000;
}"""


def log_of_many_lines(lab: Lab, page: Page) -> Iterator[str]:
    """Show a long log as it comes."""
    script = f"for n in range({LINES}): print('line', n, 'x' * 60)"
    page.evaluate(LONG_TASKS)
    open_job(page, lab.submit(script, name="long log"))
    # A page that is too slow for it says which lines it passed over, and counts that as a line.
    shown = page.get_by_text(ENDED)
    shown.wait_for()
    tasks = page.evaluate("window.longTasks")
    longest = max(tasks, default=0)
    yield (
        f"{LINES:,} log lines as they come: longest task {longest:.0f} ms (goal 100), "
        f"{len(tasks)} over 50 ms, {shown.inner_text()} shown"
    )


def line_to_pixel(lab: Lab, page: Page) -> Iterator[str]:
    """Time lines from the container's print to the frame that shows them."""
    open_job(page, lab.submit(CLOCK, name="clock"))
    page.evaluate(LATENCY)
    page.get_by_text("40 lines").wait_for()
    # The first lines were there before the panel was.
    taken = page.evaluate("window.latencies")[5:]
    yield f"line printed to its pixel: median {statistics.median(taken):.0f} ms (goal 250)"


def table_of_many_jobs(lab: Lab, page: Page) -> Iterator[str]:
    """Scroll the table of jobs from its first to its last row."""
    del lab
    page.evaluate("jupyterapp.commands.execute('nds:show-nds-jobs')")
    page.locator(".nds-jobs .nds-count").get_by_text(str(JOBS), exact=True).wait_for()
    page.evaluate(LONG_TASKS)
    taken = page.evaluate(SCROLL)
    tasks = page.evaluate("window.longTasks")
    over = sum(each > 50 for each in taken)
    yield (
        f"table of {JOBS:,} jobs scrolled: longest of {len(taken)} frames {max(taken):.0f} ms "
        f"(goal 50), {over} over 50 ms, median {statistics.median(taken):.0f} ms, "
        f"longest task over 50 ms: {max(tasks, default=0):.0f} ms"
    )


def big_collection(lab: Lab, page: Page) -> Iterator[str]:
    """Open a collection, against the time of the route that lists it."""
    page.evaluate("jupyterapp.commands.execute('nds:show-nds-data')")
    page.locator(".nds-data").wait_for()
    painted, answered = [], []

    def route() -> object:
        return lab.server.ask("GET", "nds/list_data?path=/big&limit=200")

    for _ in range(REPEATS):
        painted.append(page.evaluate(OPEN))
        # The first one waits for what the page no longer wants.
        route()
        answered.append(seconds(route))
    ours, theirs = statistics.median(painted), statistics.median(answered)
    yield (
        f"collection of {ENTRIES:,} entries to its first paint: {ours * 1000:.0f} ms, "
        f"{ours / theirs:.2f} times the route's {theirs * 1000:.0f} ms (goal 2.5)"
    )


def open_job(page: Page, job_id: str) -> None:
    """Open a job's tab from the sidebar."""
    page.evaluate("jupyterapp.commands.execute('nds:show-nds-jobs')")
    page.evaluate(f"jupyterapp.commands.execute('nds:open-job', {json.dumps({'job_id': job_id})})")


def remember_jobs(folder: Path) -> None:
    """Write many jobs that have ended, and whose containers are gone, into the server's journal."""
    spec = JobSpec(
        scriptname="cell.py",
        script_sha256="0" * 64,
        script_shebang=False,
        image=PYTHON_IMAGE,
        limits=Limits(cpus=1, memory=2**30, pids=10),
    )
    now = utc_now()
    jobs = []
    for number in range(JOBS):
        began = now - timedelta(minutes=JOBS - number)
        job = Job(
            job_id=f"{number:016x}",
            owner=getpass.getuser(),
            spec=msgspec.structs.replace(spec, name=f"job {number}"),
            created=began,
            phase=Phase.FINISHED,
            state=JobState.FAILED if number % 7 == 0 else JobState.COMPLETED,
            exit_code=int(number % 7 == 0),
            container_id=f"{number:064x}",
            started=began,
            ended=began,
            finished=began + timedelta(seconds=number % 60),
            removed=now,
        )
        jobs.append(job)
    journal = Journal.open(folder / "data" / "nds")
    try:
        journal.add_all(jobs, b"pass")
        for job in jobs:
            journal.save(job)
    finally:
        journal.close()


def fill_collection(folder: Path) -> None:
    """Make the big collection."""
    big = folder / "collections" / "big"
    big.mkdir(parents=True)
    for number in range(ENTRIES):
        (big / f"entry-{number:06d}").touch()


MEASUREMENTS: dict[str, tuple[Callable[[Lab, Page], Iterator[str]], Callable[[Path], None]]] = {
    "log": (log_of_many_lines, lambda _: None),
    "pixel": (line_to_pixel, lambda _: None),
    "table": (table_of_many_jobs, remember_jobs),
    "collection": (big_collection, fill_collection),
}
"""By name: what measures it, and what makes its folder ready before the server starts."""


def measure(name: str, endpoint: Endpoint, browser: Browser) -> None:
    """Carry out one measurement, on a server and a page of its own."""
    carry_out, make_ready = MEASUREMENTS[name]
    with temporary_folder(cache_folder()) as folder:
        make_ready(folder)
        with running_lab(endpoint, folder) as lab:
            page = browser.new_page()
            page.set_default_timeout(120_000)
            page.goto(f"{lab.server.url}lab?token={TOKEN}&reset")
            for figure in carry_out(lab, started(page)):
                say(figure)
            page.close()


def main(words: list[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.browser_panels")
    parser.add_argument("--only", choices=MEASUREMENTS, action="append", help="repeatable")
    options = parser.parse_args(words)
    with one_interrupt(), engine() as endpoint, sync_playwright() as playwright:
        ensure_image(endpoint, PYTHON_IMAGE)
        path = ensure_chromium(Path(cache_folder()))
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        for name in options.only or MEASUREMENTS:
            measure(name, endpoint, browser)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
