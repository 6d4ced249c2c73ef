/** What can be mounted, in a notebook's output and in JupyterLab alike. */

/** @import { Host } from "./types.js" */
/** @import { Store } from "./store.js" */
import { h } from "./dom.js";
import { JobPanel } from "./job.js";
import { JobsPanel } from "./jobs.js";

export { pageServer } from "./server.js";
export { sharedStore } from "./store.js";
export { VERSION } from "./version.js";
export { JobPanel, JobsPanel };

/** @typedef {{ element: HTMLElement, dispose: () => void }} Mounted */

/**
 * The panel of all jobs that shows one in its own place, where no other place is offered.
 *
 * @param {Store} store
 * @param {Host} host
 * @param {string} jobId to begin with; empty for the table
 * @returns {Mounted}
 */
export function mountJobs(store, host, jobId = "") {
  const element = h("div", { class: "nds-place" });
  /** @type {Mounted | null} */
  let shown = null;

  /** @param {Mounted} panel */
  function show(panel) {
    shown?.dispose();
    shown = panel;
    element.replaceChildren(panel.element);
  }
  /** @type {Host} */
  const inPlace = { ...host, openJob: (job) => showJob(job.job_id) };
  /** @param {string} id */
  function showJob(id) {
    show(new JobPanel(store, inPlace, id, { back: showAll }));
  }
  function showAll() {
    show(new JobsPanel(store, inPlace));
  }
  if (jobId) showJob(jobId);
  else showAll();
  return { element, dispose: () => shown?.dispose() };
}

/**
 * Mount a panel by its name.
 *
 * @param {Store} store
 * @param {Host} host
 * @param {string} panel
 * @param {Record<string, string>} options
 * @returns {Mounted}
 */
export function mount(store, host, panel, options) {
  return mountJobs(store, host, options.job_id ?? "");
}
