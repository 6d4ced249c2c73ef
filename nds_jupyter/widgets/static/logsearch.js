/** Search in a log that grows: a slice at a time, so that a million lines never freeze the page. */

/** @import { JobLog } from "./joblog.js" */

const SLICE = 20_000;

export class LogSearch {
  /**
   * @param {JobLog} log
   * @param {() => void} onChange
   */
  constructor(log, onChange) {
    this._log = log;
    this._onChange = onChange;
    this.query = "";
    /** @type {number[]} Lines that match, counted from the first line ever. */
    this.found = [];
    this.at = -1;
    this._reached = 0;
    this._pattern = /(?:)/;
    this._running = false;
  }

  /** @param {string} query */
  start(query) {
    this.query = query;
    this.found = [];
    this.at = -1;
    this._reached = this._log.dropped;
    // The text is looked for as it is, in either case.
    this._pattern = new RegExp(query.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "i");
    this.more();
    this._onChange();
  }

  get done() {
    return this._reached >= this._log.count + this._log.dropped;
  }

  /** Look through what has come since. */
  more() {
    if (this._running || !this.query) return;
    this._running = true;
    const step = () => {
      if (!this.query || this.done) {
        this._running = false;
        return;
      }
      this._slice();
      this._onChange();
      setTimeout(step);
    };
    step();
  }

  _slice() {
    const { dropped, count, texts } = this._log;
    this._reached = Math.max(this._reached, dropped);
    const end = Math.min(this._reached + SLICE, count + dropped);
    for (let line = this._reached; line < end; line += 1) {
      if (this._pattern.test(texts[line - dropped])) this.found.push(line);
    }
    this._reached = end;
  }

  /**
   * Go to another match.
   *
   * @param {number} step 1 or -1
   * @returns {number | null} The line to show.
   */
  go(step) {
    if (!this.found.length) return null;
    this.at = (this.at + step + this.found.length) % this.found.length;
    return this.found[this.at] - this._log.dropped;
  }

  /** @param {number} line @returns {boolean} whether it is the match that was gone to */
  isCurrent(line) {
    return this.at >= 0 && this.found[this.at] === line + this._log.dropped;
  }

  get words() {
    if (!this.query) return "";
    const more = this.done ? "" : "…";
    if (!this.found.length) return this.done ? "no match" : "…";
    return this.at < 0 ? `${this.found.length}${more}` : `${this.at + 1} of ${this.found.length}${more}`;
  }
}
