/** The panel of all jobs: a strip of counts, a filter, a table. */

/** @import { Host, Job } from "./types.js" */
/** @import { Store } from "./store.js" */
/** @import { ColumnId } from "./jobrow.js" */
import { Actions } from "./actions.js";
import { button, h, setAttribute, setText } from "./dom.js";
import { stateText } from "./format.js";
import { COLUMNS, SORT_VALUES, makeJobRow } from "./jobrow.js";
import { movedBy, Rows } from "./rows.js";
import { connectionNote, loadStrip } from "./strip.js";

const ROW = 36;
const FILTERS = ["", "running", "queued", "completed", "failed", "stopped"];
let panels = 0;

export class JobsPanel {
  /**
   * @param {Store} store
   * @param {Host} host
   */
  constructor(store, host) {
    this._store = store;
    this._host = host;
    this._actions = new Actions(store, host);
    this._id = `nds-jobs-${(panels += 1)}`;
    /** @type {Job[]} */
    this._shown = [];
    /** What `_shown` was made of. */
    this._shownOf = "";
    this._activeId = "";
    /** @type {{ column: ColumnId, down: boolean }} */
    this._sort = { column: "age", down: false };
    this._strip = loadStrip();
    this._note = connectionNote();
    this._count = h("span", { class: "nds-count", role: "status", "aria-live": "polite" });
    this._text = h("input", {
      type: "search",
      class: "nds-input",
      placeholder: "Filter jobs",
      "aria-label": "Filter jobs by name, image or id",
      oninput: () => this._update(),
    });
    this._state = h(
      "select",
      { class: "nds-input nds-select", "aria-label": "Filter jobs by state", onchange: () => this._update() },
      ...FILTERS.map((value) => h("option", { value }, value || "all states")),
    );
    this._rows = this._makeRows();
    this._empty = this._makeEmpty();
    this._head = this._makeHead();
    this.element = h(
      "section",
      { class: "nds nds-jobs", "aria-label": "NDS jobs" },
      this._makeToolbar(),
      this._strip.element,
      this._note.element,
      h(
        "div",
        { class: "nds-table", role: "grid", "aria-label": "Jobs", "aria-multiselectable": "false" },
        this._head,
        this._rows.element,
        this._empty,
      ),
    );
    this._ends = [store.onChange(() => this._update()), every(1000, () => this._rows.refresh())];
    this._update();
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
    const rows = new Rows({
      height: ROW,
      key: (index) => this._shown[index].job_id,
      props: { class: "nds-table-rows", role: "rowgroup", tabIndex: 0, "aria-label": "Jobs" },
      make: () =>
        makeJobRow({
          jobAt: (index) => this._shown[index],
          isActive: (index) => this._shown[index].job_id === this._activeId,
          actions: this._actions,
          open: (index) => this._open(index),
          id: this._id,
        }),
    });
    rows.element.addEventListener("keydown", (event) => this._key(event));
    rows.element.addEventListener("focus", () => {
      if (!this._activeId && this._shown.length) this._activate(0);
    });
    return rows;
  }

  _makeEmpty() {
    const text = h("p", {});
    const first = button("Run a first job", () => this._host.openSubmit({}), { class: "nds-button nds-accept" });
    return h("div", { class: "nds-empty", hidden: true }, text, first);
  }

  /** @param {ColumnId} column */
  _sortBy(column) {
    const down = this._sort.column === column && !this._sort.down;
    this._sort = { column, down };
    this._update();
  }

  _update() {
    this._select();
    const all = this._store.jobs.size;
    setText(this._count, this._shown.length === all ? `${all}` : `${this._shown.length} of ${all}`);
    setAttribute(this._count, "title", `${this._shown.length} of ${all} jobs shown`);
    this._strip.update(this._store);
    this._note.update(this._store);
    for (const head of this._head.children) {
      const sorted = head.getAttribute("data-column") === this._sort.column;
      setAttribute(head, "aria-sort", sorted ? (this._sort.down ? "descending" : "ascending") : "none");
    }
    this._rows.element.parentElement?.setAttribute("aria-rowcount", String(this._shown.length + 1));
    this._rows.setCount(this._shown.length);
    this._showEmpty(all);
  }

  /** Filter and sort anew where there is a reason to: thousands of jobs take a frame's time. */
  _select() {
    const { column, down } = this._sort;
    const of = JSON.stringify([this._store.version, this._text.value, this._state.value, column, down]);
    if (of === this._shownOf && column !== "duration") return;
    this._shownOf = of;
    this._shown = this._sorted(this._filtered());
  }

  /** @param {number} all */
  _showEmpty(all) {
    const [text, first] = this._empty.children;
    this._empty.hidden = this._shown.length > 0 || !this._store.loaded;
    /** @type {HTMLElement} */ (first).hidden = all > 0;
    setText(/** @type {HTMLElement} */ (text), all ? "No job matches the filter." : "No jobs yet.");
  }

  _filtered() {
    const text = this._text.value.trim().toLowerCase();
    const state = this._state.value;
    const jobs = [...this._store.jobs.values()];
    if (!text && !state) return jobs;
    return jobs.filter((job) => {
      if (state && !matchesState(job, state)) return false;
      return !text || `${job.name}\n${job.scriptname}\n${job.image}\n${job.job_id}`.toLowerCase().includes(text);
    });
  }

  /** @param {Job[]} jobs */
  _sorted(jobs) {
    const { column, down } = this._sort;
    const value = SORT_VALUES[column];
    const keyed = jobs.map((job) => ({ job, by: value(job), created: job.created }));
    keyed.sort((a, b) => {
      const order = a.by < b.by ? -1 : a.by > b.by ? 1 : a.created < b.created ? 1 : -1;
      return down ? -order : order;
    });
    return keyed.map(({ job }) => job);
  }

  /** @param {number} index */
  _activate(index) {
    const job = this._shown[index];
    if (!job) return;
    this._activeId = job.job_id;
    setAttribute(this._rows.element, "aria-activedescendant", `${this._id}-${job.job_id}`);
    this._rows.show(index);
  }

  /** @param {number} index */
  _open(index) {
    this._activate(index);
    const job = this._shown[index];
    if (job) this._host.openJob(job);
  }

  /** @param {KeyboardEvent} event */
  _key(event) {
    if (event.target !== this._rows.element || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = this._shown.findIndex((job) => job.job_id === this._activeId);
    const to = movedBy(event, at, this._rows);
    const job = this._shown[at];
    if (to !== null) this._activate(to);
    else if (!job) return;
    else if (event.key === "Enter") this._open(at);
    else if (event.key === "Delete") this._actions.remove(job, this.element);
    else if (event.key === "s" && job.phase !== "finished") this._actions.stop(job);
    else if (event.key === "r") this._actions.rerun(job);
    else if (event.key === "c") this._actions.copyId(job);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

/** @param {Job} job @param {string} state */
function matchesState(job, state) {
  const word = stateText(job);
  if (state === "running") return job.phase !== "finished" && word !== "queued";
  return word === state;
}

/** @param {number} milliseconds @param {() => void} act @returns {() => void} ends it */
function every(milliseconds, act) {
  const timer = setInterval(() => !document.hidden && act(), milliseconds);
  return () => clearInterval(timer);
}

