/** Store of all jobs that a page knows, updated by the event feed and shared by the panels of the page. */

/** @import { ServerConnection } from "./server_connection.js" */
/** @import { ConnectionStatus, EventMessage, EventFeed, FollowedJob, Job, Load, Sample } from "./types.js" */
import { EventStream, EventPolling } from "./event_stream.js";
import { RestApi } from "./rest_api.js";

/** Milliseconds between two redraws; a burst of messages is one change. */
const SETTLE = 60;
const LOG_TAIL = 10_000;
/** Attempts after which a WebSocket that never opened is taken for one that can't. */
const ATTEMPTS = 3;
const STREAM_AGAIN = 60_000;

/**
 * @typedef {object} Watcher of one job
 * @property {boolean} log
 * @property {boolean} metrics
 * @property {() => string | null} logSince
 * @property {(message: EventMessage) => void} onLog
 * @property {(sample: Sample) => void} onSample
 */

export class JobStore {
  /** @param {ServerConnection} server */
  constructor(server) {
    this.api = new RestApi(server);
    /** @type {Map<string, Job>} */
    this.jobs = new Map();
    /** @type {Load | null} */
    this.load = null;
    /** @type {ConnectionStatus} */
    this.connection = "connecting";
    this.loaded = false;
    this.problem = "";
    /** @type {Set<(changed: ReadonlySet<string> | null) => void>} */
    this._listeners = new Set();
    /** @type {Set<(job: Job) => void>} */
    this._endListeners = new Set();
    /** @type {Map<string, Set<Watcher>>} */
    this._watchers = new Map();
    /** @type {Map<string, FollowedJob>} */
    this._followed = new Map();
    /** @type {Map<string, Job | null> | null} What was told while the list is being fetched. */
    this._meanwhile = null;
    /** @type {Set<string> | null} Jobs that changed since listeners were told; null: any of them. */
    this._changed = new Set();
    this._telling = false;
    this._failures = 0;
    this._closed = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this._streamAgain = undefined;
    /** @type {EventFeed} */
    this._feed = server.events ? this._stream() : this._polling();
  }

  /**
   * @param {(changed: ReadonlySet<string> | null) => void} listener called after changes, of other things than jobs too,
   * with the ids of the jobs that came, changed or went; null: whatever
   * @returns {() => void} ends it
   */
  onChange(listener) {
    this._listeners.add(listener);
    return () => this._listeners.delete(listener);
  }

  /** @param {(job: Job) => void} listener called once for each job that ends @returns {() => void} */
  onEnd(listener) {
    this._endListeners.add(listener);
    return () => this._endListeners.delete(listener);
  }

  /** @param {string} jobId @param {Watcher} watcher @returns {() => void} ends it */
  watch(jobId, watcher) {
    const watchers = this._watchers.get(jobId) ?? new Set();
    this._watchers.set(jobId, watchers.add(watcher));
    this._feed.watch(() => this._follow());
    return () => {
      watchers.delete(watcher);
      if (!watchers.size) this._watchers.delete(jobId);
      this._feed.watch(() => this._follow());
    };
  }

  /** @param {Job} job that an answer just told of */
  put(job) {
    this._apply(job.job_id, job);
  }

  /** @param {string} jobId */
  drop(jobId) {
    this._apply(jobId, null);
  }

  close() {
    this._closed = true;
    this._feed.close();
  }

  /** @returns {EventFeed} */
  _stream() {
    const { url } = this.api.server;
    return new EventStream(
      url,
      (message) => this._take(message),
      (status) => this._report(status),
    );
  }

  /** @returns {EventFeed} */
  _polling() {
    return new EventPolling(
      this.api,
      (message) => this._take(message),
      (status) => this._report(status),
    );
  }

  /** @param {ConnectionStatus} status */
  _report(status) {
    if (status === "live") this._failures = 0;
    if (status === "lost") {
      // Another connection sends what it is asked for anew.
      this._followed.clear();
      this._failures += 1;
      if (this.connection === "connecting" && this._failures >= ATTEMPTS && !this._closed) {
        this._changeFeed(() => this._polling());
        clearTimeout(this._streamAgain);
        this._streamAgain = setTimeout(() => this._changeFeed(() => this._stream()), STREAM_AGAIN);
        return;
      }
      if (this.connection === "connecting") return;
    }
    if (status !== this.connection) {
      this.connection = status;
      this._change();
    }
  }

  /** @param {() => EventFeed} make */
  _changeFeed(make) {
    if (this._closed) return;
    this._feed.close();
    this.connection = "connecting";
    this._feed = make();
    this._feed.watch(() => this._follow());
  }

