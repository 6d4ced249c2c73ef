/** Data browser: breadcrumbs, search, a table of a collection's entries, uploads; also as a path picker in a dialog. */

/** @import { SortColumn } from "./collection_listing.js" */
/** @import { JobStore } from "./job_store.js" */
/** @import { DataEntry, Host } from "./types.js" */
import { CollectionListing, parentOf } from "./collection_listing.js";
import { DataDetails } from "./data_details.js";
import { confirmDialog, promptDialog } from "./dialog.js";
import { h, iconButton, setAttribute, setText } from "./dom.js";
import { ageText, sizeText, timeText } from "./format.js";
import { Grid } from "./grid.js";
import { setIcon, icon } from "./icons.js";
import { makeCollection } from "./rest_api.js";
import { chosenFiles, droppedFiles, UploadQueue } from "./upload_queue.js";
import { VirtualList } from "./virtual_list.js";

const ROW = 24;
/** Rows before the end of what is loaded at which the next page is asked for. */
const AHEAD = 200;
const SEARCH_PAUSE = 250;

export class DataBrowser {
  /**
   * @param {JobStore} store
   * @param {Host} host
   * @param {string} [path] empty for the user's home
   * @param {{ picking?: boolean }} [options]
   */
  constructor(store, host, path = "", { picking = false } = {}) {
    this._store = store;
    this._host = host;
    this._picking = picking;
    /** The path of the row that keys act on. */
    this._active = "";
    /** @type {{ by: SortColumn, down: boolean }} */
    this._order = { by: "name", down: false };
    this._crumbs = makeBreadcrumbs((to) => this.open(to));
    this._status = h("span", { class: "nds-count", role: "status", "aria-live": "polite" });
    this._uploads = new UploadQueue(store.api, host, { done: () => this.refresh(), leave: () => this._grid.focus() });
    this._search = this._makeSearch();
    this._input = h("input", { type: "file", multiple: true, hidden: true, "aria-label": "Files to upload", onchange: () => this._uploadChosen() });
    this._rows = this._makeRows();
    this._head = makeDataHeader((by) => this._sortBy(by));
    this._grid = this._makeGrid();
    this._pane = h("div", { class: "nds-data-pane", hidden: true });
    this.element = h(
      "section",
      { class: `nds nds-data ${picking ? "nds-picking" : ""}`, "aria-label": "NDS data" },
      this._makeToolbar(),
      this._crumbs.element,
      this._uploads.element,
      h(
        "div",
        { class: "nds-split" },
        this._grid.element,
        this._pane,
      ),
    );
    this._acceptDrops();
    this._listing = this._list(path);
    this._update();
  }

  /** The path of the row that has the keyboard, else of the collection. */
  get chosenPath() {
    return this._listing.entries[this._at]?.path ?? this._listing.path;
  }

  /** The place of the row that keys act on; -1 where there is none. */
  get _at() {
    return this._active ? this._listing.entries.findIndex(({ path }) => path === this._active) : -1;
  }

  dispose() {
    this._listing.dispose();
    this._rows.dispose();
  }

  /** @param {string} path */
  open(path) {
    const from = this._listing.path;
    this._search.value = "";
    // Who comes from below goes on at the collection that was left.
    this._show(path, parentOf(from) === path ? from : "");
  }

  refresh() {
    this._show(this._listing.path, this._active);
  }

  /** @param {string} path @param {string} active */
  _show(path, active) {
    this._listing.dispose();
    this._active = this._picking ? "" : active;
    this._order = { by: "name", down: false };
    this._closeDetails();
    this._rows.element.scrollTop = 0;
    this._listing = this._list(path);
    this._update();
  }

  /** @param {string} path */
  _list(path) {
    return new CollectionListing(this._store.api, path, this._search.value.trim(), () => this._update());
  }

