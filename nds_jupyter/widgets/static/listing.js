/** One collection as the page has it: a page at a time, however many entries it holds. */

/** @import { DataEntry } from "./types.js" */
/** @import { Api, Query } from "./api.js" */
import { listPage } from "./dataapi.js";

const FIRST = 200;
const PAGE = 1000;

/** @typedef {"name" | "size" | "modified"} Order */

export class Listing {
  /**
   * @param {Api} api
   * @param {string} path empty for the user's home
   * @param {string} q what names contain
   * @param {() => void} onChange
   */
  constructor(api, path, q, onChange) {
    this._api = api;
    this._onChange = onChange;
    this.path = path;
    /** @type {DataEntry[]} */
    this.entries = [];
    /** @type {Query | null} */
    this._next = { path: path || null, q: q || null, limit: FIRST };
    this._stopped = new AbortController();
    /** @type {Promise<void> | null} */
    this._pending = null;
    this.problem = "";
    /** @type {{ by: Order, down: boolean }} */
    this._order = { by: "name", down: false };
    this.more();
  }

  get complete() {
    return this._next === null;
  }

  get loading() {
    return this._pending !== null;
  }

  dispose() {
    this._stopped.abort();
  }

  /** Load the next page, or wait for the one that is under way. */
  more() {
    if (this._next) this._pending ??= this._load(this._next);
    return this._pending ?? Promise.resolve();
  }

  /** @param {Query} query */
  async _load(query) {
    try {
      const { rows, next } = await listPage(this._api, query, this._stopped.signal);
      for (const row of rows) this.entries.push(row);
      this._next = next && { ...next, limit: PAGE };
      this.problem = "";
      if (!this.path && rows.length) this.path = parentOf(rows[0].path);
    } catch (error) {
      if (this._stopped.signal.aborted) return;
      this.problem = /** @type {Error} */ (error).message;
      this._next = null;
    }
    this._pending = null;
    this._onChange();
  }

  /** Sort by more than the name: the catalogue's order is by name, so all of it is needed. @param {Order} by @param {boolean} down */
  async sort(by, down) {
    this._order = { by, down };
    while (!this.complete && !this._stopped.signal.aborted) await this.more();
    if (by !== this._order.by || down !== this._order.down) return;
    const value = (/** @type {DataEntry} */ entry) => (by === "name" ? entry.name : (entry[by] ?? ""));
    this.entries.sort((a, b) => {
      const folders = Number(b.kind === "collection") - Number(a.kind === "collection");
      if (folders) return folders;
      const [x, y] = [value(a), value(b)];
      return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1);
    });
    this._onChange();
  }
}

/** @param {string} path */
export function parentOf(path) {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}
