"""A log of more than a million lines, of a real job: read, gone through and searched."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.lab import Lab

pytestmark = [pytest.mark.browser, pytest.mark.engine]

LINES = 1_020_000
KEPT = 1_000_000
BLOCK = 4096
"""The oldest lines go in blocks, so that the page has a block more or less of them."""

PATIENCE = 240_000
LONGEST_PAUSE = 2_000
"""Milliseconds: a tab that does not freeze. How smooth it is the benchmark `panel-million` says."""

MOST_MEMORY = 250 * 2**20
"""Bytes of the page's heap more than before: lines of some 10 characters, and their times."""

SCRIPT = f"""
import sys
for start in range(0, {LINES}, 10_000):
    sys.stdout.write("".join(f"row {{n}}\\n" for n in range(start, start + 10_000)))
"""

PULSE = """() => {
  window.longestPause = 0;
  let last = performance.now();
  const channel = new MessageChannel();
  const beat = () => {
    const now = performance.now();
    window.longestPause = Math.max(window.longestPause, now - last);
    last = now;
    setTimeout(() => channel.port2.postMessage(null), 10);
  };
  channel.port1.onmessage = beat;
  beat();
}"""

SEEN = """() => {
  const log = document.querySelector(".nds-log-rows");
  const view = log.getBoundingClientRect();
  return [...log.querySelectorAll(".nds-log-text")]
    .filter((text) => {
      const { top, bottom } = text.getBoundingClientRect();
      return top >= view.top && bottom <= view.bottom;
    })
    .map((text) => Number(/^row (\\d+)$/.exec(text.textContent)?.[1]));
}"""


@pytest.fixture
def memory(open_page: Callable[..., Page]) -> Callable[[Page], int]:
    """Give a function that says how much of a page's heap is in use, after a collection."""

    def used(page: Page) -> int:
        line = page.context.new_cdp_session(page)
        line.send("HeapProfiler.collectGarbage")
        size = int(line.send("Runtime.getHeapUsage")["usedSize"])
        line.detach()
        return size

    return used


def scroll(page: Page, log: Locator, part: float) -> list[int]:
    """Scroll to a part of the whole, and return the numbers of the lines that are seen then."""
    log.evaluate("(log, part) => { log.scrollTop = log.scrollHeight * part; }", part)
    page.evaluate(
        "async () => { for (let n = 0; n < 3; n += 1) await new Promise(requestAnimationFrame); }"
    )
    numbers: list[int] = page.evaluate(SEEN)
    assert len(numbers) > 10, "the view is not filled"
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    return numbers


def test_a_million_lines_are_opened_gone_through_and_searched(
    lab: Lab, open_page: Callable[..., Page], memory: Callable[[Page], int]
) -> None:
    job_id = lab.submit(SCRIPT, name="a million lines")
    path = f"nds/upload?job_id={job_id}&wait=30"
    while lab.server.ask("GET", path, timeout=120)["phase"] != "finished":
        pass
    page = open_page()
    page.set_default_timeout(PATIENCE)
    before = memory(page)
    page.evaluate(PULSE)
    page.get_by_role("tab", name="NDS Jobs").click()
    page.locator(f'[data-job="{job_id}"]').click()
    panel = page.get_by_role("region", name="NDS job", exact=True)
    log = panel.get_by_role("log")
    ended = panel.get_by_text(re.compile(rf"^{LINES:,} lines, the last [\d,]+ here$"))
    expect(ended).to_be_visible(timeout=PATIENCE)

    # The end, the beginning of what is kept, and places between.
    assert page.evaluate(SEEN)[-1] == LINES - 1
    first = scroll(page, log, 0)[0]
    assert abs(LINES - first - KEPT) <= BLOCK
    for part in (0.25, 0.5, 0.75):
        expected = first + (LINES - first) * part
        assert abs(scroll(page, log, part)[0] - expected) < 100
    assert log.locator(".nds-log-row").count() < 200

    panel.get_by_role("searchbox", name="Search in the log").fill("ROW 99999")
    found = panel.locator(".nds-log-found")
    # 99999 and 999990 to 999999.
    expect(found).to_have_text("11", timeout=PATIENCE)
    panel.get_by_role("button", name="Previous match").click()
    expect(log.locator(".nds-current mark")).to_have_text("row 99999")
    expect(log.locator(".nds-current")).to_have_text("row 999999")
    assert page.evaluate("window.longestPause") < LONGEST_PAUSE
    # The collection of garbage that comes first is a pause of its own.
    assert memory(page) - before < MOST_MEMORY
