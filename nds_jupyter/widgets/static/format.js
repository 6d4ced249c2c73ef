/** Formatting of sizes, durations, times and job states as text. Pure. */

/** @import { IconName } from "./icons.js" */
/** @import { Job } from "./types.js" */

/** Made once: for each row that passes by, `toLocaleString` would look for it anew. */
const DATE_TIME = new Intl.DateTimeFormat(undefined, {
  year: "numeric",
  month: "numeric",
  day: "numeric",
  hour: "numeric",
  minute: "numeric",
  second: "numeric",
});

/** @param {number | null | undefined} bytes */
export function sizeText(bytes) {
  if (bytes === null || bytes === undefined) return "";
  if (bytes < 1024) return `${bytes} B`;
  const units = ["KiB", "MiB", "GiB", "TiB", "PiB"];
  const step = Math.min(Math.floor(Math.log2(bytes) / 10), units.length);
  const value = bytes / 1024 ** step;
  return `${value < 10 && value % 1 ? value.toFixed(1) : Math.round(value)} ${units[step - 1]}`;
}

/** @param {number} seconds */
export function durationText(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return whole < 10 && seconds > 0 ? `${Math.max(seconds, 0.1).toFixed(1)} s` : `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}

/** @param {string | null | undefined} time @param {number} [now] milliseconds */
export function ageText(time, now = Date.now()) {
  if (!time) return "";
  const seconds = Math.max(0, (now - Date.parse(time)) / 1000);
  if (seconds < 60) return "now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** @param {string | null | undefined} time */
export function timeText(time) {
  return time ? DATE_TIME.format(new Date(time)) : "";
}

/** @param {Job} job @param {number} [now] milliseconds */
export function jobDuration(job, now = Date.now()) {
  if (!job.started) return "";
  const end = job.finished ? Date.parse(job.finished) : now;
  const seconds = (end - Date.parse(job.started)) / 1000;
  return job.finished ? durationText(seconds) : durationText(Math.floor(seconds));
}

/** @param {Job} job */
export function jobTitle(job) {
  return job.name || job.scriptname || job.job_id;
}

/** @type {Record<string, string>} */
const STATE_WORDS = { COMPLETED: "completed", RUNNING: "running", UNKNOWN: "unknown" };

/** @param {Job} job @returns {string} A state as people say it. */
export function stateText(job) {
  if (job.phase === "accepted") return "queued";
  if (job.phase !== "finished") return job.phase;
  if (job.state === "FAILED") return job.reason === "stopped" ? "stopped" : "failed";
  return STATE_WORDS[job.state] ?? "unknown";
}

/** @type {Record<string, IconName>} */
const ICONS = { queued: "queued", completed: "check", failed: "error", stopped: "stop", unknown: "unknown" };

/** @param {Job} job @returns {IconName} */
export function stateIcon(job) {
  return ICONS[stateText(job)] ?? "running";
}

/** @param {Job} job @returns {number | null} From 0 to 1; null where there is none to tell. */
export function progressOf(job) {
  if (job.phase === "finished" || !job.progress?.total) return null;
  return Math.min(1, job.progress.done / job.progress.total);
}

/** @param {Job} job @returns {string} How far it is, or what it waits for. */
export function progressText(job) {
  const { progress } = job;
  if (job.phase === "staging" && !progress && job.message) return job.message;
  if (!progress || job.phase === "finished") return stateText(job);
  const amount = (/** @type {number} */ n) => (progress.unit === "bytes" ? sizeText(n) : String(n));
  const of = progress.total ? ` of ${amount(progress.total)}` : "";
  const unit = progress.unit === "bytes" ? "" : ` ${progress.unit}`;
  return `${job.phase} ${amount(progress.done)}${of}${unit}`;
}

/** @param {Job} job @returns {string} Why a job ended as it did, in words. */
export function reasonText(job) {
  if (job.phase !== "finished") return progressText(job);
  if (job.state === "COMPLETED") return "completed";
  const said = job.message ? `: ${job.message}` : "";
  switch (job.reason) {
    case "oom":
      return `killed: out of memory at ${sizeText(job.limits.memory)}`;
    case "stopped":
      return "stopped on request";
    case "timeout":
      return job.timeout ? `stopped after its time limit of ${durationText(job.timeout)}` : "its time was up";
    case "exit":
      return `the script ended with exit code ${job.exit_code ?? "?"}`;
    case "image":
      return job.message || "image not found";
    case "data":
      return `an input could not be brought${said}`;
    case "output":
      return `an output could not be delivered${said}`;
    case "engine":
      return `the engine failed${said}`;
    default:
      return job.message || "its container vanished before its end was known";
  }
}
