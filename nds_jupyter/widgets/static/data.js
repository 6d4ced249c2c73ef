/** The data browser: breadcrumbs, a listing of any length, details of one entry. */

/** @import { Host } from "./types.js" */
/** @import { Store } from "./store.js" */
/** @import { Order } from "./listing.js" */
import { makeCollection } from "./dataapi.js";
import { DataDetails } from "./datadetails.js";
import { makeCrumbs, makeDataHead, makeEntryRow } from "./datarow.js";
import { askText } from "./dialog.js";
import { h, iconButton, setAttribute, setText } from "./dom.js";
import { chosenFiles, droppedFiles } from "./drop.js";
import { Grid } from "./grid.js";
import { icon } from "./icons.js";
import { Listing, parentOf } from "./listing.js";
import { Rows } from "./rows.js";
import { Uploads } from "./uploads.js";

const ROW = 24;
/** Rows before the end of what is loaded at which the next page is asked for. */
const AHEAD = 200;
const SEARCH_PAUSE = 250;

export class DataBrowser {
  /**
   * @param {Store} store
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
    /** @type {{ by: Order, down: boolean }} */
    this._order = { by: "name", down: false };
    this._crumbs = makeCrumbs((to) => this.open(to));
    this._status = h("span", { class: "nds-count", role: "status", "aria-live": "polite" });
    this._uploads = new Uploads(store.api, host, { done: () => this.refresh(), leave: () => this._grid.focus() });
    this._search = this._makeSearch();
    this._input = h("input", { type: "file", multiple: true, hidden: true, "aria-label": "Files to upload", onchange: () => this._uploadChosen() });
    this._rows = this._makeRows();
    this._head = makeDataHead((by) => this._sortBy(by));
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
    return new Listing(this._store.api, path, this._search.value.trim(), () => this._update());
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
    const rows = new Rows({
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
    const name = await askText(this.element, "New collection", "Name of the new collection", "", "Make");
    if (!name) return;
    try {
      await makeCollection(this._store.api, `${this._listing.path.replace(/\/$/, "")}/${name}`);
      this.refresh();
    } catch (error) {
      this._host.notify(/** @type {Error} */ (error).message, "error");
    }
  }

  /** @param {Order} by */
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
