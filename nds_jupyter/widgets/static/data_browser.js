/** Data browser: breadcrumbs, search, a table of a collection's entries, uploads; also as a path picker in a dialog. */

/** @import { SortColumn } from "./collection_listing.js" */
/** @import { JobStore } from "./job_store.js" */
/** @import { DataEntry, Host } from "./types.js" */
import { CollectionListing, parentOf } from "./collection_listing.js";
import { DataDetails } from "./data_details.js";
import { confirmDialog, promptDialog } from "./dialog.js";
import { h, iconButton, setAttribute, setText } from "./dom.js";
import { ageText, sizeText, timeText } from "./format.js";
import { Grid, makeGridHeader } from "./grid.js";
import { icon, setIcon } from "./icons.js";
import { chosenFiles, droppedFiles, UploadQueue } from "./upload_queue.js";
import { VirtualList } from "./virtual_list.js";

/** Pixels. */
const ROW_HEIGHT = 24;
/** Rows before the end of what is loaded at which the next page is asked for. */
const PREFETCHED_ROWS = 200;
/** Milliseconds after the last key before a search begins. */
const SEARCH_DELAY = 250;

/** @type {{ id: SortColumn, label: string }[]} */
const COLUMNS = [
  { id: "name", label: "Name" },
  { id: "size", label: "Size" },
  { id: "modified", label: "Modified" },
];

/** Panel of the data root that shows one collection at a time. */
export class DataBrowser {
  /**
   * @param {JobStore} store
   * @param {Host} host
   * @param {string} [path] empty for the user's home
   * @param {{ picking?: boolean }} [options] `picking`: it chooses a path for a dialog, and shows no details
   */
  constructor(store, host, path = "", { picking = false } = {}) {
    this._api = store.api;
    this._store = store;
    this._host = host;
    this._picking = picking;
    /** The path of the row that keys act on. */
    this._active = "";
    /** @type {{ column: SortColumn, descending: boolean }} */
    this._order = { column: "name", descending: false };
    this._breadcrumbs = makeBreadcrumbs((to) => this.open(to));
    this._status = h("span", { class: "nds-count", role: "status", "aria-live": "polite" });
    const moveFocus = () => this._grid.focus();
    this._uploads = new UploadQueue(store.api, host, { onDone: () => this.refresh(), moveFocus });
    this._search = this._makeSearch();
    this._fileInput = this._makeFileInput();
    this._rows = this._makeRows();
    this._header = makeGridHeader("nds-dataRow", COLUMNS, (column) => this._sortBy(column));
    this._grid = this._makeGrid();
    this._detailsPane = h("div", { class: "nds-data-pane", hidden: true });
    this.element = h(
      "section",
      { class: `nds nds-data ${picking ? "nds-picking" : ""}`, "aria-label": "NDS data" },
      this._makeToolbar(),
      this._breadcrumbs.element,
      this._uploads.element,
      h("div", { class: "nds-split" }, this._grid.element, this._detailsPane),
    );
    this._acceptDrops();
    this._listing = this._makeListing(path);
    this._update();
  }

  /** The path of the row that has the keyboard, else of the collection. */
  get chosenPath() {
    return this._listing.entries[this._activeIndex]?.path ?? this._listing.path;
  }

  /** Index of the row that keys act on; -1 where there is none. */
  get _activeIndex() {
    return this._active ? this._listing.entries.findIndex(({ path }) => path === this._active) : -1;
  }

  dispose() {
    this._listing.dispose();
    this._rows.dispose();
  }

  /** Go to a collection. @param {string} path */
  open(path) {
    const from = this._listing.path;
    this._search.value = "";
    // From below, the row of the collection that was left becomes the active one.
    this._load(path, parentOf(from) === path ? from : "");
  }

  refresh() {
    this._load(this._listing.path, this._active);
  }

  /** @param {string} path @param {string} active */
  _load(path, active) {
    this._listing.dispose();
    this._active = this._picking ? "" : active;
    this._order = { column: "name", descending: false };
    this._closeDetails();
    this._rows.element.scrollTop = 0;
    this._listing = this._makeListing(path);
    this._update();
  }

  /** @param {string} path */
  _makeListing(path) {
    return new CollectionListing(this._api, path, this._search.value.trim(), () => this._update());
  }

