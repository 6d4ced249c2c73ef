/** What a job is and how it ended, in words; its script. */

/** @import { Job } from "./types.js" */
/** @import { Store } from "./store.js" */
import { button, copyText, h } from "./dom.js";
import { durationText, jobDuration, reasonText, sizeText, timeText } from "./format.js";

/** @param {Job} job @returns {[string, string][]} */
function facts(job) {
  const { limits } = job;
  /** @type {[string, string | null | undefined][]} */
  const rows = [
    ["Outcome", reasonText(job)],
    ["Message", job.message],
    ["Exit code", job.exit_code?.toString()],
    ["Job id", job.job_id],
    ["Image", job.image],
    ["Image digest", job.image_digest],
    ["Worker", job.worker],
    ["Container", job.container_id?.slice(0, 12)],
    ["Created", timeText(job.created)],
    ["Started", timeText(job.started)],
    ["Finished", timeText(job.finished)],
    ["Took", jobDuration(job)],
    ["CPUs", `at most ${limits.cpus}`],
    ["Memory", `at most ${sizeText(limits.memory)}`],
    ["Processes", `at most ${limits.pids}`],
    ["Time limit", job.timeout ? durationText(job.timeout) : "none"],
    ["Attempts", attemptsText(job)],
    ["Network", job.network],
    ["Command", job.command?.join(" ")],
    ["Arguments", job.args?.join(" ")],
    ["Variables", job.env?.join(", ")],
    ["Labels", labelText(job.labels)],
    ["Data", job.data.join("\n")],
    ["Output", job.output],
    ["Owner", job.owner],
    ["Removed", timeText(job.removed)],
  ];
  return /** @type {[string, string][]} */ (rows.filter(([, value]) => value));
}

/**
 * @param {Job} job
 * @returns {string | undefined} nothing for a job that runs once, as most do
 */
function attemptsText({ attempts = 0, retries = 0 }) {
  return attempts > 1 || retries ? `${attempts} of ${retries + 1}` : undefined;
}

/** @param {Record<string, string> | undefined} labels */
function labelText(labels = {}) {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(", ");
}

/**
 * @param {Store} store
 * @param {string} jobId
 */
export function makeInfo(store, jobId) {
  const list = h("dl", { class: "nds-facts" });
  const script = h("pre", { class: "nds-script", tabIndex: 0, "aria-label": "Script" }, "…");
  const name = h("span", {});
  const copy = button("Copy script", () => copyText(script.textContent ?? ""));
  const element = h(
    "div",
    { class: "nds-info" },
    list,
    h("div", { class: "nds-toolbar" }, h("h3", {}, "Script ", name), copy),
    script,
  );
  let drawn = "";

  function update() {
    const job = store.jobs.get(jobId);
    if (!job) return;
    name.textContent = job.scriptname;
    const rows = facts(job);
    const now = JSON.stringify(rows);
    if (now === drawn) return;
    drawn = now;
    list.replaceChildren(...rows.flatMap(([term, value]) => [h("dt", {}, term), h("dd", {}, value)]));
  }
  store.api.script(jobId).then(
    (text) => (script.textContent = text),
    (error) => (script.textContent = error.message),
  );
  update();
  return { element, dispose: store.onChange(update) };
}
