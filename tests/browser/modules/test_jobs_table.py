"""The table of jobs with ten thousand of them: its rows, its order, its keys."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.browser

JOBS = 10_000

OPEN = """async (many) => {
  const time = (minute) => new Date(Date.UTC(2026, 0, 1) + minute * 60_000).toISOString();
  const make = (n) => ({
    job_id: n.toString(16).padStart(16, "0"),
    name: `job ${n}`,
    scriptname: "cell.py",
    image: `image:${n % 3}`,
    worker: "here",
    state: n % 7 ? "COMPLETED" : "FAILED",
    phase: "finished",
    reason: n % 7 ? null : "exit",
    exit_code: n % 7 ? 0 : 1,
    message: "",
    created: time(n),
    started: time(n),
    finished: time(n + (n % 50)),
    limits: { cpus: 1, memory: 1, pids: 1 },
    progress: null,
  });
  window.make = make;
  window.jobs = new Map(Array.from({ length: many }, (_, n) => [make(n).job_id, make(n)]));
  window.opened = [];
  // The routes that a table asks, as a kernel answers them where no WebSocket reaches a server.
  const answer = async (url) => {
    const { pathname, searchParams } = new URL(url);
    if (pathname !== "/nds/jobs") return new Response("{}", { status: 404 });
    const from = Number(searchParams.get("cursor") ?? 0);
    const to = from + Number(searchParams.get("limit"));
    const newest = [...window.jobs.values()].reverse();
    const next = `<${pathname}?limit=${to - from}&cursor=${to}>; rel="next"`;
    const headers = to < newest.length ? { Link: next } : {};
    return new Response(JSON.stringify(newest.slice(from, to)), { headers });
  };
  const { JobStore } = await import("/job_store.js");
  const { JobsTable } = await import("/jobs_table.js");
  const url = `${location.origin}/nds`;
  const headers = () => ({});
  window.store = new JobStore({ url, isDirect: false, headers, fetch: answer });
  const openJob = (job) => window.opened.push(job.name);
  const nothing = () => {};
  const host = { openJob, openSubmit: nothing, notify: nothing, insertInCell: null };
  window.panel = new JobsTable(window.store, host);
  document.getElementById("place").append(window.panel.element);
  window.tell = (n, changes) => {
    const job = { ...make(n), ...changes };
    window.jobs.set(job.job_id, job);
    window.store.put(job);
  };
}"""

ACTIVE = """() => {
  const grid = document.querySelector("[role=grid]");
  const row = document.getElementById(grid.getAttribute("aria-activedescendant"));
  return row?.querySelector(".nds-job-name").textContent ?? null;
}"""

LAWFUL = """async (many) => {
  const { COLUMNS, SortedJobs } = await import("/sorted_jobs.js");
  const jobs = new Map();
  let seed = 1;
  const random = (below) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  const wrong = [];
  for (const { id: column } of COLUMNS) {
    if (column === "duration") continue;
    const order = new SortedJobs();
    const descending = random(2) === 1;
    order.query = { text: "", state: random(2) ? "completed" : "", column, descending };
    order.sort(jobs);
    for (let step = 0; step < many; step += 1) {
      const changed = new Set();
      for (let n = random(5); n >= 0; n -= 1) {
        const job = window.make(random(300));
        // Many of one value and one time: only the id tells them apart.
        const state = random(2) ? "COMPLETED" : "FAILED";
        const created = `2026-01-0${1 + random(3)}`;
        const other = { ...job, name: `name ${random(3)}`, created, state };
        if (random(4)) jobs.set(job.job_id, other);
        else jobs.delete(job.job_id);
        changed.add(job.job_id);
      }
      order.update(jobs, changed);
      const anew = new SortedJobs();
      anew.query = order.query;
      anew.sort(jobs);
      const ids = (each) => Array.from({ length: each.count }, (_, at) => each.at(at).job_id);
      const [some, all] = [ids(order), ids(anew)];
      const found = some.every((id, at) => order.indexOf(id) === at);
      if (some.join() !== all.join() || !found) wrong.push(`${column} ${step}`);
    }
  }
  return wrong;
}"""


@pytest.fixture
def page(bare_page: Page) -> Page:
    bare_page.evaluate(OPEN, JOBS)
    expect(bare_page.locator(".nds-jobs .nds-count").first).to_have_text(str(JOBS))
    return bare_page


@pytest.fixture
def grid(page: Page) -> Locator:
    return page.get_by_role("grid", name="Jobs")


def drawn(grid: Locator) -> list[int]:
    """Return the places of the drawn rows in the table, in the document's order."""
    script = "rows => rows.map((row) => Number(row.getAttribute('aria-rowindex')) - 2)"
    places: list[int] = grid.locator(".nds-row").evaluate_all(script)
    assert 0 < len(places) < 60
    assert places == list(range(places[0], places[0] + len(places)))
    return places


def names(grid: Locator) -> list[str]:
    drawn(grid)
    return grid.locator(".nds-row .nds-job-name").all_inner_texts()


