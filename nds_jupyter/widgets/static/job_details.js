/** Panel of one job: status header, and tabs for log, metrics, diff, results and info. */

/** @import { JobStore } from "./job_store.js" */
/** @import { Host, Job } from "./types.js" */
import { diffContent } from "./diff_tab.js";
import { button, copyText, h, iconButton, setAttribute, setText } from "./dom.js";
import { FilesTab } from "./file_tree.js";
import { durationText, jobDuration, jobTitle, progressOf, progressText, reasonText, sizeText, stateIcon, stateText, timeText } from "./format.js";
import { setIcon, icon } from "./icons.js";
import { JobActions } from "./job_actions.js";
import { LogView } from "./log_view.js";
import { MetricsView } from "./metrics_chart.js";
import { resultsContent } from "./results_tab.js";
import { makeConnectionNotice } from "./status_bar.js";
import { Tabs } from "./tabs.js";

export class JobDetails {
  /**
   * @param {JobStore} store
   * @param {Host} host
   * @param {string} jobId
   * @param {{ back?: () => void }} [options]
   */
  constructor(store, host, jobId, { back } = {}) {
    this._store = store;
    this._jobId = jobId;
    this._actions = new JobActions(store, host);
    this._symbol = icon("queued");
    this._title = h("h2", { class: "nds-job-title" });
    this._status = h("span", { class: "nds-job-status", role: "status", "aria-live": "polite" });
    this._bar = h("progress", { class: "nds-progress", max: 1, "aria-label": "progress", hidden: true });
    this._note = makeConnectionNotice();
    this._stop = iconButton(icon("stop"), "Stop", () => this._with((job) => this._actions.stop(job)));
    this._tabs = new Tabs("Job", [
      { id: "log", label: "Log", make: () => new LogView(store, jobId) },
      { id: "metrics", label: "Metrics", make: () => new MetricsView(store, jobId) },
      { id: "diff", label: "Diff", make: () => new FilesTab(store, host, jobId, diffContent(store, jobId)) },
      { id: "results", label: "Results", make: () => new FilesTab(store, host, jobId, resultsContent(store, jobId)) },
      { id: "info", label: "Info", make: () => makeInfoTab(store, jobId) },
    ]);
    this.element = h(
      "section",
      { class: "nds nds-job", "aria-label": "NDS job" },
      this._makeHead(back),
      this._note.element,
      this._tabs.element,
    );
    this._ends = [store.onChange(() => this._update())];
    const timer = setInterval(() => !document.hidden && this._update(), 1000);
    this._ends.push(() => clearInterval(timer));
    this._update();
    if (!store.jobs.has(jobId)) this._fetch();
  }

  dispose() {
    for (const end of this._ends) end();
    this._tabs.dispose();
  }

  /** @param {(() => void) | undefined} back */
  _makeHead(back) {
    return h(
      "header",
      { class: "nds-job-head" },
      back && iconButton(icon("back"), "Back to all jobs", back),
      h("span", { class: "nds-job-symbol" }, this._symbol),
      h("div", { class: "nds-job-heading" }, this._title, this._status, this._bar),
      this._stop,
      iconButton(icon("rerun"), "Run again", () => this._with((job) => this._actions.rerun(job))),
      iconButton(icon("copy"), "Copy id", () => this._with((job) => this._actions.copyId(job))),
      iconButton(icon("trash"), "Delete", () =>
        this._with(async (job) => (await this._actions.remove(job, this.element)) && back?.()),
      ),
    );
  }

  /** @param {(job: Job) => unknown} act */
  _with(act) {
    const job = this._store.jobs.get(this._jobId);
    if (job) act(job);
  }

  async _fetch() {
    try {
      this._store.put(await this._store.api.job(this._jobId));
    } catch (error) {
      setText(this._status, /** @type {Error} */ (error).message);
    }
  }

  _update() {
    this._note.update(this._store);
    const job = this._store.jobs.get(this._jobId);
    if (!job) {
      if (this._title.textContent) setText(this._status, "deleted");
      this._stop.disabled = true;
      return;
    }
    setAttribute(this.element, "data-state", stateText(job));
    setIcon(this._symbol, stateIcon(job));
    setText(this._title, jobTitle(job));
    setAttribute(this._title, "title", jobTitle(job));
    const took = jobDuration(job);
    const words = job.phase === "finished" ? reasonText(job) : progressText(job);
    setText(this._status, [words, took && `${took}`, job.image, job.worker].filter(Boolean).join(" · "));
    const done = progressOf(job);
    this._bar.hidden = done === null;
    if (done !== null) this._bar.value = done;
    this._stop.disabled = job.phase === "finished";
  }
}

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
 * @param {JobStore} store
 * @param {string} jobId
 */
export function makeInfoTab(store, jobId) {
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
