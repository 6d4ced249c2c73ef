/** Log tab of a job: live output that is followed, wrapped and searched. */

/** @import { IconName } from "./icons.js" */
/** @import { JobStore } from "./job_store.js" */
/** @import { Block, LogBuffer } from "./log_buffer.js" */
/** @import { Job } from "./types.js" */
import { renderLine, sliceSpans } from "./ansi_text.js";
import { button, h, iconButton, setAttribute, setText } from "./dom.js";
import { saveBlob } from "./downloads.js";
import { progressText, reasonText } from "./format.js";
import { icon } from "./icons.js";
import { JobLog } from "./log_buffer.js";
import { TimeSlice } from "./time_slicing.js";
import { VirtualList } from "./virtual_list.js";

/** Pixels. */
const ROW_HEIGHT = 18;
/** Pixels of a row that are not for the text, with the times of lines and without. */
const GUTTER_WITH_TIMES = 108;
const GUTTER = 16;
/** Characters of a line in one row where nothing is wrapped; a longer one says so. */
const MOST_UNWRAPPED = 4_000;
/** Lines that are measured, or searched, between two looks at the clock. */
const MEASURED_AT_ONCE = 256;
const SEARCHED_AT_ONCE = 100;
const NUMBER = new Intl.NumberFormat("en");