  _makeToolbar() {
    const chooseFiles = () => this._fileInput.click();
    return h(
      "div",
      { class: "nds-toolbar", role: "toolbar", "aria-label": "Data" },
      iconButton(icon("back"), "Up to the parent collection", () => this._openParent()),
      this._search,
      iconButton(icon("add"), "New collection", () => this._makeCollection()),
      iconButton(icon("up"), "Upload files", chooseFiles, { disabled: !this._api.server.isDirect }),
      iconButton(icon("refresh"), "Refresh", () => this.refresh()),
      this._status,
      this._fileInput,
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
        timer = setTimeout(() => this.refresh(), SEARCH_DELAY);
      },
    });
  }

  _makeFileInput() {
    return h("input", {
      type: "file",
      multiple: true,
      hidden: true,
      "aria-label": "Files to upload",
      onchange: () => this._uploadChosen(),
    });
  }

  _makeRows() {
    const isActive = (/** @type {number} */ index) => this._listing.entries[index]?.path === this._active;
    const rows = new VirtualList({
      height: ROW_HEIGHT,
      isActive,
      props: { class: "nds-table-rows", role: "rowgroup", tabIndex: -1, "aria-label": "Entries" },
      make: () =>
        makeEntryRow({
          entryAt: (index) => this._listing.entries[index],
          isActive,
          choose: (index) => this._showDetails(index),
          enter: (index) => this._enter(index),
        }),
    });
    rows.element.addEventListener("scroll", () => this._prefetch(), { passive: true });
    return rows;
  }

  _makeGrid() {
    return new Grid({
      label: "Entries",
      head: this._header.element,
      rows: this._rows,
      at: () => this._activeIndex,
      activate: (index) => this._activate(index),
      act: (key, index) => this._actOnKey(key, index),
      // The focus alone picks nothing.
      eager: !this._picking,
    });
  }

  _acceptDrops() {
    const onDrag = (/** @type {DragEvent} */ event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      event.stopPropagation();
      this.element.classList.toggle("nds-dropping", event.type !== "drop" && event.type !== "dragleave");
      if (event.type === "drop") this._uploadDropped(event.dataTransfer);
    };
    for (const type of ["dragenter", "dragover", "dragleave", "drop"]) {
      this.element.addEventListener(type, /** @type {EventListener} */ (onDrag));
    }
  }

  _uploadChosen() {
    const { files } = this._fileInput;
    if (files?.length) this._uploads.add(chosenFiles(files), this._listing.path);
    this._fileInput.value = "";
  }

  /** @param {DataTransfer} data */
  async _uploadDropped(data) {
    const collection = this._listing.path;
    if (!this._api.server.isDirect) {
      this._host.notify("This page can't reach the Jupyter server itself, and can't upload.", "error");
      return;
    }
    try {
      await this._uploads.add(await droppedFiles(data), collection);
    } catch (error) {
      this._host.notify(`What was dropped can't be read: ${/** @type {Error} */ (error).message}`, "error");
    }
  }

  async _makeCollection() {
    const name = await promptDialog(this.element, "New collection", "Name of the new collection", "", "Make");
    if (!name) return;
    try {
      await this._api.makeCollection(`${this._listing.path.replace(/\/$/, "")}/${name}`);
      this.refresh();
    } catch (error) {
      this._host.notify(/** @type {Error} */ (error).message, "error");
    }
  }

  /** @param {SortColumn} column */
  _sortBy(column) {
    const descending = this._order.column === column && !this._order.descending;
    this._order = { column, descending };
    this._listing.sort(column, descending);
    this._update();
  }

  _prefetch() {
    const { scrollTop, clientHeight } = this._rows.element;
    const last = (scrollTop + clientHeight) / ROW_HEIGHT;
    if (last + PREFETCHED_ROWS > this._listing.entries.length) this._listing.loadMore();
  }

  _update() {
    const { complete, entries, loading, path } = this._listing;
    this._breadcrumbs.update(path);
    this._rows.setCount(entries.length);
    setAttribute(this._grid.element, "aria-rowcount", String(complete ? entries.length + 1 : -1));
    setText(this._status, listingText(this._listing));
    this._header.showOrder(this._order.column, this._order.descending);
    if (entries.length && this._grid.focused && !this._picking) this._keepActive();
    if (!complete && !loading && entries.length) this._prefetch();
  }

  /** Make the first row active where keys go from row to row and none is. */
  _keepActive() {
    const { complete, entries } = this._listing;
    if (this._active && (this._activeIndex >= 0 || !complete)) return;
    this._active = entries[0].path;
    this._rows.refresh();
  }

  /** @param {number} index */
  _activate(index) {
    const entry = this._listing.entries[index];
    if (!entry) return;
    this._active = entry.path;
    // The row that was clicked may show another entry in a moment.
    if (this._rows.element.contains(document.activeElement)) this._grid.focus();
    this._rows.scrollToRow(index);
  }

  /** @param {number} index */
  _showDetails(index) {
    const entry = this._listing.entries[index];
    if (!entry) return;
    this._activate(index);
    if (this._picking) return;
    const details = new DataDetails(this._store, this._host, entry, () => this.refresh());
    const close = iconButton(icon("close"), "Close the details", () => this._closeDetails(), { class: "nds-details-close" });
    this._detailsPane.replaceChildren(close, details.element);
    this._detailsPane.hidden = false;
  }

  _closeDetails() {
    // The button that had the focus, to close, rename or delete, is gone: the focus goes to the table.
    if (this._detailsPane.contains(document.activeElement)) this._grid.focus();
    this._detailsPane.hidden = true;
    this._detailsPane.replaceChildren();
  }

  /** @param {number} index */
  _enter(index) {
    const entry = this._listing.entries[index];
    if (entry?.kind !== "collection") this._showDetails(index);
    else {
      this._activate(index);
      this.open(entry.path);
    }
  }

  _openParent() {
    this.open(parentOf(this._listing.path || "/"));
  }

  /** @param {string} key @param {number} index @returns {boolean} whether the key means something */
  _actOnKey(key, index) {
    if (key === "Backspace") this._openParent();
    else if (index < 0) return false;
    else if (key === "Enter") this._enter(index);
    else if (key === " ") this._showDetails(index);
    else return false;
    return true;
  }
}