def test_only_rows_in_view_are_drawn_and_in_order(page: Page, grid: Locator) -> None:
    expect(grid).to_have_attribute("aria-rowcount", str(JOBS + 1))
    assert names(grid)[:2] == ["job 9999", "job 9998"]
    rows = grid.get_by_role("rowgroup")
    for top in (36, 200, 36 * 5000, 36 * 4990, 36 * JOBS):
        rows.evaluate("(rows, top) => { rows.scrollTop = top; }", top)
        first = min(top // 36, JOBS - 1)
        expect(grid.locator(f'[aria-rowindex="{first + 2}"]')).to_be_visible()
        drawn(grid)
    assert names(grid)[-1] == "job 0"


def test_a_job_that_changes_finds_its_place(page: Page, grid: Locator) -> None:
    page.get_by_role("button", name="Name").click()
    expect(grid.locator(".nds-row .nds-job-name").first).to_have_text("job 0")
    assert names(grid)[:3] == ["job 0", "job 1", "job 10"]
    page.evaluate("window.tell(7000, { name: 'a new name' })")
    expect(grid.locator(".nds-row .nds-job-name").first).to_have_text("a new name")
    page.get_by_role("combobox", name="Filter jobs by state").select_option("stopped")
    expect(grid.locator(".nds-row")).to_have_count(0)
    page.evaluate("window.tell(7, { state: 'FAILED', reason: 'stopped' })")
    page.evaluate("window.tell(3, { state: 'FAILED', reason: 'stopped' })")
    expect(grid.locator(".nds-row .nds-job-name")).to_have_text(["job 3", "job 7"])
    expect(page.locator(".nds-jobs .nds-count").first).to_have_text(f"2 of {JOBS}")
    page.evaluate("window.tell(3, { state: 'COMPLETED' })")
    expect(grid.locator(".nds-row .nds-job-name")).to_have_text(["job 7"])


def test_order_is_the_same_whether_jobs_find_their_places_or_all_are_sorted(page: Page) -> None:
    assert page.evaluate(LAWFUL, 200) == []


def test_keys_go_through_all_rows_and_the_reader_is_told_which(page: Page, grid: Locator) -> None:
    page.get_by_role("combobox", name="Filter jobs by state").focus()
    for _ in range(7):
        # The heads' buttons lie between: the grid comes first, then they.
        page.keyboard.press("Tab")
        if grid.evaluate("grid => grid === document.activeElement"):
            break
    assert page.evaluate(ACTIVE) == "job 9999"
    for key, name in (
        ("ArrowDown", "job 9998"),
        ("End", "job 0"),
        ("ArrowUp", "job 1"),
        ("Home", "job 9999"),
        ("ArrowUp", "job 9999"),
        ("ArrowDown", "job 9998"),
    ):
        page.keyboard.press(key)
        assert page.evaluate(ACTIVE) == name
        expect(grid.locator('[aria-selected="true"]')).to_be_in_viewport()
        drawn(grid)
    page.keyboard.press("Enter")
    assert page.evaluate("window.opened") == ["job 9998"]

    # Out of view it is not pointed at, and the next key goes on from it.
    grid.get_by_role("rowgroup").evaluate("rows => { rows.scrollTop = 200_000; }")
    expect(grid).not_to_have_attribute("aria-activedescendant", "")
    page.wait_for_function("!document.querySelector('[role=grid] [aria-selected=true]')")
    assert page.evaluate(ACTIVE) is None
    page.keyboard.press("ArrowDown")
    assert page.evaluate(ACTIVE) == "job 9997"


def test_active_row_stays_the_same_job_and_its_buttons_keep_the_focus(
    page: Page, grid: Locator
) -> None:
    grid.focus()
    page.keyboard.press("ArrowDown")
    row = grid.locator('[aria-selected="true"]')
    row.get_by_role("button", name="Copy id").focus()
    page.evaluate("window.tell(10_000, { name: 'came later' })")
    expect(grid.locator(".nds-row .nds-job-name").first).to_have_text("came later")
    assert page.evaluate(ACTIVE) == "job 9998"
    expect(row.get_by_role("button", name="Copy id")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(grid).to_be_focused()
    assert page.evaluate(ACTIVE) == "job 9997"
    grid.locator('[aria-selected="true"]').get_by_role("button", name="Copy id").focus()
    grid.get_by_role("rowgroup").evaluate("rows => { rows.scrollTop = 200_000; }")
    expect(grid).to_be_focused()
    page.keyboard.press("ArrowUp")
    assert page.evaluate(ACTIVE) == "job 9998"


def test_a_row_has_its_buttons_when_it_is_pointed_at(page: Page, grid: Locator) -> None:
    rows = grid.locator(".nds-row")
    expect(rows.get_by_role("button")).to_have_count(0)
    rows.nth(3).hover()
    expect(rows.nth(3).get_by_role("button", name="Run again")).to_be_visible()
    expect(rows.nth(3).get_by_role("button", name="Stop")).to_be_disabled()
