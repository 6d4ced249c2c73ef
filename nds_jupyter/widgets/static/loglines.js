/** Which row of the view shows which part of which line, with wrapping or without. */

/** @import { JobLog } from "./joblog.js" */

/** Characters of a line in one row where nothing is wrapped; a longer one says so. */
const WIDEST = 4_000;

export class LogLines {
  /** @param {JobLog} log */
  constructor(log) {
    this._log = log;
    /** Characters of a row; 0 where lines are not wrapped. */
    this.columns = 0;
    this._ends = new Uint32Array(0);
    this._measured = 0;
    this._dropped = 0;
  }

  /** @param {number} columns */
  wrap(columns) {
    this.columns = columns;
    this._measured = 0;
  }

  /** @returns {number} rows in all */
  measure() {
    const { count, dropped, texts } = this._log;
    if (!this.columns) return count;
    if (dropped !== this._dropped || count < this._measured) this._measured = 0;
    this._dropped = dropped;
    if (this._ends.length < count) {
      const longer = new Uint32Array(Math.max(1024, count * 2));
      longer.set(this._ends.subarray(0, this._measured));
      this._ends = longer;
    }
    // The last line may have grown since.
    let index = Math.max(0, this._measured - 1);
    let end = index ? this._ends[index - 1] : 0;
    for (; index < count; index += 1) {
      end += Math.max(1, Math.ceil(texts[index].length / this.columns));
      this._ends[index] = end;
    }
    this._measured = count;
    return end;
  }

  /**
   * @param {number} row
   * @returns {{ line: number, from: number, to: number }}
   */
  at(row) {
    if (!this.columns) return { line: row, from: 0, to: WIDEST };
    let low = 0;
    let high = this._measured - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this._ends[middle] > row) high = middle;
      else low = middle + 1;
    }
    const first = low ? this._ends[low - 1] : 0;
    const from = (row - first) * this.columns;
    return { line: low, from, to: from + this.columns };
  }

  /** @param {number} line @returns {number} its first row */
  rowOf(line) {
    if (!this.columns) return line;
    return line ? this._ends[line - 1] : 0;
  }
}
