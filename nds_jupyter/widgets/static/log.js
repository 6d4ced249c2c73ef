/** The log of one job: live, searched, wrapped, followed. */

/** @import { Job } from "./types.js" */
/** @import { Store } from "./store.js" */
import { button, h, iconButton, saveBlob, setAttribute, setText } from "./dom.js";
import { progressText, reasonText } from "./format.js";
import { icon } from "./icons.js";
import { JobLog } from "./joblog.js";
import { cutSpans, paint } from "./logpaint.js";
import { LogRows } from "./logrows.js";
import { LogSearch } from "./logsearch.js";
import { Rows } from "./rows.js";

const ROW = 18;
const NUMBER = new Intl.NumberFormat("en");

export class LogView {
  /**
   * @param {Store} store
   * @param {string} jobId
   */
  constructor(store, jobId) {
    this._store = store;
    this._jobId = jobId;
    this._log = new JobLog(store, jobId);
    this._lines = this._log.lines;
    this._where = new LogRows(this._lines);
    this._gone = 0;
    this._search = new LogSearch(this._lines, () => this._schedule());
    this._withTimes = false;
    this._frame = 0;
    this._rows = new Rows({
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
      const { text: whole, spans } = this._lines.lookAt(line);
      const time = this._lines.timeAt(line);
      const cut = !this._where.columns && whole.length > to;
      const shown = from || whole.length > to ? whole.slice(from, to) : whole;
      const words = cut ? `${shown} … (${whole.length - to} more characters: wrap the lines to see them)` : shown;
      paint(text, words, cutSpans(spans, from, to), this._search.query);
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
