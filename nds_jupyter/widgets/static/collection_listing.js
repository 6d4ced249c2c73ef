/** Paged listing of one collection of the data root: loads a page at a time, sorts in time slices. */

/** @import { RestApi, Query } from "./rest_api.js" */
/** @import { DataEntry } from "./types.js" */
import { listPage } from "./rest_api.js";
import { sortInSlices, TimeSlice } from "./time_slicing.js";

const FIRST = 200;
const PAGE = 1000;

/** @typedef {"name" | "size" | "modified"} SortColumn */

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
    this._next = { path: path || null, q: q || null, limit: FIRST };
    this._stopped = new AbortController();
    /** @type {Promise<void> | null} */
    this._pending = null;
    this.problem = "";
    /** @type {{ by: SortColumn, down: boolean }} */
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

  /** Sort by more than the name: the catalogue's order is by name, so all of it is needed. @param {SortColumn} by @param {boolean} down */
  async sort(by, down) {
    this._order = { by, down };
    while (!this.complete && !this._stopped.signal.aborted) await this.more();
    const entries = await inOrder(this.entries, by, down);
    if (this._stopped.signal.aborted || by !== this._order.by || down !== this._order.down) return;
    this.entries = entries;
    this._onChange();
  }
}

/**
 * @param {DataEntry[]} entries
 * @param {SortColumn} by
 * @param {boolean} down
 * @returns {Promise<DataEntry[]>} collections first; of the same value by name
 */
async function inOrder(entries, by, down) {
  const turn = new TimeSlice();
  /** @type {{ entry: DataEntry, rank: number, value: string | number }[]} */
  const keyed = [];
  for (const entry of entries) {
    if (turn.over) await turn.next();
    keyed.push({ entry, rank: entry.kind === "collection" ? 0 : 1, value: entry[by] ?? (by === "size" ? -1 : "") });
  }
  const direction = down ? -1 : 1;
  const sorted = await sortInSlices(
    keyed,
    (a, b) => a.rank - b.rank || direction * compared(a.value, b.value) || compared(a.entry.name, b.entry.name),
    turn,
  );
  return sorted.map(({ entry }) => entry);
}

/** By code points, as the catalogue sorts. @template {string | number} T @param {T} a @param {T} b */
function compared(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** @param {string} path */
export function parentOf(path) {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}
