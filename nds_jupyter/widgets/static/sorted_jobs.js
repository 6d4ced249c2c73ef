/** Filtered and sorted list of jobs; a changed job is moved by binary search instead of sorting all. Pure. */

/** @import { Job } from "./types.js" */
import { jobTitle, stateText } from "./format.js";

/** So many changed jobs at once are more work than to sort all of them. */
const MANY = 200;

/** The columns: what sorts by them, and how they are called. */
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
const SORT_VALUES = {
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
 * @property {string} text
 * @property {string} state empty for all
 * @property {ColumnId} column
 * @property {boolean} down
 *
 * @typedef {object} Entry
 * @property {Job} job
 * @property {string | number} by
 */

export class SortedJobs {
  constructor() {
    /** @type {JobsQuery} */
    this.rule = { text: "", state: "", column: "age", down: false };
    /** @type {Entry[]} */
    this._entries = [];
    /** @type {Map<string, Entry>} */
    this._byId = new Map();
  }

  get count() {
    return this._entries.length;
  }

  /** @param {number} index @returns {Job} */
  at(index) {
    return this._entries[index]?.job;
  }

  /** @param {string} jobId @returns {number} -1 where it is not shown */
  indexOf(jobId) {
    const entry = this._byId.get(jobId);
    return entry ? this._placeOf(entry) : -1;
  }

  /** @param {ReadonlyMap<string, Job>} jobs */
  sort(jobs) {
    const shown = [...jobs.values()].filter((job) => this._matches(job));
    this._entries = shown.map((job) => this._entry(job)).sort((a, b) => this._compare(a, b));
    this._byId = new Map(this._entries.map((entry) => [entry.job.job_id, entry]));
  }

  /**
   * @param {ReadonlyMap<string, Job>} jobs
   * @param {ReadonlySet<string>} changed ids of jobs that came, changed or went
   */
  change(jobs, changed) {
    if (changed.size > MANY) {
      this.sort(jobs);
      return;
    }
    for (const jobId of changed) {
      const at = this.indexOf(jobId);
      if (at >= 0) this._entries.splice(at, 1);
      this._byId.delete(jobId);
    }
    for (const jobId of changed) {
      const job = jobs.get(jobId);
      if (!job || !this._matches(job)) continue;
      const entry = this._entry(job);
      this._entries.splice(this._placeOf(entry), 0, entry);
      this._byId.set(jobId, entry);
    }
  }

  /** @returns {Set<string>} ids of the shown jobs that are under way */
  underWay() {
    return new Set(this._entries.filter(({ job }) => job.phase !== "finished").map(({ job }) => job.job_id));
  }

  /** @param {Job} job @returns {Entry} */
  _entry(job) {
    return { job, by: SORT_VALUES[this.rule.column](job) };
  }

  /** @param {Entry} entry @returns {number} where it is, or would be */
  _placeOf(entry) {
    let low = 0;
    let high = this._entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this._compare(this._entries[middle], entry) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** @param {Entry} a @param {Entry} b */
  _compare(a, b) {
    // Of the same value the newest first; no two jobs are equal, so that each has one place.
    const order = compared(a.by, b.by) || compared(b.job.created, a.job.created) || compared(a.job.job_id, b.job.job_id);
    return this.rule.down ? -order : order;
  }

  /** @param {Job} job */
  _matches(job) {
    const { state, text } = this.rule;
    if (state && !isInState(job, state)) return false;
    return !text || `${job.name}\n${job.scriptname}\n${job.image}\n${job.job_id}`.toLowerCase().includes(text);
  }
}

/**
 * @template {string | number} T
 * @param {T} a
 * @param {T} b
 */
function compared(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** @param {Job} job @param {string} state */
function isInState(job, state) {
  const word = stateText(job);
  if (state === "running") return job.phase !== "finished" && word !== "queued";
  return word === state;
}
