/** Panel of one job: status header, and tabs for log, metrics, diff, results and info. */

/** @import { JobStore } from "./job_store.js" */
/** @import { Host, Job } from "./types.js" */
import { diffSource } from "./diff_tab.js";
import { button, copyText, h, iconButton, setAttribute, setText } from "./dom.js";
import { FilesTab } from "./file_tree.js";
import { durationText, jobDuration, jobTitle, progressOf, progressText, reasonText, sizeText, stateIcon, stateText, timeText } from "./format.js";
import { icon, setIcon } from "./icons.js";
import { JobActions } from "./job_actions.js";
import { LogView } from "./log_view.js";
import { MetricsView } from "./metrics_chart.js";
import { resultsSource } from "./results_tab.js";
import { makeConnectionNotice } from "./status_bar.js";
import { Tabs } from "./tabs.js";

/** Panel of one job, whose tabs are made when they are first shown. */
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
    this._progressBar = h("progress", { class: "nds-progress", max: 1, "aria-label": "progress", hidden: true });
    this._notice = makeConnectionNotice();
    this._stopButton = iconButton(icon("stop"), "Stop", () => this._withJob((job) => this._actions.stop(job)));
    this._tabs = new Tabs("Job", [
      { id: "log", label: "Log", make: () => new LogView(store, jobId) },
      { id: "metrics", label: "Metrics", make: () => new MetricsView(store, jobId) },
      { id: "diff", label: "Diff", make: () => new FilesTab(store, host, jobId, diffSource(store, jobId)) },
      { id: "results", label: "Results", make: () => new FilesTab(store, host, jobId, resultsSource(store, jobId)) },
      { id: "info", label: "Info", make: () => new InfoTab(store, jobId) },
    ]);
    this.element = h(
      "section",
      { class: "nds nds-job", "aria-label": "NDS job" },
      this._makeHeader(back),
      this._notice.element,
      this._tabs.element,
    );
    this._ends = [store.onChange(() => this._update())];
    const timer = setInterval(() => !document.hidden && this._update(), 1000);
    this._ends.push(() => clearInterval(timer));
    this._update();
    if (!store.jobs.has(jobId)) this._fetchJob();
  }

  dispose() {
    for (const end of this._ends) end();
    this._tabs.dispose();
  }

  /** @param {(() => void) | undefined} back */
  _makeHeader(back) {
    return h(
      "header",
      { class: "nds-job-head" },
      back && iconButton(icon("back"), "Back to all jobs", back),
      h("span", { class: "nds-job-symbol" }, this._symbol),
      h("div", { class: "nds-job-heading" }, this._title, this._status, this._progressBar),
      this._stopButton,
      iconButton(icon("rerun"), "Run again", () => this._withJob((job) => this._actions.rerun(job))),
      iconButton(icon("copy"), "Copy id", () => this._withJob((job) => this._actions.copyId(job))),
      iconButton(icon("trash"), "Delete", () =>
        this._withJob(async (job) => (await this._actions.remove(job, this.element)) && back?.()),
      ),
    );
  }

  /** @param {(job: Job) => unknown} act */
  _withJob(act) {
    const job = this._store.jobs.get(this._jobId);
    if (job) act(job);
  }

  async _fetchJob() {
    try {
      this._store.put(await this._store.api.job(this._jobId));
    } catch (error) {
      setText(this._status, /** @type {Error} */ (error).message);
    }
  }

  _update() {
    this._notice.update(this._store);
    const job = this._store.jobs.get(this._jobId);
    if (!job) {
      if (this._title.textContent) setText(this._status, "deleted");
      this._stopButton.disabled = true;
      return;
    }
    setAttribute(this.element, "data-state", stateText(job));
    setIcon(this._symbol, stateIcon(job));
    setText(this._title, jobTitle(job));
    setAttribute(this._title, "title", jobTitle(job));
    const took = jobDuration(job);
    const summary = job.phase === "finished" ? reasonText(job) : progressText(job);
    setText(this._status, [summary, took, job.image, job.worker].filter(Boolean).join(" · "));
    const done = progressOf(job);
    this._progressBar.hidden = done === null;
    if (done !== null) this._progressBar.value = done;
    this._stopButton.disabled = job.phase === "finished";
  }
}

/** Facts of a job as terms and values. @param {Job} job @returns {[string, string][]} */
function jobFacts(job) {
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

/** Tab with the facts of a job, how it ended, and its script. */
class InfoTab {
  /**
   * @param {JobStore} store
   * @param {string} jobId
   */
  constructor(store, jobId) {
    this._store = store;
    this._jobId = jobId;
    this._shownFacts = "";
    this._facts = h("dl", { class: "nds-facts" });
    this._scriptName = h("span", {});
    this._script = h("pre", { class: "nds-script", tabIndex: 0, "aria-label": "Script" }, "…");
    const copy = button("Copy script", () => copyText(this._script.textContent ?? ""));
    this.element = h(
      "div",
      { class: "nds-info" },
      this._facts,
      h("div", { class: "nds-toolbar" }, h("h3", {}, "Script ", this._scriptName), copy),
      this._script,
    );
    this.dispose = store.onChange(() => this._update());
    this._update();
    this._loadScript();
  }

  async _loadScript() {
    try {
      this._script.textContent = await this._store.api.script(this._jobId);
    } catch (error) {
      this._script.textContent = /** @type {Error} */ (error).message;
    }
  }

  _update() {
    const job = this._store.jobs.get(this._jobId);
    if (!job) return;
    this._scriptName.textContent = job.scriptname;
    const facts = jobFacts(job);
    const text = JSON.stringify(facts);
    if (text === this._shownFacts) return;
    this._shownFacts = text;
    this._facts.replaceChildren(...facts.flatMap(([term, value]) => [h("dt", {}, term), h("dd", {}, value)]));
  }
}
