/** Panel of all jobs: toolbar, load bar, filters, and a table with the actions of each row. */

/** @import { JobStore } from "./job_store.js" */
/** @import { ColumnId } from "./sorted_jobs.js" */
/** @import { Host, Job } from "./types.js" */
import { attributeWriter, button, h, iconButton, setAttribute, setText, textWriter } from "./dom.js";
import { ageText, jobDuration, jobTitle, progressOf, progressText, reasonText, stateIcon, stateText, timeText } from "./format.js";
import { Grid, makeGridHeader } from "./grid.js";
import { icon, setIcon } from "./icons.js";
import { JobActions } from "./job_actions.js";
import { COLUMNS, SortedJobs } from "./sorted_jobs.js";
import { makeConnectionNotice, makeLoadBar } from "./status_bar.js";
import { VirtualList } from "./virtual_list.js";

/** Pixels. */
const ROW_HEIGHT = 36;
const STATE_FILTERS = ["", "running", "queued", "completed", "failed", "stopped"];

/** Panel of all jobs, in which the row that keys act on stays the same job wherever it moves. */
export class JobsTable {
  /**
   * @param {JobStore} store
   * @param {Host} host
   */
  constructor(store, host) {
    this._store = store;
    this._host = host;
    this._actions = new JobActions(store, host);
    this._jobs = new SortedJobs();
    this._activeId = "";
    this._loadBar = makeLoadBar();
    this._notice = makeConnectionNotice();
    this._count = h("span", { class: "nds-count", role: "status", "aria-live": "polite" });
    this._textFilter = h("input", {
      type: "search",
      class: "nds-input",
      placeholder: "Filter jobs",
      "aria-label": "Filter jobs by name, image or id",
      oninput: () => this._filter(),
    });
    this._stateFilter = h(
      "select",
      { class: "nds-input nds-select", "aria-label": "Filter jobs by state", onchange: () => this._filter() },
      ...STATE_FILTERS.map((value) => h("option", { value }, value || "all states")),
    );
    this._rows = this._makeRows();
    this._empty = this._makeEmpty();
    this._header = this._makeHeader();
    this._grid = this._makeGrid();
    this.element = h(
      "section",
      { class: "nds nds-jobs", "aria-label": "NDS jobs" },
      this._makeToolbar(),
      this._loadBar.element,
      this._notice.element,
      this._grid.element,
    );
    const timer = setInterval(() => !document.hidden && this._tick(), 1000);
    this._ends = [store.onChange((changed) => this._update(changed)), () => clearInterval(timer)];
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
      this._textFilter,
      this._stateFilter,
      this._count,
    );
  }

  _makeHeader() {
    const actions = h("div", { class: "nds-cell nds-row-actions", role: "columnheader", "aria-label": "Actions" });
    return makeGridHeader("nds-jobRow", COLUMNS, (column) => this._sortBy(column), actions);
  }

  _makeRows() {
    return new VirtualList({
      height: ROW_HEIGHT,
      key: (index) => this._jobs.at(index).job_id,
      isActive: (index) => this._jobs.at(index).job_id === this._activeId,
      props: { class: "nds-table-rows", role: "rowgroup", tabIndex: -1, "aria-label": "Jobs" },
      make: () =>
        new JobRow({
          jobAt: (index) => this._jobs.at(index),
          isActive: (job) => job.job_id === this._activeId,
          actions: this._actions,
          open: (job) => this._open(job),
        }),
    });
  }

  _makeGrid() {
    const options = {
      label: "Jobs",
      head: this._header.element,
      rows: this._rows,
      at: () => this._jobs.indexOf(this._activeId),
      activate: (/** @type {number} */ index) => this._activate(index),
      act: (/** @type {string} */ key, /** @type {number} */ index) => this._actOnKey(key, this._jobs.at(index)),
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
    const { query } = this._jobs;
    this._jobs.query = { ...query, column, descending: query.column === column && !query.descending };
    this._update(null);
  }

  _filter() {
    const text = this._textFilter.value.trim().toLowerCase();
    this._jobs.query = { ...this._jobs.query, text, state: this._stateFilter.value };
    this._update(null);
  }

  /** Show ages and durations, which grow while nothing else changes. */
  _tick() {
    if (this._jobs.query.column === "duration") this._jobs.update(this._store.jobs, this._jobs.unfinished());
    this._rows.refresh();
  }

  /** @param {ReadonlySet<string> | null} changed ids of jobs; null: whatever */
  _update(changed) {
    this._loadBar.update(this._store);
    this._notice.update(this._store);
    if (changed) this._jobs.update(this._store.jobs, changed);
    else this._jobs.sort(this._store.jobs);
    const { count, query } = this._jobs;
    const all = this._store.jobs.size;
    setText(this._count, count === all ? `${all}` : `${count} of ${all}`);
    setAttribute(this._count, "title", `${count} of ${all} jobs shown`);
    this._header.showOrder(query.column, query.descending);
    setAttribute(this._grid.element, "aria-rowcount", String(count + 1));
    if (changed?.size !== 0) this._rows.setCount(count);
    this._updateEmpty(all);
  }

  /** @param {number} all */
  _updateEmpty(all) {
    const [text, first] = this._empty.children;
    this._empty.hidden = this._jobs.count > 0 || !this._store.loaded;
    /** @type {HTMLElement} */ (first).hidden = all > 0;
    setText(/** @type {HTMLElement} */ (text), all ? "No job matches the filter." : "No jobs yet.");
  }

  /** @param {number} index */
  _activate(index) {
    const job = this._jobs.at(index);
    if (!job) return;
    this._activeId = job.job_id;
    this._rows.scrollToRow(index);
  }

  /** @param {Job} job */
  _open(job) {
    this._activate(this._jobs.indexOf(job.job_id));
    this._host.openJob(job);
  }

  /** @param {string} key @param {Job | undefined} job @returns {boolean} whether the key means something */
  _actOnKey(key, job) {
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

/** Row of a job; it changes in place, so that focus and pointer stay where they are. */
class JobRow {
  /**
   * @param {object} options
   * @param {(index: number) => Job} options.jobAt
   * @param {(job: Job) => boolean} options.isActive
   * @param {JobActions} options.actions
   * @param {(job: Job) => void} options.open
   */
  constructor({ jobAt, isActive, actions, open }) {
    this._jobAt = jobAt;
    this._isActive = isActive;
    /** @type {Job | null} */
    this._job = null;
    const current = () => /** @type {Job} */ (this._job);
    this._symbol = icon("queued");
    this._bar = h("progress", { class: "nds-progress", max: 1, "aria-label": "progress", hidden: true });
    this._buttons = new RowButtons(actions, current);
    const state = h("span", { class: "nds-state-text" });
    const name = h("span", { class: "nds-job-name" });
    const note = h("span", { class: "nds-job-note" });
    const [image, worker, age, duration] = ["image", "worker", "age", "duration"].map((column) => makeCell(column));
    this._age = age;
    this.element = h(
      "div",
      {
        class: "nds-row nds-jobRow",
        role: "row",
        onclick: () => open(current()),
        onpointerenter: () => this._addDetails(current(), isActive(current())),
      },
      makeCell("state", this._symbol, state),
      makeCell("name", name, note, this._bar),
      image,
      worker,
      age,
      duration,
      this._buttons.element,
    );
    this._write = makeWriters(this.element, { state, name, note, image, worker, age, duration });
  }

  /** @param {number} index */
  update(index) {
    const job = (this._job = this._jobAt(index));
    const write = this._write;
    const word = stateText(job);
    const active = this._isActive(job);
    write.stateAttribute(word);
    write.id(job.job_id);
    write.index(String(index + 2));
    write.selected(String(active));
    setIcon(this._symbol, stateIcon(job));
    write.state(word);
    write.name(jobTitle(job));
    write.image(job.image);
    write.worker(job.worker ?? "");
    write.age(ageText(job.created));
    write.duration(jobDuration(job));
    write.note(noteText(job));
    const done = progressOf(job);
    if (this._bar.hidden !== (done === null)) this._bar.hidden = done === null;
    if (done !== null) this._bar.value = done;
    if (active || this._buttons.made) this._addDetails(job, active);
  }

  /**
   * Set the tooltips and make the buttons once a row is pointed at or reached by keys: hundreds pass by for each of those.
   *
   * @param {Job} job
   * @param {boolean} active
   */
  _addDetails(job, active) {
    setAttribute(this.element, "title", `${jobTitle(job)} (${job.job_id})\n${job.image}\n${reasonText(job)}`);
    setAttribute(this._age, "title", timeText(job.created));
    this._buttons.update(job, active);
  }
}

/**
 * @template {string} Name
 * @param {HTMLElement} row
 * @param {Record<Name, HTMLElement>} texts elements that hold one text each
 */
function makeWriters(row, texts) {
  const entries = /** @type {[Name, HTMLElement][]} */ (Object.entries(texts));
  const writers = entries.map(([name, element]) => [name, textWriter(element)]);
  return {
    .../** @type {Record<Name, (text: string) => void>} */ (Object.fromEntries(writers)),
    stateAttribute: attributeWriter(row, "data-state"),
    id: attributeWriter(row, "data-job"),
    index: attributeWriter(row, "aria-rowindex"),
    selected: attributeWriter(row, "aria-selected"),
  };
}

/** @param {Job} job */
function noteText(job) {
  if (job.phase !== "finished" && job.phase !== "running" && job.phase !== "accepted") return progressText(job);
  if (stateText(job) === "failed") return reasonText(job);
  return job.name ? job.job_id.slice(0, 8) : "";
}

/** Buttons of a row, made when the row is first pointed at or reached by keys. */
class RowButtons {
  /**
   * @param {JobActions} actions
   * @param {() => Job} current
   */
  constructor(actions, current) {
    this._actions = actions;
    this._current = current;
    this.element = h("div", { class: "nds-cell nds-row-actions", role: "gridcell" });
    /** @type {HTMLButtonElement[]} */
    this._buttons = [];
  }

  get made() {
    return this._buttons.length > 0;
  }

  /** @param {Job} job @param {boolean} active whether keys reach the buttons */
  update(job, active) {
    if (!this._buttons.length) this._make();
    for (const each of this._buttons) each.tabIndex = active ? 0 : -1;
    this._buttons[0].disabled = job.phase === "finished";
  }

  _make() {
    /** @param {(job: Job) => void} act */
    const on = (act) => (/** @type {Event} */ event) => {
      event.stopPropagation();
      act(this._current());
    };
    const actions = this._actions;
    this._buttons = [
      iconButton(icon("stop"), "Stop", on((job) => actions.stop(job))),
      iconButton(icon("rerun"), "Run again", on((job) => actions.rerun(job))),
      iconButton(icon("copy"), "Copy id", on((job) => actions.copyId(job))),
      iconButton(icon("trash"), "Delete", on((job) => actions.remove(job, this.element))),
    ];
    this.element.append(...this._buttons);
  }
}

/** @param {string} column @param {...Node} children */
function makeCell(column, ...children) {
  return h("div", { class: `nds-cell nds-col-${column}`, role: "gridcell" }, ...children);
}
