"""The virtual list: only what is in view is drawn."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.browser

HEIGHT = 20

MAKE = """async (height) => {
  const { VirtualList } = await import("/virtual_list.js");
  const { h } = await import("/dom.js");
  window.items = Array.from({ length: 10_000 }, (_, n) => n);
  window.rows = new VirtualList({
    height,
    key: (index) => window.items[index],
    make: () => {
      const button = h("button", { type: "button" });
      const element = h("div", { class: "nds-row" }, button);
      element.style.height = `${height}px`;
      return { element, update: (index) => { button.textContent = String(window.items[index]); } };
    },
    props: { tabIndex: 0 },
  });
  const list = h("div", { class: "nds" }, window.rows.element);
  document.getElementById("place").append(list);
  window.rows.setCount(window.items.length);
  // Two frames: the one that lays it out and tells its size, and the one after.
  window.drawn = async () => {
    for (let n = 0; n < 2; n += 1) await new Promise(requestAnimationFrame);
  };
  await window.drawn();
}"""

STAND = """async () => {
  await window.drawn();
  const view = window.rows.element.getBoundingClientRect();
  return [...window.rows.element.querySelectorAll(".nds-row")].map((row) => {
    const { top } = row.getBoundingClientRect();
    return { text: row.textContent, top: top - view.top };
  });
}"""
"""The rows in the document's order, and how far each is below the top of the view."""


@pytest.fixture
def page(bare_page: Page) -> Page:
    bare_page.evaluate(MAKE, HEIGHT)
    return bare_page


def stand(page: Page) -> list[dict[str, Any]]:
    rows = page.evaluate(STAND)
    assert len(rows) < 60, "more rows in the document than a view and what is near it"
    tops = [row["top"] for row in rows]
    assert tops == sorted(tops), "not in the order in which they are seen"
    assert all(after - before == HEIGHT for before, after in pairwise(tops))
    return list(rows)


def scroll(page: Page, to: int) -> None:
    page.evaluate("to => { window.rows.element.scrollTop = to; }", to)


@pytest.mark.parametrize(
    "places",
    [
        (20, 40, 60, 200, 500, 480, 0),
        (100_000, 100_020, 99_900, 199_400, 7, 0),
    ],
    ids=["near", "far"],
)
def test_rows_stand_in_the_document_as_they_are_seen(page: Page, places: tuple[int, ...]) -> None:
    for place in places:
        scroll(page, place)
        rows = stand(page)
        assert [int(row["text"]) for row in rows] == list(
            range(int(rows[0]["text"]), int(rows[0]["text"]) + len(rows))
        )
        seen = next(row for row in rows if row["top"] > -HEIGHT)
        assert int(seen["text"]) == place // HEIGHT
        assert rows[-1]["top"] >= 600 - HEIGHT, "the view is not filled"


def test_a_row_keeps_its_element_and_its_focus_when_others_come_before_it(page: Page) -> None:
    page.evaluate("""() => {
      window.third = document.querySelectorAll(".nds-row")[2];
      window.third.querySelector("button").focus();
      window.items.unshift("new", "newer");
      window.rows.setCount(window.items.length);
    }""")
    assert [row["text"] for row in stand(page)][:6] == ["new", "newer", "0", "1", "2", "3"]
    assert page.evaluate("document.activeElement.parentNode === window.third")
    page.evaluate("""() => {
      window.items.reverse();
      window.items.splice(0, 0, 2);
      window.rows.setCount((window.items.length = 40));
    }""")
    assert [row["text"] for row in stand(page)][:2] == ["2", "9999"]
    assert page.evaluate("document.activeElement === window.third.querySelector('button')")


def test_keys_go_on_in_the_list_when_the_row_that_had_the_focus_leaves(page: Page) -> None:
    focus = "document.querySelectorAll('.nds-row button')[3].focus()"
    for place in (300, 100_000):
        scroll(page, 0)
        stand(page)
        page.evaluate(focus)
        scroll(page, place)
        stand(page)
        assert page.evaluate("document.activeElement === window.rows.element")


def test_what_is_in_view_stays_there_when_rows_before_it_vanish(page: Page) -> None:
    scroll(page, 2007)
    before = [row for row in stand(page) if row["top"] >= 0]
    page.evaluate("window.items.splice(0, 60); window.rows.setCount(window.items.length, 60)")
    after = [row for row in stand(page) if row["top"] >= 0]
    assert after[:10] == before[:10]


def test_list_comes_back_to_its_place_after_it_was_out_of_the_document(page: Page) -> None:
    scroll(page, 5000)
    before = stand(page)
    page.evaluate("""async () => {
      const { parentNode } = window.rows.element;
      window.rows.element.remove();
      await window.drawn();
      parentNode.append(window.rows.element);
    }""")
    page.wait_for_function("window.rows.element.scrollTop === 5000")
    assert stand(page) == before


def test_list_follows_its_end_until_somebody_scrolls(page: Page) -> None:
    page.evaluate("window.rows.following = true; window.rows.scrollToEnd()")
    add = "window.items.push(...Array.from({ length: 100 }, (_, n) => `more ${n}`));"
    page.evaluate(f"{add} window.rows.setCount(window.items.length)")
    assert stand(page)[-1]["text"] == "more 99"
    assert stand(page)[-1]["top"] == 600 - HEIGHT


def test_more_rows_than_a_browser_is_tall_are_all_reached(page: Page) -> None:
    page.evaluate("""() => {
      window.items = Array.from({ length: 3_000_000 }, (_, n) => n);
      window.rows.setCount(window.items.length);
    }""")
    for wanted in (0, 1, 1_234_567, 2_999_999):
        page.evaluate("index => window.rows.scrollToRow(index)", wanted)
        (row,) = [row for row in stand(page) if row["text"] == str(wanted)]
        assert -HEIGHT < row["top"] < 600
