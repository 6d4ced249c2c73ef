/** One row of the table of jobs; it changes in place, so that focus and pointer stay where they are. */

/** @import { Job } from "./types.js" */
/** @import { Actions } from "./actions.js" */
import { attributeWriter, h, iconButton, setAttribute, textWriter } from "./dom.js";
import { ageText, jobDuration, jobTitle, progressOf, progressText, reasonText, stateIcon, stateText, timeText } from "./format.js";
import { changeIcon, icon } from "./icons.js";

/**
 * @param {object} options
 * @param {(index: number) => Job} options.jobAt
 * @param {(job: Job) => boolean} options.isActive
 * @param {Actions} options.actions
 * @param {(job: Job) => void} options.open
 */
export function makeJobRow({ jobAt, isActive, actions, open }) {
  /** @type {Job} */
  let job;
  const symbol = icon("queued");
  const state = h("span", { class: "nds-state-text" });
  const name = h("span", { class: "nds-job-name" });
  const note = h("span", { class: "nds-job-note" });
  const bar = h("progress", { class: "nds-progress", max: 1, "aria-label": "progress", hidden: true });
  const [image, worker, age, duration] = ["image", "worker", "age", "duration"].map((column) => cell(column));
  const toolbox = rowActions(actions, () => job);
  const element = h(
    "div",
    { class: "nds-row nds-jobRow", role: "row", onclick: () => open(job), onpointerenter: () => point(isActive(job)) },
    cell("state", symbol, state),
    cell("name", name, note, bar),
    image,
    worker,
    age,
    duration,
    toolbox.element,
  );
  const write = {
    state: attributeWriter(element, "data-state"),
    id: attributeWriter(element, "data-job"),
    index: attributeWriter(element, "aria-rowindex"),
    selected: attributeWriter(element, "aria-selected"),
    word: textWriter(state),
    name: textWriter(name),
    note: textWriter(note),
    image: textWriter(image),
    worker: textWriter(worker),
    age: textWriter(age),
    duration: textWriter(duration),
  };

  /**
   * Make what only who points at a row, or comes to it by keys, has a use for: hundreds pass by for each of those.
   *
   * @param {boolean} active
   */
  function point(active) {
    setAttribute(element, "title", `${jobTitle(job)} (${job.job_id})\n${job.image}\n${reasonText(job)}`);
    setAttribute(age, "title", timeText(job.created));
    toolbox.update(job, active);
  }

  /** @param {number} index */
  function update(index) {
    job = jobAt(index);
    const word = stateText(job);
    const active = isActive(job);
    write.state(word);
    write.id(job.job_id);
    write.index(String(index + 2));
    write.selected(String(active));
    changeIcon(symbol, stateIcon(job));
    write.word(word);
    write.name(jobTitle(job));
    write.image(job.image);
    write.worker(job.worker ?? "");
    write.age(ageText(job.created));
    write.duration(jobDuration(job));
    write.note(noteText(job));
    const done = progressOf(job);
    if (bar.hidden !== (done === null)) bar.hidden = done === null;
    if (done !== null) bar.value = done;
    if (active || toolbox.made) point(active);
  }
  return { element, update };
}

/** @param {Job} job */
function noteText(job) {
  if (job.phase !== "finished" && job.phase !== "running" && job.phase !== "accepted") return progressText(job);
  if (stateText(job) === "failed") return reasonText(job);
  return job.name ? job.job_id.slice(0, 8) : "";
}

/**
 * The buttons of a row, made when there is first somebody to press them.
 *
 * @param {Actions} actions
 * @param {() => Job} current
 */
function rowActions(actions, current) {
  const element = h("div", { class: "nds-cell nds-row-actions", role: "gridcell" });
  /** @type {HTMLButtonElement[]} */
  let buttons = [];

  /** @param {(job: Job) => void} act */
  const on = (act) => (/** @type {Event} */ event) => {
    event.stopPropagation();
    act(current());
  };
  const make = () => {
    buttons = [
      iconButton(icon("stop"), "Stop", on((job) => actions.stop(job))),
      iconButton(icon("rerun"), "Run again", on((job) => actions.rerun(job))),
      iconButton(icon("copy"), "Copy id", on((job) => actions.copyId(job))),
      iconButton(icon("trash"), "Delete", on((job) => actions.remove(job, element))),
    ];
    element.append(...buttons);
  };
  return {
    element,
    get made() {
      return buttons.length > 0;
    },
    /** @param {Job} job @param {boolean} active */
    update(job, active) {
      if (!buttons.length) make();
      for (const each of buttons) each.tabIndex = active ? 0 : -1;
      buttons[0].disabled = job.phase === "finished";
    },
  };
}

/** @param {string} name @param {...Node} children */
function cell(name, ...children) {
  return h("div", { class: `nds-cell nds-col-${name}`, role: "gridcell" }, ...children);
}