  /** @param {EventMessage & Partial<Load>} message */
  _take(message) {
    const jobId = message.job_id ?? "";
    if (message.type === "reset") this._fetch();
    else if (message.type === "job") this._apply(jobId, message.deleted ? null : (message.job ?? null));
    else if (message.type === "log") this._tell(jobId, (each) => each.log && each.onLog(message));
    else if (message.type === "metric") {
      const { sample } = message;
      if (sample) this._tell(jobId, (each) => each.metrics && each.onSample(sample));
    } else if (message.type === "load") {
      this.load = /** @type {Load} */ (/** @type {unknown} */ (message));
      this._change();
    }
  }

  /** @param {string} jobId @param {(watcher: Watcher) => void} tell */
  _tell(jobId, tell) {
    for (const watcher of this._watchers.get(jobId) ?? []) tell(watcher);
  }

  /** Fetch the whole list; what is told meanwhile is newer than what it brings. */
  async _fetch() {
    const meanwhile = (this._meanwhile = new Map());
    const fresh = new Map();
    try {
      for await (const rows of this.api.pages("/jobs", { limit: 1000 })) {
        if (this._meanwhile !== meanwhile) return;
        for (const job of rows) fresh.set(job.job_id, job);
        if (!this.loaded) this._show(fresh, meanwhile);
      }
      this._show(fresh, meanwhile);
      this.problem = "";
      this.loaded = true;
    } catch (error) {
      this.problem = String(/** @type {Error} */ (error).message);
      setTimeout(() => this._meanwhile === null && !this._closed && this._fetch(), 5_000);
    }
    if (this._meanwhile === meanwhile) this._meanwhile = null;
    this._change();
  }

  /** @param {Map<string, Job>} fresh @param {Map<string, Job | null>} meanwhile */
  _show(fresh, meanwhile) {
    const before = this.jobs;
    this.jobs = new Map(fresh);
    this._changed = null;
    for (const [jobId, job] of meanwhile) {
      if (job) this.jobs.set(jobId, job);
      else this.jobs.delete(jobId);
    }
    for (const [jobId, job] of this.jobs) this._noticeEnd(before.get(jobId), job);
    this._change();
  }

  /** @param {string} jobId @param {Job | null} job */
  _apply(jobId, job) {
    this._meanwhile?.set(jobId, job);
    const before = this.jobs.get(jobId);
    this._changed?.add(jobId);
    if (job) this.jobs.set(jobId, job);
    else this.jobs.delete(jobId);
    if (job) this._noticeEnd(before, job);
    this._change();
  }

  /** @param {Job | undefined} before @param {Job} job */
  _noticeEnd(before, job) {
    if (!before || before.phase === "finished" || job.phase !== "finished") return;
    for (const listener of this._endListeners) listener(job);
  }

  _change() {
    if (this._telling) return;
    this._telling = true;
    setTimeout(() => {
      const changed = this._changed;
      this._changed = new Set();
      this._telling = false;
      for (const listener of this._listeners) listener(changed);
    }, SETTLE);
  }

  /** @returns {FollowedJob[]} An entry that stays the same goes on undisturbed. */
  _follow() {
    const wanted = new Map();
    for (const [job_id, watchers] of this._watchers) {
      const log = [...watchers].find((watcher) => watcher.log);
      const metrics = [...watchers].some((watcher) => watcher.metrics);
      if (!log && !metrics) continue;
      const before = this._followed.get(job_id);
      const log_since = before?.log && log ? before.log_since : (log?.logSince() ?? null);
      wanted.set(job_id, { job_id, log: !!log, log_since, log_tail: LOG_TAIL, metrics });
    }
    this._followed = wanted;
    return [...wanted.values()].slice(-32);
  }
}

/** The stores of this page, so that all panels of all cells and sidebars share one connection. */
const SHARED = Symbol.for("nds_jupyter.stores");

/** @param {ServerConnection} server @returns {{ store: JobStore, release: () => void }} */
export function sharedStore(server) {
  const page = /** @type {Record<symbol, Map<string, { store: JobStore, users: number }>>} */ (
    /** @type {unknown} */ (globalThis)
  );
  const stores = (page[SHARED] ??= new Map());
  const entry = stores.get(server.url) ?? { store: new JobStore(server), users: 0 };
  stores.set(server.url, entry);
  entry.users += 1;
  const release = () => {
    entry.users -= 1;
    if (entry.users > 0) return;
    entry.store.close();
    stores.delete(server.url);
  };
  return { store: entry.store, release };
}
