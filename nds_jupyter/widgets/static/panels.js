/** Entry point of the panels: what JupyterLab's plugin and the notebook widget import. */

/** @import { JobStore } from "./job_store.js" */
/** @import { Host } from "./types.js" */
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
 * A place that shows one panel at a time, where no other place is offered.
 *
 * @param {JobStore} store
 * @param {Host} host
 * @param {string} panel `jobs` or `data`
 * @param {Record<string, string>} options
 * @returns {MountedPanel}
 */
export function mountPanel(store, host, panel, options) {
  const said = h("div", { class: "nds nds-said", role: "status", hidden: true });
  said.style.height = "auto";
  const body = h("div", { class: "nds-place-body" });
  const element = h("div", { class: "nds-place" }, said, body);
  /** @type {MountedPanel | null} */
  let shown = null;

  /** @param {MountedPanel} next */
  function show(next) {
    shown?.dispose();
    shown = next;
    body.replaceChildren(next.element);
  }
  /** @type {Host} */
  const inPlace = {
    ...host,
    openJob: (job) => showJob(job.job_id),
    openSubmit: (prefill) => show(withBack(new SubmitForm(store, inPlace, prefill, { done: begin }), begin)),
    notify: (message, kind, act) => {
      host.notify(message, kind, act);
      // Where JupyterLab shows what is said, once is enough.
      said.hidden = host.insertInCell !== null;
      setText(said, message);
    },
  };
  /** @param {string} id */
  function showJob(id) {
    show(new JobDetails(store, inPlace, id, { back: showAll }));
  }
  function showAll() {
    show(new JobsTable(store, inPlace));
  }
  function begin() {
    if (panel === "data") show(new DataBrowser(store, inPlace, options.path ?? ""));
    else if (options.job_id) showJob(options.job_id);
    else showAll();
  }
  begin();
  return { element, dispose: () => shown?.dispose() };
}

/**
 * @param {MountedPanel} panel
 * @param {() => void} back
 * @returns {MountedPanel}
 */
function withBack(panel, back) {
  const head = h("header", { class: "nds-job-head" }, iconButton(icon("back"), "Back", back), h("h2", {}, "New job"));
  panel.element.prepend(head);
  return panel;
}