  _makeToolbar() {
    const upload = iconButton(icon("up"), "Upload files", () => this._input.click(), { disabled: !this._store.api.server.links });
    return h(
      "div",
      { class: "nds-toolbar", role: "toolbar", "aria-label": "Data" },
      iconButton(icon("back"), "Up to the parent collection", () => this.open(parentOf(this._listing.path || "/"))),
      this._search,
      iconButton(icon("add"), "New collection", () => this._make()),
      upload,
      iconButton(icon("refresh"), "Refresh", () => this.refresh()),
      this._status,
      this._input,
    );
  }

  _makeSearch() {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    return h("input", {
      type: "search",
      class: "nds-input",
      placeholder: "Search",
      title: "Search names in this collection",
      "aria-label": "Search names in this collection",
      oninput: () => {
        clearTimeout(timer);
        timer = setTimeout(() => this.refresh(), SEARCH_PAUSE);
      },
    });
  }

  _makeRows() {
    const isActive = (/** @type {number} */ index) => this._listing.entries[index]?.path === this._active;
    const rows = new VirtualList({
      height: ROW,
      isActive,
      props: { class: "nds-table-rows", role: "rowgroup", tabIndex: -1, "aria-label": "Entries" },
      make: () =>
        makeEntryRow({
          entryAt: (index) => this._listing.entries[index],
          isActive,
          choose: (index) => this._choose(index),
          enter: (index) => this._enter(index),
        }),
    });
    rows.element.addEventListener("scroll", () => this._needMore(), { passive: true });
    return rows;
  }

  _makeGrid() {
    return new Grid({
      label: "Entries",
      head: this._head.element,
      rows: this._rows,
      at: () => this._at,
      activate: (index) => this._activate(index),
      act: (key, index) => this._act(key, index),
      // The focus alone picks nothing.
      eager: !this._picking,
    });
  }

  _acceptDrops() {
    const over = (/** @type {DragEvent} */ event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      event.stopPropagation();
      this.element.classList.toggle("nds-dropping", event.type !== "drop" && event.type !== "dragleave");
      if (event.type === "drop") this._uploadDropped(event.dataTransfer);
    };
    for (const type of ["dragenter", "dragover", "dragleave", "drop"]) {
      this.element.addEventListener(type, /** @type {EventListener} */ (over));
    }
  }

  _uploadChosen() {
    if (this._input.files?.length) this._uploads.start(chosenFiles(this._input.files), this._listing.path);
    this._input.value = "";
  }

  /** @param {DataTransfer} data */
  async _uploadDropped(data) {
    const collection = this._listing.path;
    if (!this._store.api.server.links) {
      this._host.notify("This page can't reach the Jupyter server itself, and can't upload.", "error");
      return;
    }
    try {
      await this._uploads.start(await droppedFiles(data), collection);
    } catch (error) {
      this._host.notify(`What was dropped can't be read: ${/** @type {Error} */ (error).message}`, "error");
    }
  }

  async _make() {
    const name = await promptDialog(this.element, "New collection", "Name of the new collection", "", "Make");
    if (!name) return;
    try {
      await makeCollection(this._store.api, `${this._listing.path.replace(/\/$/, "")}/${name}`);
      this.refresh();
    } catch (error) {
      this._host.notify(/** @type {Error} */ (error).message, "error");
    }
  }

  /** @param {SortColumn} by */
  _sortBy(by) {
    const down = this._order.by === by && !this._order.down;
    this._order = { by, down };
    this._listing.sort(by, down);
    this._update();
  }

  _needMore() {
    const { scrollTop, clientHeight } = this._rows.element;
    const last = (scrollTop + clientHeight) / ROW;
    if (last + AHEAD > this._listing.entries.length) this._listing.more();
  }

