/** ARIA grid: keyboard navigation of a table whose rows are virtual, and headers that sort its columns. */

/** @import { VirtualList } from "./virtual_list.js" */
import { h, setAttribute } from "./dom.js";
import { rowAfterKey } from "./virtual_list.js";

/** Table that has the focus itself, and says which row its keys act on. */
export class Grid {
  /**
   * @param {object} options
   * @param {string} options.label
   * @param {HTMLElement} options.head
   * @param {VirtualList} options.rows
   * @param {() => number} options.at the row that keys act on; -1 where there is none
   * @param {(index: number) => void} options.activate
   * @param {(key: string, index: number) => boolean} options.act whether the key means something; the index may be -1
   * @param {boolean} [options.eager] whether the focus is enough to make a row the active one
   * @param {...HTMLElement} more
   */
  constructor({ label, head, rows, at, activate, act, eager = true }, ...more) {
    this._rows = rows;
    this._at = at;
    this._activate = activate;
    this._act = act;
    const props = { class: "nds-table", role: "grid", tabIndex: 0, "aria-label": label, "aria-multiselectable": "false" };
    this.element = h("div", props, head, rows.element, ...more);
    rows.keyboard = this.element;
    // A click in the rows gives them the focus, which is the grid's.
    rows.element.addEventListener("focus", () => this.focus());
    this.element.addEventListener("keydown", (event) => this._onKey(event));
    if (eager) this.element.addEventListener("focus", () => at() >= 0 || activate(rows.firstVisible));
  }

  /** Whether keys go from row to row. */
  get focused() {
    return document.activeElement === this.element;
  }

  focus() {
    this.element.focus({ preventScroll: true });
  }

  /** @param {KeyboardEvent} event */
  _onKey(event) {
    const inRow = this._rows.element.contains(/** @type {Node} */ (event.target));
    if ((event.target !== this.element && !inRow) || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = this._at();
    const to = rowAfterKey(event, at, this._rows);
    if (to !== null) {
      this.focus();
      this._activate(to);
    } else if (inRow || !this._act(event.key, at)) return;
    event.preventDefault();
    event.stopPropagation();
  }
}

/**
 * Make the header row of a grid: a button in each column sorts by it.
 *
 * @template {string} Column
 * @param {string} rowClass
 * @param {readonly { id: Column, label: string }[]} columns
 * @param {(column: Column) => void} sortBy
 * @param {...HTMLElement} more
 */
export function makeGridHeader(rowClass, columns, sortBy, ...more) {
  const headers = columns.map(({ id, label }) => {
    const sort = h("button", { type: "button", class: "nds-sort", onclick: () => sortBy(id) }, label);
    return h("div", { class: `nds-cell nds-col-${id}`, role: "columnheader", "data-column": id }, sort);
  });
  const props = { class: `nds-head ${rowClass}`, role: "row", "aria-rowindex": 1 };
  const element = h("div", props, ...headers, ...more);

  /** @param {Column} column @param {boolean} descending */
  function showOrder(column, descending) {
    for (const header of headers) {
      const sorted = header.getAttribute("data-column") === column;
      setAttribute(header, "aria-sort", sorted ? (descending ? "descending" : "ascending") : "none");
    }
  }
  return { element, showOrder };
}
