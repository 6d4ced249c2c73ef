/** Filtered and sorted list of jobs; a changed job is moved by binary search instead of sorting all. Pure. */

/** @import { Job } from "./types.js" */
import { jobTitle, stateText } from "./format.js";

/** So many changed jobs at once are more work to move than to sort all of them. */
const MOST_MOVED = 200;

/** The columns by which jobs are sorted. */
export const COLUMNS = /** @type {const} */ ([
  { id: "state", label: "State" },
  { id: "name", label: "Name" },
  { id: "image", label: "Image" },
  { id: "worker", label: "Worker" },
  { id: "age", label: "Age" },
  { id: "duration", label: "Took" },
]);

/** @typedef {(typeof COLUMNS)[number]["id"]} ColumnId */

/** @type {Record<ColumnId, (job: Job) => string | number>} */
const SORT_KEYS = {
  state: (job) => stateText(job),
  name: (job) => jobTitle(job).toLowerCase(),
  image: (job) => job.image,
  worker: (job) => job.worker ?? "",
  age: (job) => -Date.parse(job.created),
  duration: (job) =>
    job.started ? (job.finished ? Date.parse(job.finished) : Date.now()) - Date.parse(job.started) : -1,
};

/**
 * @typedef {object} JobsQuery which jobs are shown, and in which order
 * @property {string} text that name, script name, image or id contain, in lower case
 * @property {string} state empty for all
 * @property {ColumnId} column
 * @property {boolean} descending
 *
 * @typedef {object} SortedJob
 * @property {Job} job
 * @property {string | number} sortKey
 */

/** The jobs that match a query, in its order. */
export class SortedJobs {
  constructor() {
    /** @type {JobsQuery} */
    this.query = { text: "", state: "", column: "age", descending: false };
    /** @type {SortedJob[]} */
    this._sorted = [];
    /** @type {Map<string, SortedJob>} */
    this._byId = new Map();
  }

  get count() {
    return this._sorted.length;
  }

  /** @param {number} index @returns {Job} */
  at(index) {
    return this._sorted[index]?.job;
  }

  /** @param {string} jobId @returns {number} -1 where it is not shown */
  indexOf(jobId) {
    const entry = this._byId.get(jobId);
    return entry ? this._position(entry) : -1;
  }

  /** Filter and sort all jobs. @param {ReadonlyMap<string, Job>} jobs */
  sort(jobs) {
    const shown = [...jobs.values()].filter((job) => this._matches(job));
    this._sorted = shown.map((job) => this._withSortKey(job)).sort((a, b) => this._compare(a, b));
    this._byId = new Map(this._sorted.map((entry) => [entry.job.job_id, entry]));
  }

  /**
   * Move the jobs that changed to their positions.
   *
   * @param {ReadonlyMap<string, Job>} jobs
   * @param {ReadonlySet<string>} changed ids of jobs that came, changed or went
   */
  update(jobs, changed) {
    if (changed.size > MOST_MOVED) {
      this.sort(jobs);
      return;
    }
    for (const jobId of changed) {
      const at = this.indexOf(jobId);
      if (at >= 0) this._sorted.splice(at, 1);
      this._byId.delete(jobId);
    }
    for (const jobId of changed) {
      const job = jobs.get(jobId);
      if (!job || !this._matches(job)) continue;
      const entry = this._withSortKey(job);
      this._sorted.splice(this._position(entry), 0, entry);
      this._byId.set(jobId, entry);
    }
  }

  /** @returns {Set<string>} ids of the shown jobs that are not finished */
  unfinished() {
    return new Set(this._sorted.filter(({ job }) => job.phase !== "finished").map(({ job }) => job.job_id));
  }

  /** @param {Job} job @returns {SortedJob} */
  _withSortKey(job) {
    return { job, sortKey: SORT_KEYS[this.query.column](job) };
  }

  /** @param {SortedJob} entry @returns {number} where it is, or would be */
  _position(entry) {
    let low = 0;
    let high = this._sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this._compare(this._sorted[middle], entry) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** @param {SortedJob} a @param {SortedJob} b */
  _compare(a, b) {
    // Of the same value the newest first; no two jobs are equal, so that each has one position.
    const order =
      compareValues(a.sortKey, b.sortKey) ||
      compareValues(b.job.created, a.job.created) ||
      compareValues(a.job.job_id, b.job.job_id);
    return this.query.descending ? -order : order;
  }

  /** @param {Job} job */
  _matches(job) {
    const { state, text } = this.query;
    if (state && !isInState(job, state)) return false;
    return !text || `${job.name}\n${job.scriptname}\n${job.image}\n${job.job_id}`.toLowerCase().includes(text);
  }
}

/**
 * @template {string | number} T
 * @param {T} a
 * @param {T} b
 */
function compareValues(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** @param {Job} job @param {string} state of the filter: all that are under way are running */
function isInState(job, state) {
  const word = stateText(job);
  if (state === "running") return job.phase !== "finished" && word !== "queued";
  return word === state;
}