  _update() {
    const { complete, entries, loading, path, problem } = this._listing;
    this._crumbs.update(path);
    this._rows.setCount(entries.length);
    setAttribute(this._grid.element, "aria-rowcount", String(complete ? entries.length + 1 : -1));
    const many = `${entries.length.toLocaleString("en")}${complete ? "" : "+"}`;
    setText(this._status, problem || (loading && !entries.length ? "loading …" : `${many} ${many === "1" ? "entry" : "entries"}`));
    this._head.update(this._order);
    if (entries.length && this._grid.focused && !this._picking) this._keepActive();
    if (!complete && !loading && entries.length) this._needMore();
  }

  /** Whoever goes on by keys in another collection begins in it somewhere. */
  _keepActive() {
    const { complete, entries } = this._listing;
    if (this._active && (this._at >= 0 || !complete)) return;
    this._active = entries[0].path;
    this._rows.refresh();
  }

  /** @param {number} index */
  _activate(index) {
    const entry = this._listing.entries[index];
    if (!entry) return;
    this._active = entry.path;
    // What was clicked in a row may be another's in a moment.
    if (this._rows.element.contains(document.activeElement)) this._grid.focus();
    this._rows.show(index);
  }

  /** @param {number} index */
  _choose(index) {
    const entry = this._listing.entries[index];
    if (!entry) return;
    this._activate(index);
    if (this._picking) return;
    const details = new DataDetails(this._store, this._host, entry, () => this.refresh());
    const close = iconButton(icon("close"), "Close the details", () => this._closeDetails(), { class: "nds-details-close" });
    this._pane.replaceChildren(close, details.element);
    this._pane.hidden = false;
  }

  _closeDetails() {
    // Whoever closed, renamed or deleted by a button in it goes on in the list.
    if (this._pane.contains(document.activeElement)) this._grid.focus();
    this._pane.hidden = true;
    this._pane.replaceChildren();
  }

  /** @param {number} index */
  _enter(index) {
    const entry = this._listing.entries[index];
    if (entry?.kind !== "collection") this._choose(index);
    else {
      this._activate(index);
      this.open(entry.path);
    }
  }

  /** @param {string} key @param {number} index @returns {boolean} whether the key means something */
  _act(key, index) {
    if (key === "Backspace") this.open(parentOf(this._listing.path || "/"));
    else if (index < 0) return false;
    else if (key === "Enter") this._enter(index);
    else if (key === " ") this._choose(index);
    else return false;
    return true;
  }
}

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
    setIcon(symbol, collection ? "folder" : "file");
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

/** @type {[SortColumn, string][]} */
const COLUMNS = [["name", "Name"], ["size", "Size"], ["modified", "Modified"]];

/** @param {(by: SortColumn) => void} sortBy */
export function makeDataHeader(sortBy) {
  const heads = COLUMNS.map(([by, label]) => {
    const sort = h("button", { type: "button", class: "nds-sort", onclick: () => sortBy(by) }, label);
    return h("div", { class: `nds-cell nds-col-${by}`, role: "columnheader", "data-column": by }, sort);
  });
  const element = h("div", { class: "nds-head nds-dataRow", role: "row", "aria-rowindex": 1 }, ...heads);

  /** @param {{ by: SortColumn, down: boolean }} order */
  function update({ by, down }) {
    for (const head of heads) {
      const sorted = head.getAttribute("data-column") === by;
      setAttribute(head, "aria-sort", sorted ? (down ? "descending" : "ascending") : "none");
    }
  }
  return { element, update };
}

/** @param {(path: string) => void} open */
export function makeBreadcrumbs(open) {
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

/**
 * @param {JobStore} store
 * @param {Host} host
 * @param {HTMLElement} near
 * @returns {Promise<string | null>}
 */
export async function pickPath(store, host, near) {
  const browser = new DataBrowser(store, host, "", { picking: true });
  const place = h("div", { class: "nds-pick" }, browser.element);
  const said = await confirmDialog(near, "Pick data", [place], { accept: "Pick" });
  browser.dispose();
  return said ? browser.chosenPath : null;
}