/** Log tab, drawn at most once a frame. */
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
    this._layout = new LogLayout(this._lines);
    this._droppedRows = 0;
    this._search = new LogSearch(this._lines, () => this._scheduleUpdate());
    this._withTimes = false;
    this._frame = 0;
    this._rows = this._makeRows();
    this._followButton = this._makeToggle("end", "Follow the end", () => this._setFollowing(!this._rows.following));
    this._wrapButton = this._makeToggle("wrap", "Wrap long lines", () => this._setWrapped(!this._layout.columns));
    this._timesButton = this._makeToggle("time", "Show times", () => this._showTimes(!this._withTimes));
    this._query = this._makeQuery();
    this._matchStatus = h("span", { class: "nds-count nds-log-found", role: "status", "aria-live": "polite" });
    this._status = h("span", { class: "nds-count nds-log-status", role: "status", "aria-live": "off" });
    this._reloadButton = button("Load skipped lines", () => this._reload(), { hidden: true });
    this._placeholder = h("p", { class: "nds-log-nothing" });
    this.element = h("div", { class: "nds-log" }, this._makeToolbar(), this._placeholder, this._rows.element);
    this._ends = [this._log.onChange(() => this._scheduleUpdate()), store.onChange((changed) => this._onJobs(changed))];
    this._observer = new ResizeObserver(() => this._layout.columns && this._setWrapped(true));
    this._observer.observe(this._rows.element);
    this._setFollowing(true);
    this._scheduleUpdate();
  }

  dispose() {
    for (const end of this._ends) end();
    this._observer.disconnect();
    this._rows.dispose();
    this._log.dispose();
    cancelAnimationFrame(this._frame);
  }

  /** @param {boolean} visible */
  onVisibility(visible) {
    if (visible) this._scheduleUpdate();
  }

  _makeToolbar() {
    return h(
      "div",
      { class: "nds-toolbar", role: "toolbar", "aria-label": "Log" },
      this._query,
      this._matchStatus,
      iconButton(icon("previous"), "Previous match", () => this._goToMatch(-1)),
      iconButton(icon("next"), "Next match", () => this._goToMatch(1)),
      this._followButton,
      this._wrapButton,
      this._timesButton,
      iconButton(icon("down"), "Download the log", () => this._download(), { class: "nds-download" }),
      this._reloadButton,
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
        if (event.key === "Enter") this._goToMatch(event.shiftKey ? -1 : 1);
      },
    });
  }

  /**
   * @param {IconName} name
   * @param {string} label
   * @param {() => void} onclick
   */
  _makeToggle(name, label, onclick) {
    return iconButton(icon(name), label, onclick, { "aria-pressed": "false" });
  }

  _makeRows() {
    const rows = new VirtualList({
      height: ROW_HEIGHT,
      make: () => this._makeRow(),
      key: (row) => row + this._droppedRows,
      onFollow: (atEnd) => this._setFollowing(atEnd),
      props: { class: "nds-log-rows", tabIndex: 0, role: "log", "aria-live": "off", "aria-label": "Log" },
    });
    rows.element.addEventListener("keydown", (event) => this._onKey(event));
    return rows;
  }

  _makeRow() {
    const clock = h("span", { class: "nds-log-time", "aria-hidden": "true" });
    const text = h("span", { class: "nds-log-text" });
    const element = h("div", { class: "nds-row nds-log-row" }, clock, text);
    const update = (/** @type {number} */ row) => this._updateRow(row, element, clock, text);
    return { element, update };
  }

  /**
   * @param {number} row
   * @param {HTMLElement} element
   * @param {HTMLElement} clock
   * @param {HTMLElement} text
   */
  _updateRow(row, element, clock, text) {
    const { line, from, to } = this._layout.segmentAt(row);
    const { text: whole, spans } = this._lines.styledLineAt(line);
    const time = this._lines.timeAt(line);
    const isCut = !this._layout.columns && whole.length > to;
    const part = from || whole.length > to ? whole.slice(from, to) : whole;
    const shown = isCut ? `${part} … (${whole.length - to} more characters: wrap the lines to see them)` : part;
    renderLine(text, shown, sliceSpans(spans, from, to), this._search.query);
    element.classList.toggle("nds-stderr", this._lines.isStderr(line));
    element.classList.toggle("nds-remark", Number.isNaN(time));
    element.classList.toggle("nds-current", this._search.isCurrent(line));
    setText(clock, this._withTimes && from === 0 ? clockText(time) : "");
  }

  /** @param {ReadonlySet<string> | null} changed */
  _onJobs(changed) {
    if (!changed || changed.has(this._jobId)) this._scheduleUpdate();
  }

  _scheduleUpdate() {
    if (this._frame) return;
    this._frame = requestAnimationFrame(() => {
      this._frame = 0;
      this._update();
    });
  }

  _update() {
    this._search.resume();
    const rows = this._layout.measure();
    const { complete, droppedRows } = this._layout;
    const dropped = Math.max(0, droppedRows - this._droppedRows);
    this._droppedRows = droppedRows;
    this._rows.setCount(rows, dropped);
    setText(this._matchStatus, this._search.summary);
    setText(this._status, this._statusText());
    const job = this._store.jobs.get(this._jobId);
    setText(this._placeholder, this._lines.end ? "" : placeholderText(job, this._log.state));
    this._reloadButton.hidden = !this._log.gaps;
    if (!complete) this._scheduleUpdate();
  }

  _reload() {
    this._log.reload();
    this._search.restart();
  }

  _statusText() {
    const { problem, state } = this._log;
    const { end, first } = this._lines;
    if (problem && !end) return problem;
    const lines = `${NUMBER.format(end)} ${end === 1 ? "line" : "lines"}`;
    const kept = first ? `, the last ${NUMBER.format(end - first)} here` : "";
    const stateText = { loading: "loading …", live: "live", ended: "" }[state];
    return [`${lines}${kept}`, stateText].filter(Boolean).join(" · ");
  }

  /** @param {1 | -1} step */
  _goToMatch(step) {
    const match = this._search.step(step);
    if (match === null) return;
    this._setFollowing(false);
    this._rows.scrollToRow(this._layout.rowOf(match.line, match.character));
    this._scheduleUpdate();
  }

  /** @param {boolean} following */
  _setFollowing(following) {
    this._rows.following = following;
    setAttribute(this._followButton, "aria-pressed", String(following));
    if (following) this._rows.scrollToEnd();
  }

  /** @param {boolean} wrapped */
  _setWrapped(wrapped) {
    const columns = wrapped ? this._columnsInView() : 0;
    setAttribute(this._wrapButton, "aria-pressed", String(wrapped));
    if (columns === this._layout.columns) return;
    this._layout.wrap(columns);
    this._droppedRows = this._layout.droppedRows;
    this._scheduleUpdate();
  }

  _columnsInView() {
    const probe = h("span", { class: "nds-log-text nds-offscreen" }, "x".repeat(100));
    this._rows.element.append(probe);
    const width = probe.getBoundingClientRect().width / 100 || 8;
    probe.remove();
    const gutter = this._withTimes ? GUTTER_WITH_TIMES : GUTTER;
    return Math.max(20, Math.floor((this._rows.element.clientWidth - gutter) / width));
  }

  /** @param {boolean} withTimes */
  _showTimes(withTimes) {
    this._withTimes = withTimes;
    setAttribute(this._timesButton, "aria-pressed", String(withTimes));
    this._rows.element.classList.toggle("nds-with-times", withTimes);
    if (this._layout.columns) this._setWrapped(true);
    this._scheduleUpdate();
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
  _onKey(event) {
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
 * Text that stands where lines would.
 *
 * @param {Job | undefined} job
 * @param {"loading" | "live" | "ended"} state of the log
 */
function placeholderText(job, state) {
  if (!job || state === "loading") return "";
  if (job.phase === "running") return "Nothing written yet.";
  if (job.phase !== "finished") return job.message || progressText(job);
  return job.started ? "The script wrote nothing." : reasonText(job);
}

/**
 * @typedef {object} BlockLayout
 * @property {Block} block of lines
 * @property {number[]} ends rows up to the end of each line, counted from the block's first
 * @property {number} start rows before it
 */

/** Layout of lines in rows, wrapped or not: which row shows which part of which line. */
export class LogLayout {
  /** @param {LogBuffer} lines */
  constructor(lines) {
    this._lines = lines;
    /** Characters of a row; 0 where lines are not wrapped. */
    this.columns = 0;
    /** Whether all lines are measured. */
    this.complete = true;
    this._wrappedDropped = 0;
    /** @type {BlockLayout[]} */
    this._blocks = [];
  }

  /** Rows that went with the lines that are no longer kept. */
  get droppedRows() {
    return this.columns ? this._wrappedDropped : this._lines.first;
  }

  /** @param {number} columns */
  wrap(columns) {
    this.columns = columns;
    this._blocks = [];
    this._wrappedDropped = 0;
  }

  /** Measure what is new, for as long as a time slice lasts. @returns {number} rows so far */
  measure() {
    const { blocks, end, first } = this._lines;
    this.complete = true;
    if (!this.columns) return end - first;
    this._dropBlocks();
    const slice = new TimeSlice();
    let rows = 0;
    for (let at = 0; at < blocks.length && this.complete; at += 1) {
      const layout = (this._blocks[at] ??= { block: blocks[at], ends: [], start: 0 });
      layout.start = rows;
      this.complete = this._measureBlock(layout, slice);
      rows += layout.ends.at(-1) ?? 0;
    }
    return rows;
  }

  _dropBlocks() {
    const { blocks } = this._lines;
    while (this._blocks.length && this._blocks[0].block.first < blocks[0].first) {
      this._wrappedDropped += this._blocks.shift()?.ends.at(-1) ?? 0;
    }
    // The lines may have come anew.
    if (this._blocks.length && this._blocks[0].block !== blocks[0]) this._blocks = [];
  }

  /** @param {BlockLayout} layout @param {TimeSlice} slice @returns {boolean} whether all of it is measured */
  _measureBlock({ block, ends }, slice) {
    const count = block.texts.length;
    // The last line may have grown since.
    ends.length = Math.max(0, Math.min(ends.length, count) - 1);
    for (let at = ends.length; at < count; at += 1) {
      if (at % MEASURED_AT_ONCE === 0 && slice.expired) return false;
      const { length } = this._lines.textAt(block.first + at);
      ends.push((ends[at - 1] ?? 0) + Math.max(1, Math.ceil(length / this.columns)));
    }
    return true;
  }

  /**
   * @param {number} row
   * @returns {{ line: number, from: number, to: number }} characters of a line
   */
  segmentAt(row) {
    if (!this.columns) return { line: this._lines.first + row, from: 0, to: MOST_UNWRAPPED };
    const { block, ends, start } = this._blocks[lastIndexWhere(this._blocks, ({ start }) => start <= row)];
    const at = lastIndexWhere(ends, (_end, index) => (ends[index - 1] ?? 0) <= row - start);
    const from = (row - start - (ends[at - 1] ?? 0)) * this.columns;
    return { line: block.first + at, from, to: from + this.columns };
  }

  /** @param {number} line @param {number} [character] @returns {number} the row that shows it */
  rowOf(line, character = 0) {
    if (!this.columns) return line - this._lines.first;
    const layout = this._blocks[lastIndexWhere(this._blocks, ({ block }) => block.first <= line)];
    if (!layout) return 0;
    const { block, ends, start } = layout;
    return start + (ends[line - block.first - 1] ?? 0) + Math.floor(character / this.columns);
  }
}

/**
 * Binary search for the last item for which something holds.
 *
 * @template T
 * @param {T[]} items
 * @param {(item: T, index: number) => boolean} holds for the first ones only
 * @returns {number} 0 where there is none
 */
function lastIndexWhere(items, holds) {
  let low = 0;
  let high = items.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (holds(items[middle], middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Search in a log that grows, in time slices: a million lines never freeze the page. */
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
    this.matches = [];
    /** Index of the match that was gone to; -1 for none. */
    this._current = -1;
    this._nextLine = 0;
    this._pattern = /(?:)/;
    this._running = false;
  }

  /** Search for a text as it is, in either case. @param {string} query */
  start(query) {
    this.query = query;
    this._pattern = new RegExp(query.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "i");
    this.restart();
  }

  /** Search all lines anew. */
  restart() {
    this.matches = [];
    this._current = -1;
    this._nextLine = 0;
    this.resume();
    this._onChange();
  }

  get done() {
    return this._nextLine >= this._completeEnd;
  }

  /** Search the lines that have come since. */
  async resume() {
    if (this._running || !this.query) return;
    this._running = true;
    const slice = new TimeSlice();
    while (this.query && !this.done) {
      this._searchSlice(slice);
      this._onChange();
      await slice.yield();
    }
    this._running = false;
  }

  /** End of the lines that are whole: one that goes on is searched later. */
  get _completeEnd() {
    const { end, open } = this._lines;
    return open ? end - 1 : end;
  }

  /** @param {TimeSlice} slice */
  _searchSlice(slice) {
    this._dropMatches();
    const end = this._completeEnd;
    let line = Math.max(this._nextLine, this._lines.first);
    do {
      const pause = Math.min(line + SEARCHED_AT_ONCE, end);
      for (; line < pause; line += 1) {
        if (this._pattern.test(this._lines.textAt(line))) this.matches.push(line);
      }
    } while (line < end && !slice.expired);
    this._nextLine = line;
  }

  /** Drop matches in lines that are no longer kept: they can't be shown. */
  _dropMatches() {
    const kept = this.matches.findIndex((line) => line >= this._lines.first);
    if (kept === 0 || !this.matches.length) return;
    const dropped = kept < 0 ? this.matches.length : kept;
    this.matches.splice(0, dropped);
    this._current = Math.max(-1, this._current - dropped);
  }

  /**
   * Go to the next match, or to the previous one.
   *
   * @param {1 | -1} step
   * @returns {{ line: number, character: number } | null}
   */
  step(step) {
    this._dropMatches();
    if (!this.matches.length) return null;
    const from = this._current < 0 && step < 0 ? 0 : this._current;
    this._current = (from + step + this.matches.length) % this.matches.length;
    const line = this.matches[this._current];
    return { line, character: Math.max(0, this._lines.textAt(line).search(this._pattern)) };
  }

  /** @param {number} line @returns {boolean} whether it is the match that was gone to */
  isCurrent(line) {
    return this._current >= 0 && this.matches[this._current] === line;
  }

  /** How many matches there are, and which is the current one, as text. */
  get summary() {
    if (!this.query) return "";
    const more = this.done ? "" : "…";
    if (!this.matches.length) return this.done ? "no match" : "…";
    return this._current < 0 ? `${this.matches.length}${more}` : `${this._current + 1} of ${this.matches.length}${more}`;
  }
}
