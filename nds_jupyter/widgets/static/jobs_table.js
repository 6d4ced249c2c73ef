/** Panel of all jobs: toolbar, load bar, filters, and a table with the actions of each row. */

/** @import { JobStore } from "./job_store.js" */
/** @import { ColumnId } from "./sorted_jobs.js" */
/** @import { Host, Job } from "./types.js" */
import { attributeWriter, button, h, iconButton, setAttribute, setText, textWriter } from "./dom.js";
import { ageText, jobDuration, jobTitle, progressOf, progressText, reasonText, stateIcon, stateText, timeText } from "./format.js";
import { Grid } from "./grid.js";
import { setIcon, icon } from "./icons.js";
import { JobActions } from "./job_actions.js";
import { COLUMNS, SortedJobs } from "./sorted_jobs.js";
import { makeConnectionNotice, makeLoadBar } from "./status_bar.js";
import { VirtualList } from "./virtual_list.js";

const ROW = 36;
const FILTERS = ["", "running", "queued", "completed", "failed", "stopped"];

export class JobsTable {
  /**
   * @param {JobStore} store
   * @param {Host} host
   */
  constructor(store, host) {
    this._store = store;
    this._host = host;
    this._actions = new JobActions(store, host);
    this._order = new SortedJobs();
    this._activeId = "";
    this._strip = makeLoadBar();
    this._note = makeConnectionNotice();
    this._count = h("span", { class: "nds-count", role: "status", "aria-live": "polite" });
    this._text = h("input", {
      type: "search",
      class: "nds-input",
      placeholder: "Filter jobs",
      "aria-label": "Filter jobs by name, image or id",
      oninput: () => this._filter(),
    });
    this._state = h(
      "select",
      { class: "nds-input nds-select", "aria-label": "Filter jobs by state", onchange: () => this._filter() },
      ...FILTERS.map((value) => h("option", { value }, value || "all states")),
    );
    this._rows = this._makeRows();
    this._empty = this._makeEmpty();
    this._head = this._makeHead();
    this._table = this._makeGrid().element;
    this.element = h(
      "section",
      { class: "nds nds-jobs", "aria-label": "NDS jobs" },
      this._makeToolbar(),
      this._strip.element,
      this._note.element,
      this._table,
    );
    this._ends = [store.onChange((changed) => this._update(changed)), every(1000, () => this._tick())];
    this._update(null);
  }

  dispose() {
    for (const end of this._ends) end();
    this._rows.dispose();
  }

  _makeToolbar() {
    return h(
      "div",
      { class: "nds-toolbar", role: "toolbar", "aria-label": "Jobs" },
      button("New job", () => this._host.openSubmit({}), { class: "nds-button nds-accept" }),
      this._text,
      this._state,
      this._count,
    );
  }

  _makeHead() {
    const heads = COLUMNS.map(({ id, label }) => {
      const sort = h("button", { type: "button", class: "nds-sort", onclick: () => this._sortBy(id) }, label);
      return h("div", { class: `nds-cell nds-col-${id}`, role: "columnheader", "data-column": id }, sort);
    });
    const actions = h("div", { class: "nds-cell nds-row-actions", role: "columnheader", "aria-label": "Actions" });
    return h("div", { class: "nds-head nds-jobRow", role: "row", "aria-rowindex": 1 }, ...heads, actions);
  }

  _makeRows() {
    return new VirtualList({
      height: ROW,
      key: (index) => this._order.at(index).job_id,
      isActive: (index) => this._order.at(index).job_id === this._activeId,
      props: { class: "nds-table-rows", role: "rowgroup", tabIndex: -1, "aria-label": "Jobs" },
      make: () =>
        makeJobRow({
          jobAt: (index) => this._order.at(index),
          isActive: (job) => job.job_id === this._activeId,
          actions: this._actions,
          open: (job) => this._open(job),
        }),
    });
  }

  _makeGrid() {
    const options = {
      label: "Jobs",
      head: this._head,
      rows: this._rows,
      at: () => this._order.indexOf(this._activeId),
      activate: (/** @type {number} */ index) => this._activate(index),
      act: (/** @type {string} */ key, /** @type {number} */ index) => this._act(key, this._order.at(index)),
    };
    return new Grid(options, this._empty);
  }

  _makeEmpty() {
    const text = h("p", {});
    const first = button("Run a first job", () => this._host.openSubmit({}), { class: "nds-button nds-accept" });
    return h("div", { class: "nds-empty", hidden: true }, text, first);
  }

  /** @param {ColumnId} column */
  _sortBy(column) {
    const { rule } = this._order;
    this._order.rule = { ...rule, column, down: rule.column === column && !rule.down };
    this._update(null);
  }

  _filter() {
    this._order.rule = { ...this._order.rule, text: this._text.value.trim().toLowerCase(), state: this._state.value };
    this._update(null);
  }

  /** What takes longer while nothing else changes. */
  _tick() {
    if (this._order.rule.column === "duration") this._order.change(this._store.jobs, this._order.underWay());
    this._rows.refresh();
  }

  /** @param {ReadonlySet<string> | null} changed ids of jobs; null: whatever */
  _update(changed) {
    this._strip.update(this._store);
    this._note.update(this._store);
    if (changed) this._order.change(this._store.jobs, changed);
    else this._order.sort(this._store.jobs);
    const { count, rule } = this._order;
    const all = this._store.jobs.size;
    setText(this._count, count === all ? `${all}` : `${count} of ${all}`);
    setAttribute(this._count, "title", `${count} of ${all} jobs shown`);
    for (const head of this._head.children) {
      const sorted = head.getAttribute("data-column") === rule.column;
      setAttribute(head, "aria-sort", sorted ? (rule.down ? "descending" : "ascending") : "none");
    }
    setAttribute(this._table, "aria-rowcount", String(count + 1));
    if (changed?.size !== 0) this._rows.setCount(count);
    this._showEmpty(all);
  }

  /** @param {number} all */
  _showEmpty(all) {
    const [text, first] = this._empty.children;
    this._empty.hidden = this._order.count > 0 || !this._store.loaded;
    /** @type {HTMLElement} */ (first).hidden = all > 0;
    setText(/** @type {HTMLElement} */ (text), all ? "No job matches the filter." : "No jobs yet.");
  }

  /** @param {number} index */
  _activate(index) {
    const job = this._order.at(index);
    if (!job) return;
    this._activeId = job.job_id;
    this._rows.show(index);
  }

  /** @param {Job} job */
  _open(job) {
    this._activate(this._order.indexOf(job.job_id));
    this._host.openJob(job);
  }

  /** @param {string} key @param {Job | undefined} job @returns {boolean} whether the key means something */
  _act(key, job) {
    if (!job) return false;
    if (key === "Enter") this._open(job);
    else if (key === "Delete") this._actions.remove(job, this.element);
    else if (key === "s" && job.phase !== "finished") this._actions.stop(job);
    else if (key === "r") this._actions.rerun(job);
    else if (key === "c") this._actions.copyId(job);
    else return false;
    return true;
  }
}

/** @param {number} milliseconds @param {() => void} act @returns {() => void} ends it */
function every(milliseconds, act) {
  const timer = setInterval(() => !document.hidden && act(), milliseconds);
  return () => clearInterval(timer);
}

/**
 * @param {object} options
 * @param {(index: number) => Job} options.jobAt
 * @param {(job: Job) => boolean} options.isActive
 * @param {JobActions} options.actions
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
    setIcon(symbol, stateIcon(job));
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
 * @param {JobActions} actions
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
