/** A row of the data browser, and the way to the collection that it lies in. */

/** @import { DataEntry } from "./types.js" */
/** @import { Order } from "./listing.js" */
import { h, setAttribute, setText } from "./dom.js";
import { ageText, sizeText, timeText } from "./format.js";
import { changeIcon, icon } from "./icons.js";

/**
 * @param {object} options
 * @param {(index: number) => DataEntry} options.entryAt
 * @param {(index: number) => boolean} options.isActive
 * @param {(index: number) => void} options.choose
 * @param {(index: number) => void} options.enter
 */
export function makeEntryRow({ entryAt, isActive, choose, enter }) {
  let at = -1;
  const symbol = icon("file");
  const name = h("button", { type: "button", class: "nds-entry-name", tabIndex: -1 });
  name.addEventListener("click", (event) => {
    event.stopPropagation();
    enter(at);
  });
  const cells = ["name", "size", "modified"].map((column) => h("div", { class: `nds-cell nds-col-${column}`, role: "gridcell" }));
  cells[0].append(symbol, name);
  const element = h("div", { class: "nds-row nds-dataRow", role: "row", onclick: () => choose(at), ondblclick: () => enter(at) }, ...cells);

  /** @param {number} index */
  function update(index) {
    at = index;
    const entry = entryAt(index);
    if (!entry) return;
    const collection = entry.kind === "collection";
    changeIcon(symbol, collection ? "folder" : "file");
    setText(name, entry.name);
    setText(cells[1], collection ? "" : sizeText(entry.size));
    setText(cells[2], ageText(entry.modified));
    setAttribute(cells[2], "title", timeText(entry.modified));
    setAttribute(element, "title", entry.path);
    setAttribute(element, "data-path", entry.path);
    setAttribute(element, "aria-rowindex", String(index + 2));
    setAttribute(element, "aria-selected", String(isActive(index)));
  }
  return { element, update };
}

/** @type {[Order, string][]} */
const COLUMNS = [["name", "Name"], ["size", "Size"], ["modified", "Modified"]];

/** @param {(by: Order) => void} sortBy */
export function makeDataHead(sortBy) {
  const heads = COLUMNS.map(([by, label]) => {
    const sort = h("button", { type: "button", class: "nds-sort", onclick: () => sortBy(by) }, label);
    return h("div", { class: `nds-cell nds-col-${by}`, role: "columnheader", "data-column": by }, sort);
  });
  const element = h("div", { class: "nds-head nds-dataRow", role: "row", "aria-rowindex": 1 }, ...heads);

  /** @param {{ by: Order, down: boolean }} order */
  function update({ by, down }) {
    for (const head of heads) {
      const sorted = head.getAttribute("data-column") === by;
      setAttribute(head, "aria-sort", sorted ? (down ? "descending" : "ascending") : "none");
    }
  }
  return { element, update };
}

/** @param {(path: string) => void} open */
export function makeCrumbs(open) {
  const element = h("nav", { class: "nds-crumbs", "aria-label": "Path" });
  let shown = "?";

  /** @param {string} path */
  function update(path) {
    if (path === shown) return;
    shown = path;
    const names = path.split("/").filter(Boolean);
    const crumbs = names.map((name, index) => crumb(name, `/${names.slice(0, index + 1).join("/")}`, index === names.length - 1));
    element.replaceChildren(crumb("/", "/", names.length === 0), ...crumbs);
  }

  /** @param {string} label @param {string} path @param {boolean} here */
  function crumb(label, path, here) {
    const props = here ? { "aria-current": "location" } : {};
    return h("button", { type: "button", class: "nds-crumb", title: path, onclick: () => open(path), ...props }, label);
  }
  return { element, update };
}
