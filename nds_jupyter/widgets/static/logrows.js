/** Which row of the view shows which part of which line, with wrapping or without. */

/** @import { Block, LogLines } from "./loglines.js" */
import { Turn } from "./turn.js";

/** Characters of a line in one row where nothing is wrapped; a longer one says so. */
const WIDEST = 4_000;
/** Lines between two looks at the clock. */
const STRIDE = 256;

/**
 * @typedef {object} Measured a block of lines
 * @property {Block} block
 * @property {number[]} ends rows up to the end of each line, counted from the block's first
 * @property {number} start rows before it
 */

export class LogRows {
  /** @param {LogLines} lines */
  constructor(lines) {
    this._lines = lines;
    /** Characters of a row; 0 where lines are not wrapped. */
    this.columns = 0;
    /** Whether all lines are measured. */
    this.complete = true;
    this._gone = 0;
    /** @type {Measured[]} */
    this._blocks = [];
  }

  /** Rows that went with the lines that are no longer kept. */
  get gone() {
    return this.columns ? this._gone : this._lines.first;
  }

  /** @param {number} columns */
  wrap(columns) {
    this.columns = columns;
    this._blocks = [];
    this._gone = 0;
  }

  /** Measure what is new, for as long as a turn lasts. @returns {number} rows so far */
  measure() {
    const { blocks, end, first } = this._lines;
    this.complete = true;
    if (!this.columns) return end - first;
    this._forget();
    const turn = new Turn();
    let rows = 0;
    for (let at = 0; at < blocks.length && this.complete; at += 1) {
      const measured = (this._blocks[at] ??= { block: blocks[at], ends: [], start: 0 });
      measured.start = rows;
      this.complete = this._measure(measured, turn);
      rows += measured.ends.at(-1) ?? 0;
    }
    return rows;
  }

  _forget() {
    const { blocks } = this._lines;
    while (this._blocks.length && this._blocks[0].block.first < blocks[0].first) {
      this._gone += this._blocks.shift()?.ends.at(-1) ?? 0;
    }
    // The lines may have come anew.
    if (this._blocks.length && this._blocks[0].block !== blocks[0]) this._blocks = [];
  }

  /** @param {Measured} measured @param {Turn} turn @returns {boolean} whether all of it is */
  _measure({ block, ends }, turn) {
    const count = block.texts.length;
    // The last line may have grown since.
    ends.length = Math.max(0, Math.min(ends.length, count) - 1);
    for (let at = ends.length; at < count; at += 1) {
      if (at % STRIDE === 0 && turn.over) return false;
      const { length } = this._lines.textAt(block.first + at);
      ends.push((ends[at - 1] ?? 0) + Math.max(1, Math.ceil(length / this.columns)));
    }
    return true;
  }

  /**
   * @param {number} row
   * @returns {{ line: number, from: number, to: number }}
   */
  at(row) {
    if (!this.columns) return { line: this._lines.first + row, from: 0, to: WIDEST };
    const { block, ends, start } = this._blocks[lastAt(this._blocks, ({ start }) => start <= row)];
    const at = lastAt(ends, (_, index) => (ends[index - 1] ?? 0) <= row - start);
    const from = (row - start - (ends[at - 1] ?? 0)) * this.columns;
    return { line: block.first + at, from, to: from + this.columns };
  }

  /** @param {number} line @param {number} [character] @returns {number} the row that shows it */
  rowOf(line, character = 0) {
    if (!this.columns) return line - this._lines.first;
    const measured = this._blocks[lastAt(this._blocks, ({ block }) => block.first <= line)];
    if (!measured) return 0;
    const { block, ends, start } = measured;
    return start + (ends[line - block.first - 1] ?? 0) + Math.floor(character / this.columns);
  }
}

/**
 * @template T
 * @param {T[]} items
 * @param {(item: T, index: number) => boolean} holds for the first ones only
 * @returns {number} the last one for which it does; 0 where there is none
 */
function lastAt(items, holds) {
  let low = 0;
  let high = items.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (holds(items[middle], middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}
