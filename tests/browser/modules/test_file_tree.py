"""Trees: what a screen reader hears of them, their keys, and what stays after a refresh."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.browser

OPEN = """async () => {
  const { FileTree } = await import("/file_tree.js");
  const { h } = await import("/dom.js");
  window.asked = [];
  window.opened = [];
  const node = (path, folder, children) => {
    return { path, name: path.split("/").at(-1), folder, size: 5, mark: "", children };
  };
  window.roots = () => {
    return [node("/a", true, null), node("/b", true, null), node("/c", false, [])];
  };
  const many = (path) => {
    return Array.from({ length: 5000 }, (_, n) => node(`${path}/${n}`, n === 0, null));
  };
  window.tree = new FileTree({
    label: "Files",
    load: async ({ path }) => {
      window.asked.push(path);
      return window.broken ? null : many(path);
    },
    open: ({ path }) => window.opened.push(path),
    onSelect: () => {},
  });
  document.getElementById("place").append(h("div", { class: "nds" }, window.tree.element));
  window.tree.setRoots(window.roots());
}"""

ACTIVE = """() => {
  const tree = document.querySelector("[role=tree]");
  return document.getElementById(tree.getAttribute("aria-activedescendant"))?.dataset.path ?? null;
}"""


@pytest.fixture
def page(bare_page: Page) -> Page:
    bare_page.evaluate(OPEN)
    return bare_page


@pytest.fixture
def tree(page: Page) -> Locator:
    return page.get_by_role("tree", name="Files")


def item(tree: Locator, path: str) -> Locator:
    return tree.locator(f'[data-path="{path}"]')


def test_keys_open_close_and_go_through_a_tree(page: Page, tree: Locator) -> None:
    tree.focus()
    assert page.evaluate(ACTIVE) == "/a"
    page.keyboard.press("ArrowRight")
    expect(item(tree, "/a/0")).to_have_attribute("aria-level", "2")
    expect(item(tree, "/a")).to_have_attribute("aria-expanded", "true")
    for key, path in (
        ("ArrowRight", "/a/0"),
        ("ArrowDown", "/a/1"),
        ("End", "/c"),
        ("ArrowUp", "/b"),
        ("ArrowUp", "/a/4999"),
        ("ArrowLeft", "/a"),
    ):
        page.keyboard.press(key)
        assert page.evaluate(ACTIVE) == path
        expect(item(tree, path)).to_be_in_viewport()
    page.keyboard.press("ArrowLeft")
    expect(item(tree, "/a/0")).to_have_count(0)
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    assert page.evaluate("window.opened") == ["/c"]


def test_reader_hears_the_place_of_an_entry_though_few_are_drawn(page: Page, tree: Locator) -> None:
    item(tree, "/b").click()
    expect(item(tree, "/b/7")).to_have_accessible_name("7, 5 B")
    expect(item(tree, "/b/7")).to_have_attribute("aria-posinset", "8")
    expect(item(tree, "/b/7")).to_have_attribute("aria-setsize", "5000")
    expect(item(tree, "/b")).to_have_attribute("aria-posinset", "2")
    expect(item(tree, "/b")).to_have_attribute("aria-setsize", "3")
    paths = tree.get_by_role("treeitem").evaluate_all("rows => rows.map((row) => row.dataset.path)")
    assert len(paths) < 60
    assert paths[:4] == ["/a", "/b", "/b/0", "/b/1"]


def test_opened_folders_stay_open_when_the_tree_is_fetched_anew(page: Page, tree: Locator) -> None:
    item(tree, "/a").click()
    item(tree, "/a/0").click()
    expect(item(tree, "/a/0/0")).to_be_visible()
    page.evaluate("window.asked = []; window.tree.setRoots(window.roots())")
    expect(item(tree, "/a/0/0")).to_be_visible()
    assert page.evaluate("window.asked") == ["/a", "/a/0"]


def test_a_folder_that_could_not_be_loaded_is_asked_for_again(page: Page, tree: Locator) -> None:
    page.evaluate("window.broken = true")
    item(tree, "/a").click()
    expect(item(tree, "/a")).to_have_attribute("aria-expanded", "false")
    page.evaluate("window.broken = false")
    item(tree, "/a").click()
    expect(item(tree, "/a/0")).to_be_visible()


def test_what_lies_in_a_selected_folder_is_selected(page: Page, tree: Locator) -> None:
    item(tree, "/a").click()
    tree.get_by_role("checkbox", name="Select a", exact=True).check()
    expect(tree.get_by_role("checkbox", name="Select 3", exact=True)).to_be_checked()
    tree.focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate(ACTIVE) == "/a/0"
    page.keyboard.press("End")
    expect(tree.get_by_role("checkbox", name="Select b", exact=True)).not_to_be_checked()
