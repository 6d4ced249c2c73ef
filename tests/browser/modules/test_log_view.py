"""What a page keeps of a log, and how it is searched and shown: a million lines, and long ones."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.browser

READY = """async () => {
  for (const name of ["log_buffer", "log_view"]) {
    Object.assign(window, await import(`/${name}.js`));
  }
  window.texts = (lines) => {
    const numbers = Array.from({ length: lines.end - lines.first }, (_, at) => lines.first + at);
    return numbers.map((line) => lines.styledLineAt(line).text);
  };
}"""

OPEN = """async (many) => {
  const answer = async (url, { signal }) => {
    const { pathname } = new URL(url);
    if (pathname !== "/nds/stdout") return new Response("[]");
    let n = 0;
    const more = new TextEncoder();
    const pull = (controller) => {
      const some = [];
      for (; n < many && some.length < 5000; n += 1) {
        const time = `2026-01-01T00:00:00.${String(n).padStart(9, "0")}Z`;
        const text = n % 1000 ? `line ${n}` : `\\u001b[31mline ${n}\\u001b[0m needle`;
        some.push(JSON.stringify({ stream: "stdout", time, text }));
      }
      controller.enqueue(more.encode(`${some.join("\\n")}\\n`));
      if (n === many) controller.close();
    };
    return new Response(new ReadableStream({ pull }));
  };
  const { JobStore } = await import("/job_store.js");
  const { LogView } = await import("/log_view.js");
  const { h } = await import("/dom.js");
  const url = `${location.origin}/nds`;
  const headers = () => ({});
  const store = new JobStore({ url, isDirect: false, headers, fetch: answer });
  store.put({ job_id: "a", phase: "finished" });
  const view = new LogView(store, "a");
  view.element.style.height = "100%";
  document.getElementById("place").append(h("div", { class: "nds" }, view.element));
}"""


@pytest.fixture
def page(bare_page: Page) -> Page:
    bare_page.evaluate(READY)
    return bare_page


def test_oldest_lines_go_and_the_others_keep_their_numbers(page: Page) -> None:
    kept = page.evaluate("""() => {
      const lines = new LogBuffer({ mostLines: 10_000 });
      for (let n = 0; n < 50_000; n += 1) lines.add(`line ${n}`, n, n % 2 === 1);
      const at = lines.end - 1;
      const last = [lines.textAt(at), lines.timeAt(at), lines.isStderr(at)];
      const text = lines.textAt(lines.first);
      return { first: lines.first, text, gone: lines.textAt(0), end: lines.end, last };
    }""")
    assert kept["end"] == 50_000
    assert 0 < kept["end"] - kept["first"] <= 10_000
    assert kept["text"] == f"line {kept['first']}"
    assert kept["gone"] == ""
    assert kept["last"] == ["line 49999", 49_999, True]


def test_long_lines_are_bounded_in_all_by_their_characters(page: Page) -> None:
    kept = page.evaluate("""() => {
      const lines = new LogBuffer({ mostCharacters: 10_000_000 });
      for (let n = 0; n < 100; n += 1) lines.add(`${n} ${"x".repeat(1_000_000)}`, n, false);
      return texts(lines).reduce((sum, { length }) => sum + length, 0);
    }""")
    assert 5_000_000 < kept <= 11_100_000


def test_a_line_in_pieces_is_one_line_and_ends_somewhere(page: Page) -> None:
    text = page.evaluate("""() => {
      const lines = new LogBuffer();
      lines.add("begin", 0, false, true);
      for (let n = 0; n < 600; n += 1) lines.extend("x".repeat(65_536), true);
      lines.extend("end", false);
      lines.add("next", 1, false);
      const [long, next] = texts(lines);
      return { start: long.slice(0, 6), end: long.slice(-60), length: long.length, next };
    }""")
    assert text["start"] == "beginx"
    assert text["end"].endswith("xx … the rest of this line is in the download only")
    assert text["length"] < 40_000_000
    assert text["next"] == "next"


@pytest.mark.parametrize(
    ("pieces", "shown", "marked"),
    [
        (["\x1b[32mgreen", " still\x1b[0m not"], "green still not", "green still"),
        (["10%\r20%\r", "30%"], "30%", ""),
        (["10%\r2", "0%\r"], "20%", ""),
        (["windows\r"], "windows", ""),
        (["a\tb\x07c"], "a\tb\ufffdc", ""),
        (["\x1b[31mred\rred still"], "red still", "red still"),
        (["\x1b]8;;http://example.org\x07link\x1b]8;;\x07"], "link", ""),
    ],
)
def test_a_line_shows_what_a_terminal_would(
    page: Page, pieces: list[str], shown: str, marked: str
) -> None:
    look = page.evaluate(
        """(pieces) => {
          const lines = new LogBuffer();
          lines.add(pieces[0], 0, false, pieces.length > 1);
          pieces.slice(1).forEach((piece, at) => lines.extend(piece, at < pieces.length - 2));
          return lines.styledLineAt(0);
        }""",
        pieces,
    )
    assert look["text"] == shown
    assert "".join(shown[span["start"] : span["end"]] for span in look["spans"] or []) == marked


def test_colour_goes_on_in_the_next_line_of_the_same_stream(page: Page) -> None:
    looks = page.evaluate("""() => {
      const lines = new LogBuffer();
      lines.add("\\u001b[32mgreen", 0, false);
      lines.add("from stderr", 0, true);
      lines.add("still", 0, false);
      lines.add("end\\u001b[m", 0, false);
      lines.add("plain", 0, false);
      const spans = [0, 1, 2, 3, 4].map((line) => lines.styledLineAt(line).spans?.[0]);
      return spans.map((span) => span?.className.trim() ?? "");
    }""")
    assert looks == ["nds-fg-2", "", "nds-fg-2", "nds-fg-2", ""]


def test_wrapped_rows_hold_every_character_once(page: Page) -> None:
    seen = page.evaluate("""async () => {
      const lines = new LogBuffer({ mostLines: 20_000 });
      const rows = new LogLayout(lines);
      rows.wrap(7);
      const all = () => {
        do { window.many = rows.measure(); } while (!rows.complete);
        let text = "";
        for (let row = 0; row < window.many; row += 1) {
          const { line, from, to } = rows.segmentAt(row);
          if (rows.rowOf(line, from) !== row) throw new Error(`row ${row}`);
          text += `${from ? "" : "|"}${lines.textAt(line).slice(from, to)}`;
        }
        return text === texts(lines).map((each) => `|${each}`).join("");
      };
      const add = (many) => {
        for (let n = 0; n < many; n += 1) lines.add("abcdefgh".repeat(n % 5), n, false);
      };
      add(5000);
      const right = [all()];
      lines.extend(" and more of it", false);
      right.push(all());
      add(30_000);
      right.push(all() && rows.droppedRows > 0);
      return right;
    }""")
    assert seen == [True, True, True]


def test_search_looks_a_turn_at_a_time_and_finds_all(page: Page) -> None:
    found = page.evaluate("""async () => {
      const lines = new LogBuffer();
      for (let n = 0; n < 1_000_000; n += 1) {
        lines.add(n % 1000 ? `line ${n}` : `\\u001b[1mNeed\\u001b[mle ${n}`, n, false);
      }
      let turns = 0;
      const search = new LogSearch(lines, () => { turns += 1; });
      search.start("needle");
      const early = search.summary;
      while (!search.done) await new Promise((resolve) => setTimeout(resolve));
      const first = search.step(1);
      const last = search.step(-1);
      return { early, turns, words: search.summary, first, last };
    }""")
    assert found["early"].endswith("…")
    assert found["turns"] > 2
    assert found["words"] == "1000 of 1000"
    assert found["first"] == {"line": 0, "character": 0}
    assert found["last"] == {"line": 999_000, "character": 0}


def test_search_forgets_lines_that_are_no_longer_kept(page: Page) -> None:
    kept = page.evaluate("""async () => {
      const lines = new LogBuffer({ mostLines: 10_000 });
      const search = new LogSearch(lines, () => {});
      const add = async (many) => {
        for (let n = 0; n < many; n += 1) lines.add("needle", n, false);
        search.resume();
        while (!search.done) await new Promise((resolve) => setTimeout(resolve));
      };
      search.start("needle");
      await add(9000);
      await add(9000);
      const first = search.step(1).line === lines.first;
      return { found: search.matches.length, kept: lines.end - lines.first, first };
    }""")
    assert kept["found"] == kept["kept"]
    assert kept["first"]


def opened(page: Page, many: int) -> Locator:
    page.evaluate(OPEN, many)
    log = page.get_by_role("log")
    expect(page.locator(".nds-log-status")).to_have_text(f"{many:,} lines")
    return log


def drawn(log: Locator) -> list[str]:
    texts = log.locator(".nds-log-text").all_inner_texts()
    assert 0 < len(texts) < 100
    return texts


def test_a_long_log_is_shown_searched_and_wrapped(page: Page) -> None:
    log = opened(page, 200_000)
    assert drawn(log)[-1] == "line 199999"
    search = page.get_by_role("searchbox", name="Search in the log")
    search.fill("needle")
    expect(page.locator(".nds-log-found")).to_have_text("200")
    search.press("Shift+Enter")
    expect(page.locator(".nds-log-found")).to_have_text("200 of 200")
    expect(log.locator(".nds-current")).to_have_text("line 199000 needle")
    expect(log.locator(".nds-current mark")).to_have_text("needle")
    expect(log.locator(".nds-current .nds-fg-1")).to_have_text("line 199000")
    page.get_by_role("button", name="Wrap long lines").click()
    page.get_by_role("button", name="Follow the end").click()
    expect(log.locator(".nds-log-text").last).to_have_text("line 199999")
    log.evaluate("log => { log.scrollTop = 0; }")
    expect(page.get_by_role("button", name="Follow the end")).to_have_attribute(
        "aria-pressed", "false"
    )
    numbers = [int(text.removeprefix("line ").removesuffix(" needle")) for text in drawn(log)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_log_goes_on_following_its_end_when_its_place_is_resized(page: Page) -> None:
    log = opened(page, 5000)
    follow = page.get_by_role("button", name="Follow the end")
    # A size a frame: what the list scrolls for one is told when it has the next.
    page.evaluate("""async () => {
      const place = document.getElementById("place");
      for (const height of [500, 400, 300, 200, 150, 600, 0, 500, 450, 0, 590]) {
        place.style.height = `${height}px`;
        await new Promise(requestAnimationFrame);
        await new Promise((resolve) => setTimeout(resolve));
      }
    }""")
    expect(log.get_by_text("line 4999", exact=True)).to_be_in_viewport()
    expect(follow).to_have_attribute("aria-pressed", "true")


def test_a_log_of_which_nothing_is_there_yet_is_followed_from_its_beginning(page: Page) -> None:
    asked = page.evaluate("""async () => {
      const { JobLog } = await import("/log_buffer.js");
      const time = "2026-01-01T00:00:00.000000001Z";
      const known = { empty: [], begun: [{ stream: "stdout", time, text: "line" }] };
      const asked = {};
      for (const [name, lines] of Object.entries(known)) {
        asked[name] = await new Promise((resolve) => {
          const api = { logLines: async function* () { yield lines; } };
          const watch = (_, { logSince }) => { resolve(logSince()); return () => {}; };
          new JobLog({ api, jobs: new Map(), watch }, "a");
        });
      }
      return asked;
    }""")
    assert asked == {
        "empty": "1970-01-01T00:00:00.000000000Z",
        "begun": "2026-01-01T00:00:00.000000001Z",
    }


def test_log_is_read_by_keys(page: Page) -> None:
    log = opened(page, 5000)
    log.focus()
    page.keyboard.press("Home")
    expect(log.locator(".nds-log-text").first).to_have_text("line 0 needle")
    follow = page.get_by_role("button", name="Follow the end")
    expect(follow).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("End")
    expect(log.locator(".nds-log-text").last).to_have_text("line 4999")
    expect(follow).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Control+f")
    expect(page.get_by_role("searchbox", name="Search in the log")).to_be_focused()
