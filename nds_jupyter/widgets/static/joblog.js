/** The log of one job as the page has it: what was written so far, then what comes. */

/** @import { EventMessage, LogLine } from "./types.js" */
/** @import { Store } from "./store.js" */
import { LogLines } from "./loglines.js";
import { Turn } from "./turn.js";

/** Before any line. A log of which nothing is there yet is followed from here, however much comes until it is. */
const BEGINNING = "1970-01-01T00:00:00.000000000Z";

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
    this.lines = new LogLines();
    /** @type {string} The stream whose last line goes on in the next. */
    this._cut = "";
    this._lastTime = "";
    this._resumedAt = "";
    this.gaps = 0;
    /** @type {"loading" | "live" | "ended"} */
    this.state = "loading";
    this.problem = "";
    this._stopped = new AbortController();
    /** @type {() => void} */
    this._unwatch = () => {};
    this._load();
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
    this.lines.clear();
    this._cut = this._lastTime = this._resumedAt = this.problem = "";
    this.gaps = 0;
    this.state = "loading";
    this._tell();
    this._load();
  }

  async _load() {
    const { signal } = this._stopped;
    const ended = this._store.jobs.get(this._jobId)?.phase === "finished";
    const turn = new Turn();
    try {
      for await (const lines of this._store.api.lines(this._jobId, null, signal)) {
        if (signal.aborted) return;
        this._append(lines);
        if (turn.over) await turn.next();
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
      this.lines.removeLast();
    }
    return this._lastTime || BEGINNING;
  }

  /** @param {EventMessage} message */
  _take(message) {
    if (message.refetch_since) {
      this.gaps += 1;
      this._cut = "";
      const many = message.skipped ? `${message.skipped} lines` : "Some lines";
      this.lines.add(`… ${many} skipped: they came faster than this page could take them.`, NaN, false);
    }
    this.problem = "";
    this._append(message.lines ?? []);
    if (message.end) {
      this.state = "ended";
      this._unwatch();
    }
    this._tell();
  }

  /** @param {LogLine[]} lines */
  _append(lines) {
    for (const { stream, text, time, cut = false } of lines) {
      // What the page has may be sent again when the log is taken up: the server knows microseconds.
      if (time <= this._resumedAt) continue;
      if (this._cut === stream) this.lines.extend(text, cut);
      else this.lines.add(text, Date.parse(time), stream === "stderr", cut);
      this._cut = cut ? stream : "";
      if (!cut) this._lastTime = time;
    }
    this._tell();
  }

  _tell() {
    for (const listener of this._listeners) listener();
  }
}
