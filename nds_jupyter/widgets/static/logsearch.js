/** Search in a log that grows: a turn at a time, so that a million lines never freeze the page. */

/** @import { LogLines } from "./loglines.js" */
import { Turn } from "./turn.js";

/** Lines between two looks at the clock. */
const STRIDE = 100;

export class LogSearch {
  /**
   * @param {LogLines} lines
   * @param {() => void} onChange
   */
  constructor(lines, onChange) {
    this._lines = lines;
    this._onChange = onChange;
    this.query = "";
    /** @type {number[]} The numbers of the lines that match. */
    this.found = [];
    this.at = -1;
    this._reached = 0;
    this._pattern = /(?:)/;
    this._running = false;
  }

  /** @param {string} query */
  start(query) {
    this.query = query;
    // The text is looked for as it is, in either case.
    this._pattern = new RegExp(query.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "i");
    this.again();
  }

  /** Look through all of it anew. */
  again() {
    this.found = [];
    this.at = -1;
    this._reached = 0;
    this.more();
    this._onChange();
  }

  get done() {
    return this._reached >= this._whole;
  }

  /** Look through what has come since. */
  async more() {
    if (this._running || !this.query) return;
    this._running = true;
    const turn = new Turn();
    while (this.query && !this.done) {
      this._look(turn);
      this._onChange();
      await turn.next();
    }
    this._running = false;
  }

  /** A line that goes on is looked at when it is whole. */
  get _whole() {
    const { end, open } = this._lines;
    return open ? end - 1 : end;
  }

  /** @param {Turn} turn */
  _look(turn) {
    this._forget();
    const whole = this._whole;
    let line = Math.max(this._reached, this._lines.first);
    do {
      const pause = Math.min(line + STRIDE, whole);
      for (; line < pause; line += 1) {
        if (this._pattern.test(this._lines.textAt(line))) this.found.push(line);
      }
    } while (line < whole && !turn.over);
    this._reached = line;
  }

  /** Lines that are no longer kept can't be shown. */
  _forget() {
    const gone = this.found.findIndex((line) => line >= this._lines.first);
    if (gone === 0 || !this.found.length) return;
    const many = gone < 0 ? this.found.length : gone;
    this.found.splice(0, many);
    this.at = Math.max(-1, this.at - many);
  }

  /**
   * Go to another match.
   *
   * @param {number} step 1 or -1
   * @returns {{ line: number, character: number } | null} what to show
   */
  go(step) {
    this._forget();
    if (!this.found.length) return null;
    const from = this.at < 0 && step < 0 ? 0 : this.at;
    this.at = (from + step + this.found.length) % this.found.length;
    const line = this.found[this.at];
    return { line, character: Math.max(0, this._lines.textAt(line).search(this._pattern)) };
  }

  /** @param {number} line @returns {boolean} whether it is the match that was gone to */
  isCurrent(line) {
    return this.at >= 0 && this.found[this.at] === line;
  }

  get words() {
    if (!this.query) return "";
    const more = this.done ? "" : "…";
    if (!this.found.length) return this.done ? "no match" : "…";
    return this.at < 0 ? `${this.found.length}${more}` : `${this.at + 1} of ${this.found.length}${more}`;
  }
}
