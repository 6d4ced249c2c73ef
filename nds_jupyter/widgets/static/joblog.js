/** The log of one job as the page has it: what was written so far, then what comes. */

/** @import { EventMessage, LogLine } from "./types.js" */
/** @import { Span } from "./ansi.js" */
/** @import { Store } from "./store.js" */
import { PLAIN, parseLine } from "./ansi.js";

/** Lines kept; a tab has to live with what it holds. The download has them all. */
export const MOST_LINES = 1_000_000;
const DROPPED_AT_ONCE = 100_000;

export class JobLog {
  /**
   * @param {Store} store
   * @param {string} jobId
   */
  constructor(store, jobId) {
    this._store = store;
    this._jobId = jobId;
    /** @type {Set<() => void>} */
    this._listeners = new Set();
    /** @type {string[]} */
    this.texts = [];
    /** @type {number[]} Milliseconds; NaN for a remark of our own. */
    this.times = [];
    /** @type {boolean[]} */
    this.errors = [];
    /** @type {Map<number, Span[]>} Counted from the first line ever, as `dropped` says. */
    this._spans = new Map();
    this._style = { stdout: PLAIN, stderr: PLAIN };
    /** @type {string} The stream whose last line goes on in the next. */
    this._cut = "";
    this._lastTime = "";
    this._resumedAt = "";
    this.dropped = 0;
    this.gaps = 0;
    /** @type {"loading" | "live" | "ended"} */
    this.state = "loading";
    this.problem = "";
    this._stopped = new AbortController();
    /** @type {() => void} */
    this._unwatch = () => {};
    this._load();
  }

  _clear() {
    for (const lines of [this.texts, this.times, this.errors]) lines.length = 0;
    this._spans.clear();
    this._style = { stdout: PLAIN, stderr: PLAIN };
    this._cut = this._lastTime = this._resumedAt = this.problem = "";
    this.dropped = this.gaps = 0;
    this.state = "loading";
  }

  get count() {
    return this.texts.length;
  }

  /** @param {number} index */
  spansAt(index) {
    return this._spans.get(index + this.dropped) ?? null;
  }

  /** @param {() => void} listener @returns {() => void} ends it */
  onChange(listener) {
    this._listeners.add(listener);
    return () => this._listeners.delete(listener);
  }

  dispose() {
    this._stopped.abort();
    this._unwatch();
  }

  /** Fetch all of it anew, with the lines that were skipped. */
  reload() {
    this.dispose();
    this._stopped = new AbortController();
    this._clear();
    this._tell();
    this._load();
  }

  async _load() {
    const { signal } = this._stopped;
    const ended = this._store.jobs.get(this._jobId)?.phase === "finished";
    try {
      for await (const lines of this._store.api.lines(this._jobId, null, signal)) {
        this._append(lines);
        // A long log arrives in many pieces: the page stays usable between them.
        await new Promise((resolve) => setTimeout(resolve));
      }
    } catch (error) {
      if (signal.aborted) return;
      this.problem = /** @type {Error} */ (error).message;
    }
    if (signal.aborted) return;
    this.state = ended ? "ended" : "live";
    if (!ended) this._watch();
    this._tell();
  }

  _watch() {
    this._unwatch = this._store.watch(this._jobId, {
      log: true,
      metrics: false,
      logSince: () => this._resume(),
      onLog: (message) => this._take(message),
      onSample: () => {},
    });
  }

  _resume() {
    this._resumedAt = this._lastTime;
    if (this._cut) {
      // The pieces of a line that is not whole come again.
      this._cut = "";
      this.texts.pop();
      this.times.pop();
      this.errors.pop();
    }
    return this._lastTime || null;
  }

  /** @param {EventMessage} message */
  _take(message) {
    if (message.refetch_since) {
      this.gaps += 1;
      const many = message.skipped ? `${message.skipped} lines` : "Some lines";
      this._remark(`… ${many} skipped: they came faster than this page could take them.`);
    }
    this.problem = "";
    this._append(message.lines ?? []);
    if (message.end) {
      this.state = "ended";
      this._unwatch();
    }
    this._tell();
  }

  /** @param {string} text */
  _remark(text) {
    this.texts.push(text);
    this.times.push(NaN);
    this.errors.push(false);
  }

  /** @param {LogLine[]} lines */
  _append(lines) {
    for (const line of lines) {
      // What the page has may be sent again when the log is taken up: the server knows microseconds.
      if (line.time <= this._resumedAt) continue;
      if (this._cut === line.stream) this._extend(line);
      else this._add(line);
      this._cut = line.cut ? line.stream : "";
      if (!line.cut) this._lastTime = line.time;
    }
    if (this.texts.length > MOST_LINES) this._drop();
    this._tell();
  }

  /** @param {LogLine} line */
  _add({ stream, text: raw, time }) {
    const kind = stream === "stderr" ? "stderr" : "stdout";
    const { text, spans, style } = parseLine(raw, this._style[kind]);
    this._style[kind] = style;
    if (spans) this._spans.set(this.texts.length + this.dropped, spans);
    this.texts.push(text);
    this.times.push(Date.parse(time));
    this.errors.push(kind === "stderr");
  }

  /** @param {LogLine} line */
  _extend({ text }) {
    this.texts[this.texts.length - 1] += parseLine(text, PLAIN).text;
  }

  _drop() {
    const many = Math.max(DROPPED_AT_ONCE, this.texts.length - MOST_LINES);
    for (const lines of [this.texts, this.times, this.errors]) lines.splice(0, many);
    for (let index = 0; index < many; index += 1) this._spans.delete(index + this.dropped);
    this.dropped += many;
  }

  _tell() {
    for (const listener of this._listeners) listener();
  }
}
