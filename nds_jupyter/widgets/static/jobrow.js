/** One row of the table of jobs; it changes in place, so that focus and pointer stay where they are. */

/** @import { Job } from "./types.js" */
/** @import { Actions } from "./actions.js" */
import { h, iconButton, setAttribute, setText } from "./dom.js";
import { ageText, jobDuration, jobTitle, progressOf, progressText, reasonText, stateIcon, stateText, timeText } from "./format.js";
import { changeIcon, icon } from "./icons.js";

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
export const SORT_VALUES = {
  state: (job) => stateText(job),
  name: (job) => jobTitle(job).toLowerCase(),
  image: (job) => job.image,
  worker: (job) => job.worker ?? "",
  age: (job) => -Date.parse(job.created),
  duration: (job) =>
    job.started ? (job.finished ? Date.parse(job.finished) : Date.now()) - Date.parse(job.started) : -1,
};

/**
 * @param {object} options
 * @param {(index: number) => Job} options.jobAt
 * @param {(index: number) => boolean} options.isActive
 * @param {Actions} options.actions
 * @param {(index: number) => void} options.open
 * @param {string} options.id prefix of the rows' ids
 */
export function makeJobRow({ jobAt, isActive, actions, open, id }) {
  /** @type {Job} */
  let job;
  let at = -1;
  const symbol = icon("queued");
  const state = h("span", { class: "nds-state-text" });
  const name = h("span", { class: "nds-job-name" });
  const note = h("span", { class: "nds-job-note" });
  const bar = h("progress", { class: "nds-progress", max: 1, "aria-label": "progress" });
  const [image, worker, age, duration] = ["image", "worker", "age", "duration"].map((column) => cell(column));
  const stop = iconButton(icon("stop"), "Stop", on(() => actions.stop(job)), { tabIndex: -1 });
  const buttons = [
    stop,
    iconButton(icon("rerun"), "Run again", on(() => actions.rerun(job)), { tabIndex: -1 }),
    iconButton(icon("copy"), "Copy id", on(() => actions.copyId(job)), { tabIndex: -1 }),
    iconButton(icon("trash"), "Delete", on(() => actions.remove(job, element)), { tabIndex: -1 }),
  ];
  const element = h(
    "div",
    { class: "nds-row nds-jobRow", role: "row", onclick: () => open(at) },
    cell("state", symbol, state),
    cell("name", name, note, bar),
    image,
    worker,
    age,
    duration,
    h("div", { class: "nds-cell nds-row-actions", role: "gridcell" }, ...buttons),
  );

  /** @param {() => void} act */
  function on(act) {
    return (/** @type {Event} */ event) => {
      event.stopPropagation();
      act();
    };
  }

  /** @param {number} index */
  function update(index) {
    at = index;
    job = jobAt(index);
    const word = stateText(job);
    setAttribute(element, "data-state", word);
    setAttribute(element, "data-job", job.job_id);
    setAttribute(element, "id", `${id}-${job.job_id}`);
    setAttribute(element, "aria-rowindex", String(index + 2));
    const active = isActive(index);
    setAttribute(element, "aria-selected", String(active));
    for (const each of buttons) each.tabIndex = active ? 0 : -1;
    changeIcon(symbol, stateIcon(job));
    setText(state, word);
    setText(name, jobTitle(job));
    setAttribute(element, "title", `${jobTitle(job)} (${job.job_id})\n${job.image}\n${reasonText(job)}`);
    setText(image, job.image);
    setText(worker, job.worker ?? "");
    setText(age, ageText(job.created));
    setAttribute(age, "title", timeText(job.created));
    setText(duration, jobDuration(job));
    const done = progressOf(job);
    bar.hidden = done === null;
    if (done !== null) bar.value = done;
    const moving = job.phase !== "finished" && job.phase !== "running" && job.phase !== "accepted";
    setText(note, moving ? progressText(job) : word === "failed" ? reasonText(job) : job.name ? job.job_id.slice(0, 8) : "");
    stop.disabled = job.phase === "finished";
  }
  return { element, update };
}

/** @param {string} name @param {...Node} children */
function cell(name, ...children) {
  return h("div", { class: `nds-cell nds-col-${name}`, role: "gridcell" }, ...children);
}
