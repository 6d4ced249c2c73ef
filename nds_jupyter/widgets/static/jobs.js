/** The panel of all jobs: a strip of counts, a filter, a table. */

/** @import { Host, Job } from "./types.js" */
/** @import { Store } from "./store.js" */
/** @import { ColumnId } from "./joborder.js" */
import { Actions } from "./actions.js";
import { button, h, setAttribute, setText } from "./dom.js";
import { Grid } from "./grid.js";
import { COLUMNS, JobOrder } from "./joborder.js";
import { makeJobRow } from "./jobrow.js";
import { Rows } from "./rows.js";
import { connectionNote, loadStrip } from "./strip.js";

const ROW = 36;
const FILTERS = ["", "running", "queued", "completed", "failed", "stopped"];

export class JobsPanel {
  /**
   * @param {Store} store
   * @param {Host} host
   */
  constructor(store, host) {
    this._store = store;
    this._host = host;
    this._actions = new Actions(store, host);
    this._order = new JobOrder();
    this._activeId = "";
    this._strip = loadStrip();
    this._note = connectionNote();
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
    return new Rows({
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

