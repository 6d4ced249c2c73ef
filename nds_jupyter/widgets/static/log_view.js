/** Log tab of a job: live output that is followed, wrapped and searched. */

/** @import { JobStore } from "./job_store.js" */
/** @import { Block, LogBuffer } from "./log_buffer.js" */
/** @import { Job } from "./types.js" */
import { sliceSpans, renderLine } from "./ansi_text.js";
import { button, h, iconButton, saveBlob, setAttribute, setText } from "./dom.js";
import { progressText, reasonText } from "./format.js";
import { icon } from "./icons.js";
import { JobLog } from "./log_buffer.js";
import { TimeSlice } from "./time_slicing.js";
import { VirtualList } from "./virtual_list.js";

const ROW = 18;
const NUMBER = new Intl.NumberFormat("en");

export class LogView {
  /**
   * @param {JobStore} store
   * @param {string} jobId
   */
  constructor(store, jobId) {
    this._store = store;
    this._jobId = jobId;
    this._log = new JobLog(store, jobId);
    this._lines = this._log.lines;
    this._where = new LogLayout(this._lines);
    this._gone = 0;
    this._search = new LogSearch(this._lines, () => this._schedule());
    this._withTimes = false;
    this._frame = 0;
    this._rows = new VirtualList({
      height: ROW,
      make: () => this._makeRow(),
      key: (row) => row + this._gone,
      onFollow: (atEnd) => this._setFollowing(atEnd),
      props: { class: "nds-log-rows", tabIndex: 0, role: "log", "aria-live": "off", "aria-label": "Log" },
    });
    this._rows.element.addEventListener("keydown", (event) => this._key(event));
    this._follow = this._toggle("end", "Follow the end", () => this._setFollowing(!this._rows.following));
    this._wrap = this._toggle("wrap", "Wrap long lines", () => this._setWrap(!this._where.columns));
    this._times = this._toggle("time", "Show times", () => this._setTimes(!this._withTimes));
    this._query = this._makeQuery();
    this._found = h("span", { class: "nds-count nds-log-found", role: "status", "aria-live": "polite" });
    this._status = h("span", { class: "nds-count nds-log-status", role: "status", "aria-live": "off" });
    this._reload = button("Load skipped lines", () => this._loadAnew(), { hidden: true });
    this._nothing = h("p", { class: "nds-log-nothing" });
    this.element = h("div", { class: "nds-log" }, this._makeToolbar(), this._nothing, this._rows.element);
    this._end = this._log.onChange(() => this._schedule());
    this._endOfJob = store.onChange((changed) => {
      if (!changed || changed.has(jobId)) this._schedule();
    });
    this._observer = new ResizeObserver(() => this._where.columns && this._setWrap(true));
    this._observer.observe(this._rows.element);
    this._setFollowing(true);
    this._schedule();
  }

  dispose() {
    this._end();
    this._endOfJob();
    this._observer.disconnect();
    this._rows.dispose();
    this._log.dispose();
    cancelAnimationFrame(this._frame);
  }

  /** @param {boolean} visible */
  shown(visible) {
    if (visible) this._schedule();
  }

  _makeToolbar() {
    return h(
      "div",
      { class: "nds-toolbar", role: "toolbar", "aria-label": "Log" },
      this._query,
      this._found,
      iconButton(icon("previous"), "Previous match", () => this._go(-1)),
      iconButton(icon("next"), "Next match", () => this._go(1)),
      this._follow,
      this._wrap,
      this._times,
      iconButton(icon("down"), "Download the log", () => this._download(), { class: "nds-download" }),
      this._reload,
      this._status,
    );
  }

