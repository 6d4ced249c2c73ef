/** Entry point of the panels: what JupyterLab's plugin and the notebook widget import. */

/** @import { JobStore } from "./job_store.js" */
/** @import { Host, Submission } from "./types.js" */
import { DataBrowser } from "./data_browser.js";
import { h, iconButton, setText } from "./dom.js";
import { icon } from "./icons.js";
import { JobDetails } from "./job_details.js";
import { JobsTable } from "./jobs_table.js";
import { SubmitForm } from "./submit_form.js";

export { pageServer } from "./server_connection.js";
export { sharedStore } from "./job_store.js";
export { VERSION } from "./version.js";
export { DataBrowser, JobDetails, JobsTable, SubmitForm };

/** @typedef {{ element: HTMLElement, dispose: () => void }} MountedPanel */

/**
 * Mount a panel in a place of its own, as in a notebook's output.
 *
 * @param {JobStore} store
 * @param {Host} host
 * @param {string} panel `jobs` or `data`
 * @param {Record<string, string>} options
 * @returns {MountedPanel}
 */
export function mountPanel(store, host, panel, options) {
  return new PanelFrame(store, host, panel, options);
}

/** Frame that shows one panel at a time, where no other place is offered, and what they have to say. */
class PanelFrame {
  /**
   * @param {JobStore} store
   * @param {Host} host
   * @param {string} panel
   * @param {Record<string, string>} options
   */
  constructor(store, host, panel, options) {
    this._store = store;
    this._outerHost = host;
    this._panel = panel;
    this._options = options;
    this._message = h("div", { class: "nds nds-said", role: "status", hidden: true });
    this._message.style.height = "auto";
    this._body = h("div", { class: "nds-place-body" });
    this.element = h("div", { class: "nds-place" }, this._message, this._body);
    /** @type {MountedPanel | null} */
    this._shown = null;
    /** @type {Host} */
    this._host = {
      ...host,
      openJob: (job) => this._showJob(job.job_id),
      openSubmit: (prefill) => this._showForm(prefill),
      notify: (message, kind, act) => this._notify(message, kind, act),
    };
    this._showFirst();
  }

  dispose() {
    this._shown?.dispose();
  }

  /** @param {MountedPanel} panel */
  _show(panel) {
    this._shown?.dispose();
    this._shown = panel;
    this._body.replaceChildren(panel.element);
  }

  _showFirst() {
    if (this._panel === "data") this._show(new DataBrowser(this._store, this._host, this._options.path ?? ""));
    else if (this._options.job_id) this._showJob(this._options.job_id);
    else this._showJobs();
  }

  _showJobs() {
    this._show(new JobsTable(this._store, this._host));
  }

  /** @param {string} jobId */
  _showJob(jobId) {
    this._show(new JobDetails(this._store, this._host, jobId, { back: () => this._showJobs() }));
  }

  /** @param {Partial<Submission>} prefill */
  _showForm(prefill) {
    const back = () => this._showFirst();
    const form = new SubmitForm(this._store, this._host, prefill, { done: back });
    const title = h("h2", {}, "New job");
    form.element.prepend(h("header", { class: "nds-job-head" }, iconButton(icon("back"), "Back", back), title));
    this._show(form);
  }

  /** @type {Host["notify"]} */
  _notify(message, kind, act) {
    this._outerHost.notify(message, kind, act);
    // Where JupyterLab shows what is said, once is enough.
    this._message.hidden = this._outerHost.insertInCell !== null;
    setText(this._message, message);
  }
}