/** @param {CollectionListing} listing */
function listingText({ complete, entries, loading, problem }) {
  if (problem) return problem;
  if (loading && !entries.length) return "loading …";
  const many = `${entries.length.toLocaleString("en")}${complete ? "" : "+"}`;
  return `${many} ${many === "1" ? "entry" : "entries"}`;
}

/**
 * Make a row of the table.
 *
 * @param {object} options
 * @param {(index: number) => DataEntry} options.entryAt
 * @param {(index: number) => boolean} options.isActive
 * @param {(index: number) => void} options.choose
 * @param {(index: number) => void} options.enter
 */
function makeEntryRow({ entryAt, isActive, choose, enter }) {
  let at = -1;
  const symbol = icon("file");
  const name = h("button", { type: "button", class: "nds-entry-name", tabIndex: -1 });
  name.addEventListener("click", (event) => {
    event.stopPropagation();
    enter(at);
  });
  const cells = COLUMNS.map(({ id }) => h("div", { class: `nds-cell nds-col-${id}`, role: "gridcell" }));
  const [, sizeCell, modifiedCell] = cells;
  cells[0].append(symbol, name);
  const props = { class: "nds-row nds-dataRow", role: "row", onclick: () => choose(at), ondblclick: () => enter(at) };
  const element = h("div", props, ...cells);

  /** @param {number} index */
  function update(index) {
    at = index;
    const entry = entryAt(index);
    if (!entry) return;
    const collection = entry.kind === "collection";
    setIcon(symbol, collection ? "folder" : "file");
    setText(name, entry.name);
    setText(sizeCell, collection ? "" : sizeText(entry.size));
    setText(modifiedCell, ageText(entry.modified));
    setAttribute(modifiedCell, "title", timeText(entry.modified));
    setAttribute(element, "title", entry.path);
    setAttribute(element, "data-path", entry.path);
    setAttribute(element, "aria-rowindex", String(index + 2));
    setAttribute(element, "aria-selected", String(isActive(index)));
  }
  return { element, update };
}

/** Make the path of a collection as buttons, one for each of its parents. @param {(path: string) => void} open */
function makeBreadcrumbs(open) {
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

  /** @param {string} label @param {string} path @param {boolean} current */
  function crumb(label, path, current) {
    const props = current ? { "aria-current": "location" } : {};
    return h("button", { type: "button", class: "nds-crumb", title: path, onclick: () => open(path), ...props }, label);
  }
  return { element, update };
}

/**
 * Let somebody pick a path of the data root in a dialog.
 *
 * @param {JobStore} store
 * @param {Host} host
 * @param {HTMLElement} near
 * @returns {Promise<string | null>} null where the dialog was cancelled
 */
export async function pickPath(store, host, near) {
  const browser = new DataBrowser(store, host, "", { picking: true });
  const body = h("div", { class: "nds-pick" }, browser.element);
  const accepted = await confirmDialog(near, "Pick data", [body], { accept: "Pick" });
  browser.dispose();
  return accepted ? browser.chosenPath : null;
}
