/** The panel of one job: how it stands, what can be done, and a tab for each way to look at it. */

/** @import { Host, Job } from "./types.js" */
/** @import { Store } from "./store.js" */
import { Actions } from "./actions.js";
import { diffContent } from "./diff.js";
import { h, iconButton, setAttribute, setText } from "./dom.js";
import { jobDuration, jobTitle, progressOf, progressText, reasonText, stateIcon, stateText } from "./format.js";
import { changeIcon, icon } from "./icons.js";
import { makeInfo } from "./info.js";
import { LogView } from "./log.js";
import { MetricsView } from "./metrics.js";
import { resultsContent } from "./results.js";
import { connectionNote } from "./strip.js";
import { Tabs } from "./tabs.js";
import { TreeTab } from "./treetab.js";

export class JobPanel {
  /**
   * @param {Store} store
   * @param {Host} host
   * @param {string} jobId
   * @param {{ back?: () => void }} [options]
   */
  constructor(store, host, jobId, { back } = {}) {
    this._store = store;
    this._jobId = jobId;
    this._actions = new Actions(store, host);
    this._symbol = icon("queued");
    this._title = h("h2", { class: "nds-job-title" });
    this._status = h("span", { class: "nds-job-status", role: "status", "aria-live": "polite" });
    this._bar = h("progress", { class: "nds-progress", max: 1, "aria-label": "progress", hidden: true });
    this._note = connectionNote();
    this._stop = iconButton(icon("stop"), "Stop", () => this._with((job) => this._actions.stop(job)));
    this._tabs = new Tabs("Job", [
      { id: "log", label: "Log", make: () => new LogView(store, jobId) },
      { id: "metrics", label: "Metrics", make: () => new MetricsView(store, jobId) },
      { id: "diff", label: "Diff", make: () => new TreeTab(store, host, jobId, diffContent(store, jobId)) },
      { id: "results", label: "Results", make: () => new TreeTab(store, host, jobId, resultsContent(store, jobId)) },
      { id: "info", label: "Info", make: () => makeInfo(store, jobId) },
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
    changeIcon(this._symbol, stateIcon(job));
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
