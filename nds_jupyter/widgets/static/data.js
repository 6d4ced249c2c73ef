/** The data browser: breadcrumbs, a listing of any length, details of one entry. */

/** @import { Host } from "./types.js" */
/** @import { Store } from "./store.js" */
/** @import { Order } from "./listing.js" */
import { makeCollection } from "./dataapi.js";
import { DataDetails } from "./datadetails.js";
import { makeCrumbs, makeEntryRow } from "./datarow.js";
import { askText } from "./dialog.js";
import { h, iconButton, setAttribute, setText } from "./dom.js";
import { chosenFiles, droppedFiles } from "./drop.js";
import { icon } from "./icons.js";
import { Listing, parentOf } from "./listing.js";
import { movedBy, Rows } from "./rows.js";
import { Uploads } from "./uploads.js";

const ROW = 24;
/** Rows before the end of what is loaded at which the next page is asked for. */
const AHEAD = 200;
const SEARCH_PAUSE = 250;
let browsers = 0;

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
    this._id = `nds-data-${(browsers += 1)}`;
    this._at = -1;
    /** @type {{ by: Order, down: boolean }} */
    this._order = { by: "name", down: false };
    this._crumbs = makeCrumbs((to) => this.open(to));
    this._status = h("span", { class: "nds-count", role: "status", "aria-live": "polite" });
    this._uploads = new Uploads(store.api, host, () => this.refresh());
    this._search = this._makeSearch();
    this._input = h("input", { type: "file", multiple: true, hidden: true, "aria-label": "Files to upload", onchange: () => this._uploadChosen() });
    this._rows = this._makeRows();
    this._head = this._makeHead();
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
        h("div", { class: "nds-table" }, this._head, this._rows.element),
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

  dispose() {
    this._listing.dispose();
    this._rows.dispose();
  }

  /** @param {string} path */
  open(path) {
    this._search.value = "";
    this._show(path);
  }

  refresh() {
    this._show(this._listing.path);
  }

  /** @param {string} path */
  _show(path) {
    this._listing.dispose();
    this._at = -1;
    this._rows.element.removeAttribute("aria-activedescendant");
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
      placeholder: "Search names",
      "aria-label": "Search names in this collection",
      oninput: () => {
        clearTimeout(timer);
        timer = setTimeout(() => this.refresh(), SEARCH_PAUSE);
      },
    });
  }

  _makeHead() {
    /** @type {[Order, string][]} */
    const columns = [["name", "Name"], ["size", "Size"], ["modified", "Modified"]];
    return h(
      "div",
      { class: "nds-head nds-dataRow", role: "row", id: `${this._id}-head`, "aria-rowindex": 1 },
      ...columns.map(([by, label]) =>
        h(
          "div",
          { class: `nds-cell nds-col-${by}`, role: "columnheader", "data-column": by },
          h("button", { type: "button", class: "nds-sort", onclick: () => this._sortBy(by) }, label),
        ),
      ),
    );
  }

  _makeRows() {
    const rows = new Rows({
      height: ROW,
      // What has the keyboard has to be the grid itself; the head above it belongs to it.
      props: { class: "nds-table-rows", role: "grid", tabIndex: 0, "aria-label": "Entries", "aria-owns": `${this._id}-head` },
      make: () =>
        makeEntryRow({
          entryAt: (index) => this._listing.entries[index],
          isActive: (index) => index === this._at,
          choose: (index) => this._choose(index),
          enter: (index) => this._enter(index),
          id: this._id,
        }),
    });
    rows.element.addEventListener("keydown", (event) => this._key(event));
    rows.element.addEventListener("scroll", () => this._needMore(), { passive: true });
    return rows;
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
    setAttribute(this._rows.element, "aria-rowcount", String(complete ? entries.length + 1 : -1));
    const many = `${entries.length.toLocaleString("en")}${complete ? "" : "+"}`;
    setText(this._status, problem || (loading && !entries.length ? "loading …" : `${many} ${many === "1" ? "entry" : "entries"}`));
    for (const head of this._head.children) {
      const sorted = head.getAttribute("data-column") === this._order.by;
      setAttribute(head, "aria-sort", sorted ? (this._order.down ? "descending" : "ascending") : "none");
    }
    if (!complete && !loading && entries.length) this._needMore();
  }

  /** @param {number} index */
  _activate(index) {
    this._at = index;
    setAttribute(this._rows.element, "aria-activedescendant", `${this._id}-${index}`);
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
    this._pane.hidden = true;
    this._pane.replaceChildren();
  }

  /** @param {number} index */
  _enter(index) {
    const entry = this._listing.entries[index];
    if (entry?.kind === "collection") this.open(entry.path);
    else this._choose(index);
  }

  /** @param {KeyboardEvent} event */
  _key(event) {
    const to = movedBy(event, this._at, this._rows);
    if (to !== null) this._activate(to);
    else if (event.key === "Enter") this._enter(this._at);
    else if (event.key === " ") this._choose(this._at);
    else if (event.key === "Backspace") this.open(parentOf(this._listing.path || "/"));
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
