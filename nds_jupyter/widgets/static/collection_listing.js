/** Paged listing of one collection of the data root: loads a page at a time, sorts in time slices. */

/** @import { Query, RestApi } from "./rest_api.js" */
/** @import { DataEntry } from "./types.js" */
import { sortInSlices, TimeSlice } from "./time_slicing.js";

/** Entries of the first page, which somebody waits for, and of the others. */
const FIRST_PAGE = 200;
const PAGE = 1000;

/** @typedef {"name" | "size" | "modified"} SortColumn */

/** The entries of a collection that are loaded so far. */
export class CollectionListing {
  /**
   * @param {RestApi} api
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
    this._next = { path: path || null, q: q || null, limit: FIRST_PAGE };
    this._abort = new AbortController();
    /** @type {Promise<void> | null} */
    this._pending = null;
    this.problem = "";
    /** @type {{ column: SortColumn, descending: boolean }} */
    this._order = { column: "name", descending: false };
    this.loadMore();
  }

  /** Whether all entries are loaded. */
  get complete() {
    return this._next === null;
  }

  get loading() {
    return this._pending !== null;
  }

  dispose() {
    this._abort.abort();
  }

  /** Load the next page, or wait for the one that is under way. */
  loadMore() {
    if (this._next) this._pending ??= this._load(this._next);
    return this._pending ?? Promise.resolve();
  }

  /** @param {Query} query */
  async _load(query) {
    try {
      const { rows, next } = await this._api.dataPage(query, this._abort.signal);
      for (const row of rows) this.entries.push(row);
      this._next = next && { ...next, limit: PAGE };
      this.problem = "";
      if (!this.path && rows.length) this.path = parentOf(rows[0].path);
    } catch (error) {
      if (this._abort.signal.aborted) return;
      this.problem = /** @type {Error} */ (error).message;
      this._next = null;
    }
    this._pending = null;
    this._onChange();
  }

  /**
   * Sort all entries. The catalogue has an order of its own, so the whole collection is loaded first.
   *
   * @param {SortColumn} column
   * @param {boolean} descending
   */
  async sort(column, descending) {
    this._order = { column, descending };
    while (!this.complete && !this._abort.signal.aborted) await this.loadMore();
    const entries = await sortEntries(this.entries, column, descending);
    if (this._abort.signal.aborted || column !== this._order.column || descending !== this._order.descending) return;
    this.entries = entries;
    this._onChange();
  }
}

/**
 * @param {DataEntry[]} entries
 * @param {SortColumn} column
 * @param {boolean} descending
 * @returns {Promise<DataEntry[]>} collections first; of the same value by name
 */
async function sortEntries(entries, column, descending) {
  const slice = new TimeSlice();
  /** @type {{ entry: DataEntry, rank: number, value: string | number }[]} */
  const keyed = [];
  for (const entry of entries) {
    if (slice.expired) await slice.yield();
    const value = entry[column] ?? (column === "size" ? -1 : "");
    keyed.push({ entry, rank: entry.kind === "collection" ? 0 : 1, value });
  }
  const direction = descending ? -1 : 1;
  const sorted = await sortInSlices(
    keyed,
    (a, b) =>
      a.rank - b.rank || direction * compareValues(a.value, b.value) || compareValues(a.entry.name, b.entry.name),
    slice,
  );
  return sorted.map(({ entry }) => entry);
}

/** Compare by code points, whatever the catalogue's order is. @template {string | number} T @param {T} a @param {T} b */
function compareValues(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** @param {string} path */
export function parentOf(path) {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}