  _makeQuery() {
    return h("input", {
      type: "search",
      class: "nds-input",
      placeholder: "Search in the log",
      "aria-label": "Search in the log",
      oninput: () => this._search.start(this._query.value),
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
        event.stopPropagation();
        if (event.key === "Enter") this._go(event.shiftKey ? -1 : 1);
      },
    });
  }

  /**
   * @param {import("./icons.js").IconName} name
   * @param {string} label
   * @param {() => void} act
   */
  _toggle(name, label, act) {
    return iconButton(icon(name), label, act, { "aria-pressed": "false" });
  }

  _makeRow() {
    const clock = h("span", { class: "nds-log-time", "aria-hidden": "true" });
    const text = h("span", { class: "nds-log-text" });
    const element = h("div", { class: "nds-row nds-log-row" }, clock, text);
    /** @param {number} row */
    const update = (row) => {
      const { line, from, to } = this._where.at(row);
      const { text: whole, spans } = this._lines.styledLineAt(line);
      const time = this._lines.timeAt(line);
      const cut = !this._where.columns && whole.length > to;
      const shown = from || whole.length > to ? whole.slice(from, to) : whole;
      const words = cut ? `${shown} … (${whole.length - to} more characters: wrap the lines to see them)` : shown;
      renderLine(text, words, sliceSpans(spans, from, to), this._search.query);
      element.classList.toggle("nds-stderr", this._lines.isError(line));
      element.classList.toggle("nds-remark", Number.isNaN(time));
      element.classList.toggle("nds-current", this._search.isCurrent(line));
      setText(clock, this._withTimes && from === 0 ? clockText(time) : "");
    };
    return { element, update };
  }

  _schedule() {
    if (this._frame) return;
    this._frame = requestAnimationFrame(() => {
      this._frame = 0;
      this._update();
    });
  }

  _update() {
    this._search.more();
    const rows = this._where.measure();
    const { complete, gone } = this._where;
    const dropped = Math.max(0, gone - this._gone);
    this._gone = gone;
    this._rows.setCount(rows, dropped);
    setText(this._found, this._search.words);
    setText(this._status, this._words());
    setText(this._nothing, this._lines.end ? "" : nothingText(this._store.jobs.get(this._jobId), this._log.state));
    this._reload.hidden = !this._log.gaps;
    if (!complete) this._schedule();
  }

  _loadAnew() {
    this._log.reload();
    this._search.again();
  }

  _words() {
    const { problem, state } = this._log;
    const { end, first } = this._lines;
    if (problem && !end) return problem;
    const lines = `${NUMBER.format(end)} ${end === 1 ? "line" : "lines"}`;
    const kept = first ? `, the last ${NUMBER.format(end - first)} here` : "";
    const how = /** @type {Record<string, string>} */ ({ loading: "loading …", live: "live", ended: "" })[state];
    return [`${lines}${kept}`, how].filter(Boolean).join(" · ");
  }

  /** @param {number} step */
  _go(step) {
    const match = this._search.go(step);
    if (match === null) return;
    this._setFollowing(false);
    this._rows.show(this._where.rowOf(match.line, match.character));
    this._schedule();
  }

  /** @param {boolean} following */
  _setFollowing(following) {
    this._rows.following = following;
    setAttribute(this._follow, "aria-pressed", String(following));
    if (following) this._rows.toEnd();
  }

  /** @param {boolean} wrapped */
  _setWrap(wrapped) {
    const columns = wrapped ? this._columns() : 0;
    setAttribute(this._wrap, "aria-pressed", String(wrapped));
    if (columns === this._where.columns) return;
    this._where.wrap(columns);
    this._gone = this._where.gone;
    this._schedule();
  }

  _columns() {
    const probe = h("span", { class: "nds-log-text nds-offscreen" }, "x".repeat(100));
    this._rows.element.append(probe);
    const width = probe.getBoundingClientRect().width / 100 || 8;
    probe.remove();
    const gutter = this._withTimes ? 108 : 16;
    return Math.max(20, Math.floor((this._rows.element.clientWidth - gutter) / width));
  }

  /** @param {boolean} withTimes */
  _setTimes(withTimes) {
    this._withTimes = withTimes;
    setAttribute(this._times, "aria-pressed", String(withTimes));
    this._rows.element.classList.toggle("nds-with-times", withTimes);
    if (this._where.columns) this._setWrap(true);
    this._schedule();
  }

  async _download() {
    const headers = { Accept: "text/plain" };
    try {
      const answer = await this._store.api.request("GET", "/stdout", { job_id: this._jobId }, { headers });
      saveBlob(await answer.blob(), `${this._jobId}.log`);
    } catch (error) {
      setText(this._status, /** @type {Error} */ (error).message);
    }
  }

  /** @param {KeyboardEvent} event */
  _key(event) {
    if (event.key === "f" && (event.ctrlKey || event.metaKey)) this._query.focus();
    else if (event.key === "End") this._setFollowing(true);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

/** @param {number} time milliseconds */
function clockText(time) {
  return Number.isNaN(time) ? "" : new Date(time).toISOString().slice(11, 23);
}

/**
 * What stands where lines would.
 *
 * @param {Job | undefined} job
 * @param {"loading" | "live" | "ended"} state of the log
 */
function nothingText(job, state) {
  if (!job || state === "loading") return "";
  if (job.phase === "running") return "Nothing written yet.";
  if (job.phase !== "finished") return job.message || progressText(job);
  return job.started ? "The script wrote nothing." : reasonText(job);
}

/** Characters of a line in one row where nothing is wrapped; a longer one says so. */
const WIDEST = 4_000;
/** Lines that are measured between two looks at the clock. */
const MEASURED_AT_ONCE = 256;

/**
 * @typedef {object} BlockLayout a block of lines
 * @property {Block} block
 * @property {number[]} ends rows up to the end of each line, counted from the block's first
 * @property {number} start rows before it
 */

export class LogLayout {
  /** @param {LogBuffer} lines */
  constructor(lines) {
    this._lines = lines;
    /** Characters of a row; 0 where lines are not wrapped. */
    this.columns = 0;
    /** Whether all lines are measured. */
    this.complete = true;
    this._gone = 0;
    /** @type {BlockLayout[]} */
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
    const turn = new TimeSlice();
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

  /** @param {BlockLayout} measured @param {TimeSlice} turn @returns {boolean} whether all of it is */
  _measure({ block, ends }, turn) {
    const count = block.texts.length;
    // The last line may have grown since.
    ends.length = Math.max(0, Math.min(ends.length, count) - 1);
    for (let at = ends.length; at < count; at += 1) {
      if (at % MEASURED_AT_ONCE === 0 && turn.over) return false;
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

/** Lines that are searched between two looks at the clock. */
const SEARCHED_AT_ONCE = 100;

export class LogSearch {
  /**
   * @param {LogBuffer} lines
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
    const turn = new TimeSlice();
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

  /** @param {TimeSlice} turn */
  _look(turn) {
    this._forget();
    const whole = this._whole;
    let line = Math.max(this._reached, this._lines.first);
    do {
      const pause = Math.min(line + SEARCHED_AT_ONCE, whole);
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
