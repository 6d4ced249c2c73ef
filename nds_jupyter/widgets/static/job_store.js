/** Store of all jobs that a page knows, updated by the event feed and shared by the panels of the page. */

/** @import { ServerConnection } from "./server_connection.js" */
/** @import { ConnectionStatus, EventMessage, EventFeed, FollowedJob, Job, Load, Sample } from "./types.js" */
import { EventStream, EventPolling } from "./event_stream.js";
import { RestApi } from "./rest_api.js";

/** Milliseconds until listeners are told of a change; a burst of messages is one change. */
const NOTIFY_DELAY = 60;
const LOG_TAIL = 10_000;
/** Attempts after which polling replaces a WebSocket that never opened. */
const ATTEMPTS = 3;
const STREAM_RETRY = 60_000;

/**
 * @typedef {object} Watcher receiver of the log or the metrics of one job
 * @property {boolean} log
 * @property {boolean} metrics
 * @property {() => string | null} logSince
 * @property {(message: EventMessage) => void} onLog
 * @property {(sample: Sample) => void} onSample
 */

/** Observable store of the jobs, with the load of the engine and the state of the connection. */
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
    this._lastFollowed = new Map();
    /** @type {Map<string, Job | null> | null} Jobs that changed, null for deleted ones, while the list is being fetched. */
    this._changedMeanwhile = null;
    /** @type {Set<string> | null} Jobs that changed since listeners were told; null: any of them. */
    this._changed = new Set();
    this._scheduled = false;
    this._failures = 0;
    this._closed = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this._streamRetry = undefined;
    /** @type {EventFeed} */
    this._feed = server.isDirect ? this._openStream() : this._openPolling();
  }

  /**
   * Listen to changes.
   *
   * @param {(changed: ReadonlySet<string> | null) => void} listener called after changes, of other things than jobs too,
   * with the ids of the jobs that came, changed or went; null: whatever
   * @returns {() => void} ends it
   */
  onChange(listener) {
    this._listeners.add(listener);
    return () => this._listeners.delete(listener);
  }

  /** Listen to ends. @param {(job: Job) => void} listener called once for each job that ends @returns {() => void} */
  onEnd(listener) {
    this._endListeners.add(listener);
    return () => this._endListeners.delete(listener);
  }

  /** Receive the log or the metrics of a job. @param {string} jobId @param {Watcher} watcher @returns {() => void} ends it */
  watch(jobId, watcher) {
    const watchers = this._watchers.get(jobId) ?? new Set();
    this._watchers.set(jobId, watchers.add(watcher));
    this._feed.follow(() => this._followedJobs());
    return () => {
      watchers.delete(watcher);
      if (!watchers.size) this._watchers.delete(jobId);
      this._feed.follow(() => this._followedJobs());
    };
  }

  /** @param {Job} job that an answer just told of */
  put(job) {
    this._setJob(job.job_id, job);
  }

  /** @param {string} jobId */
  drop(jobId) {
    this._setJob(jobId, null);
  }

  close() {
    this._closed = true;
    this._feed.close();
  }

  /** @returns {EventFeed} */
  _openStream() {
    const { url } = this.api.server;
    return new EventStream(
      url,
      (message) => this._onMessage(message),
      (status) => this._onStatus(status),
    );
  }

  /** @returns {EventFeed} */
  _openPolling() {
    return new EventPolling(
      this.api,
      (message) => this._onMessage(message),
      (status) => this._onStatus(status),
    );
  }

  /** Notice the state of the feed; a WebSocket that never opens is replaced by polling. @param {ConnectionStatus} status */
  _onStatus(status) {
    if (status === "live") this._failures = 0;
    if (status === "lost") {
      // Another connection sends what it is asked for anew.
      this._lastFollowed.clear();
      this._failures += 1;
      if (this.connection === "connecting" && this._failures >= ATTEMPTS && !this._closed) {
        this._switchFeed(() => this._openPolling());
        clearTimeout(this._streamRetry);
        this._streamRetry = setTimeout(() => this._switchFeed(() => this._openStream()), STREAM_RETRY);
        return;
      }
      if (this.connection === "connecting") return;
    }
    if (status !== this.connection) {
      this.connection = status;
      this._schedule();
    }
  }

  /** @param {() => EventFeed} make */
  _switchFeed(make) {
    if (this._closed) return;
    this._feed.close();
    this.connection = "connecting";
    this._feed = make();
    this._feed.follow(() => this._followedJobs());
  }

  /** @param {EventMessage & Partial<Load>} message */
  _onMessage(message) {
    const jobId = message.job_id ?? "";
    if (message.type === "reset") this._fetchList();
    else if (message.type === "job") this._setJob(jobId, message.deleted ? null : (message.job ?? null));
    else if (message.type === "log") this._notifyWatchers(jobId, (each) => each.log && each.onLog(message));
    else if (message.type === "metric") {
      const { sample } = message;
      if (sample) this._notifyWatchers(jobId, (each) => each.metrics && each.onSample(sample));
    } else if (message.type === "load") {
      this.load = /** @type {Load} */ (/** @type {unknown} */ (message));
      this._schedule();
    }
  }

  /** @param {string} jobId @param {(watcher: Watcher) => void} tell */
  _notifyWatchers(jobId, tell) {
    for (const watcher of this._watchers.get(jobId) ?? []) tell(watcher);
  }

  /** Fetch the whole list; what is told meanwhile is newer than what it brings. */
  async _fetchList() {
    const meanwhile = (this._changedMeanwhile = new Map());
    const fresh = new Map();
    try {
      for await (const rows of this.api.pages("/jobs", { limit: 1000 })) {
        if (this._changedMeanwhile !== meanwhile) return;
        for (const job of rows) fresh.set(job.job_id, job);
        if (!this.loaded) this._replaceJobs(fresh, meanwhile);
      }
      this._replaceJobs(fresh, meanwhile);
      this.problem = "";
      this.loaded = true;
    } catch (error) {
      this.problem = String(/** @type {Error} */ (error).message);
      setTimeout(() => this._changedMeanwhile === null && !this._closed && this._fetchList(), 5_000);
    }
    if (this._changedMeanwhile === meanwhile) this._changedMeanwhile = null;
    this._schedule();
  }

  /** @param {Map<string, Job>} fresh @param {Map<string, Job | null>} meanwhile */
  _replaceJobs(fresh, meanwhile) {
    const before = this.jobs;
    this.jobs = new Map(fresh);
    this._changed = null;
    for (const [jobId, job] of meanwhile) {
      if (job) this.jobs.set(jobId, job);
      else this.jobs.delete(jobId);
    }
    for (const [jobId, job] of this.jobs) this._notifyEnd(before.get(jobId), job);
    this._schedule();
  }

  /** @param {string} jobId @param {Job | null} job */
  _setJob(jobId, job) {
    this._changedMeanwhile?.set(jobId, job);
    const before = this.jobs.get(jobId);
    this._changed?.add(jobId);
    if (job) this.jobs.set(jobId, job);
    else this.jobs.delete(jobId);
    if (job) this._notifyEnd(before, job);
    this._schedule();
  }

  /** @param {Job | undefined} before @param {Job} job */
  _notifyEnd(before, job) {
    if (!before || before.phase === "finished" || job.phase !== "finished") return;
    for (const listener of this._endListeners) listener(job);
  }

  _schedule() {
    if (this._scheduled) return;
    this._scheduled = true;
    setTimeout(() => {
      const changed = this._changed;
      this._changed = new Set();
      this._scheduled = false;
      for (const listener of this._listeners) listener(changed);
    }, NOTIFY_DELAY);
  }

  /** @returns {FollowedJob[]} What watchers want. An entry that stays the same goes on undisturbed. */
  _followedJobs() {
    const wanted = new Map();
    for (const [job_id, watchers] of this._watchers) {
      const log = [...watchers].find((watcher) => watcher.log);
      const metrics = [...watchers].some((watcher) => watcher.metrics);
      if (!log && !metrics) continue;
      const before = this._lastFollowed.get(job_id);
      const log_since = before?.log && log ? before.log_since : (log?.logSince() ?? null);
      wanted.set(job_id, { job_id, log: !!log, log_since, log_tail: LOG_TAIL, metrics });
    }
    this._lastFollowed = wanted;
    return [...wanted.values()].slice(-32);
  }
}

/** Key of the page's stores: all panels of all cells and sidebars share one connection to a server. */
const SHARED = Symbol.for("nds_jupyter.stores");

/** Get the page's store for a server. @param {ServerConnection} server @returns {{ store: JobStore, release: () => void }} */
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
