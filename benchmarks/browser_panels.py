"""How the panels keep up in a real browser.

`.venv/bin/python dev/engine.py run -- .venv/bin/python -m benchmarks.browser_panels`
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from dev.chromium import FLAGS, ensure_chromium
from dev.console import say
from dev.engine import cache_folder, engine
from dev.images import PYTHON_IMAGE, ensure_image
from dev.jupyter import temporary_folder
from tests.browser.lab import TOKEN, Lab, running_lab, started

LINES = 100_000

CLOCK = """
import time
for n in range(40):
    time.sleep(0.25)
    print("at", time.time(), flush=True)
"""

LONG_TASKS = """() => {
  window.longest = 0;
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) {
      window.longest = Math.max(window.longest, duration);
    }
  }).observe({type: "longtask", buffered: true});
}"""

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


def log_of_many_lines(lab: Lab, page: Page) -> Iterator[str]:
    """Show a long log as it comes."""
    script = f"for n in range({LINES}): print('line', n, 'x' * 60)"
    open_job(page, lab.submit(script, name="long log"))
    page.evaluate(LONG_TASKS)
    page.get_by_text(f"{LINES:,} lines").wait_for()
    longest = page.evaluate("window.longest")
    yield f"{LINES:,} log lines as they come: longest task over 50 ms: {longest:.0f} ms (goal 100)"


def line_to_pixel(lab: Lab, page: Page) -> Iterator[str]:
    """Time lines from the container's print to the frame that shows them."""
    open_job(page, lab.submit(CLOCK, name="clock"))
    page.evaluate(LATENCY)
    page.get_by_text("40 lines").wait_for()
    # The first lines were there before the panel was.
    taken = page.evaluate("window.latencies")[5:]
    yield f"line printed to its pixel: median {statistics.median(taken):.0f} ms (goal 250)"


def open_job(page: Page, job_id: str) -> None:
    """Open a job's tab from the sidebar."""
    page.evaluate("jupyterapp.commands.execute('nds:show-nds-jobs')")
    page.evaluate(f"jupyterapp.commands.execute('nds:open-job', {{job_id: '{job_id}'}})")


def main() -> int:
    """Measure all, each on a page of its own."""
    with (
        engine() as endpoint,
        temporary_folder(cache_folder()) as folder,
        sync_playwright() as playwright,
    ):
        ensure_image(endpoint, PYTHON_IMAGE)
        path = ensure_chromium(Path(cache_folder()))
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        with running_lab(endpoint, folder) as lab:
            for measure in (log_of_many_lines, line_to_pixel):
                page = browser.new_page()
                page.set_default_timeout(120_000)
                page.goto(f"{lab.server.url}lab?token={TOKEN}&reset")
                for figure in measure(lab, started(page)):
                    say(figure)
                page.close()
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
