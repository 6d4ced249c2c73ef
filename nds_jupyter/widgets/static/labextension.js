/** JupyterLab plugin: sidebars, main-area tabs, commands, notifications, and the renderer of a cell's status line. */

/** @import { Host, Job } from "./types.js" */
import { CellStatus, STATUS_TYPE } from "./cell_status.js";
import { jobTitle, reasonText } from "./format.js";
import { LAB_ICONS } from "./icons.js";
import { DataBrowser, JobDetails, JobsTable, pageServer, sharedStore, SubmitForm } from "./panels.js";

/** @typedef {any} Lab JupyterLab's own types are not at hand without a build */

/**
 * Take a module that JupyterLab shares.
 *
 * @param {Record<string, Record<string, { get: () => Promise<() => any>, loaded?: unknown }>>} scope
 * @param {string} name
 * @returns {Promise<Lab>}
 */
async function take(scope, name) {
  const versions = Object.values(scope[name] ?? {});
  const chosen = versions.find(({ loaded }) => loaded) ?? versions[0];
  return (await chosen.get())();
}

const SHARED = [
  "@lumino/widgets",
  "@jupyterlab/ui-components",
  "@jupyterlab/application",
  "@jupyterlab/apputils",
  "@jupyterlab/notebook",
  "@jupyterlab/rendermime",
];

/** @param {Parameters<typeof take>[0]} scope */
export async function plugins(scope) {
  const [widgets, ui, application, apputils, notebook, rendermime] = await Promise.all(
    SHARED.map((name) => take(scope, name)),
  );
  const { ILayoutRestorer } = application;
  const { ICommandPalette } = apputils;
  const { INotebookTracker } = notebook;
  const { IRenderMimeRegistry } = rendermime;
  return {
    id: "nds-jupyter:panels",
    description: "Jobs and data of nds_jupyter",
    autoStart: true,
    optional: [ILayoutRestorer, ICommandPalette, INotebookTracker, IRenderMimeRegistry],
    activate: (/** @type {Lab[]} */ ...[app, restorer, palette, notebooks, renderers]) => {
      const server = pageServer();
      if (!server) return;
      addStyle();
      new Panels({ app, restorer, palette, notebooks, renderers, widgets, ui, apputils }, server).start();
    },
  };
}

function addStyle() {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL("./nds.css", import.meta.url).href;
  document.head.append(link);
}

/**
 * JupyterLab names the outer element as it sees fit; the panel keeps its own name.
 *
 * @param {Record<string, Lab>} lab
 * @param {{ element: HTMLElement }} panel
 */
function wrapped({ widgets }, panel) {
  const widget = new widgets.Widget();
  widget.node.append(panel.element);
  return widget;
}

class Panels {
  /**
   * @param {Record<string, Lab>} lab
   * @param {import("./server_connection.js").ServerConnection} server
   */
  constructor(lab, server) {
    this._lab = lab;
    this._store = sharedStore(server).store;
    /** @type {Host} */
    this._host = {
      openJob: (job) => this._run("nds:open-job", { job_id: job.job_id }),
      openSubmit: (prefill) => this._run("nds:new-job", prefill),
      notify: (message, kind, act) => this._notify(message, kind, act),
      insertInCell: (text) => this._insert(text),
    };
    const { LabIcon } = lab.ui;
    this._icons = Object.fromEntries(
      Object.entries(LAB_ICONS).map(([name, svgstr]) => [name, new LabIcon({ name: `nds:${name}`, svgstr })]),
    );
    /** @type {Map<string, Lab>} */
    this._open = new Map();
    /** @type {Map<string, string>} Notifications of jobs that ended. */
    this._told = new Map();
    this._jobs = new lab.apputils.WidgetTracker({ namespace: "nds-job" });
  }

  start() {
    // Panels in notebooks of this page can do what this page can.
    Reflect.set(globalThis, Symbol.for("nds_jupyter.host"), this._host);
    this._addSidebar("nds-jobs", "NDS Jobs", this._icons.jobs, () => new JobsTable(this._store, this._host), 600);
    this._addSidebar("nds-data", "NDS Data", this._icons.data, () => new DataBrowser(this._store, this._host), 601);
    this._addCommands();
    this._addRenderer();
    this._store.onEnd((job) => this._tellEnd(job));
    this._lab.restorer?.restore(this._jobs, {
      command: "nds:open-job",
      args: (/** @type {Lab} */ widget) => ({ job_id: widget.jobId }),
      name: (/** @type {Lab} */ widget) => widget.jobId,
    });
  }

  /**
   * @param {string} id
   * @param {string} caption
   * @param {Lab} icon
   * @param {() => { element: HTMLElement }} make called when it is first looked at
   * @param {number} rank
   */
  _addSidebar(id, caption, icon, make, rank) {
    const widget = new this._lab.widgets.Widget();
    const seen = new IntersectionObserver(([{ isIntersecting }]) => {
      if (!isIntersecting) return;
      seen.disconnect();
      widget.node.append(make().element);
    });
    seen.observe(widget.node);
    widget.id = id;
    widget.title.icon = icon;
    widget.title.caption = caption;
    this._lab.app.shell.add(widget, "left", { rank });
    this._lab.restorer?.add(widget, id);
    this._addCommand(`nds:show-${id}`, `Show ${caption}`, () => this._lab.app.shell.activateById(id));
  }

  _addRenderer() {
    const createRenderer = () => {
      const status = new CellStatus(this._store, this._host);
      const widget = wrapped(this._lab, status);
      widget.addClass("jp-RenderedText");
      widget.disposed.connect(() => status.dispose());
      const renderModel = async (/** @type {Lab} */ { data }) => {
        status.show(String(data["text/plain"] ?? ""), String(data[STATUS_TYPE].job_id));
      };
      return Object.assign(widget, { renderModel });
    };
    this._lab.renderers?.addFactory({ safe: true, mimeTypes: [STATUS_TYPE], createRenderer }, 0);
  }

  _addCommands() {
    this._addCommand("nds:open-job", "Open Job", ({ job_id }) => this._openJob(String(job_id)), false);
    this._addCommand("nds:new-job", "New Container Job", (prefill) => this._openSubmit(prefill ?? {}));
  }

  /**
   * @param {string} id
   * @param {string} label
   * @param {(args: any) => unknown} execute
   * @param {boolean} [inPalette]
   */
  _addCommand(id, label, execute, inPalette = true) {
    this._lab.app.commands.addCommand(id, { label, execute, describedBy: { args: { type: "object" } } });
    if (inPalette) this._lab.palette?.addItem({ command: id, category: "NDS" });
  }

  /** @param {string} id @param {any} [args] */
  _run(id, args = {}) {
    this._lab.app.commands.execute(id, args);
  }

  /** @param {string} jobId */
  _openJob(jobId) {
    const told = this._told.get(jobId);
    if (told) this._lab.apputils.Notification.dismiss(told);
    this._told.delete(jobId);
    const open = this._open.get(jobId);
    if (open) {
      this._lab.app.shell.activateById(open.id);
      return open;
    }
    const panel = new JobDetails(this._store, this._host, jobId, { back: undefined });
    const widget = this._addTab(panel, `nds-job-${jobId}`, jobId.slice(0, 8));
    widget.jobId = jobId;
    const update = () => {
      const job = this._store.jobs.get(jobId);
      if (job) widget.title.label = widget.title.caption = jobTitle(job);
    };
    const end = this._store.onChange(update);
    update();
    this._open.set(jobId, widget);
    widget.disposed.connect(() => {
      end();
      this._open.delete(jobId);
    });
    this._jobs.add(widget);
    return widget;
  }

  /** @param {any} prefill */
  _openSubmit(prefill) {
    const done = () => widget.dispose();
    const form = new SubmitForm(this._store, this._host, prefill, { done });
    const widget = this._addTab(form, `nds-submit-${Date.now()}`, "New job");
    return widget;
  }

  /**
   * @param {{ element: HTMLElement, dispose: () => void }} panel
   * @param {string} id
   * @param {string} label
   */
  _addTab(panel, id, label) {
    const { app, apputils } = this._lab;
    const content = wrapped(this._lab, panel);
    const widget = new apputils.MainAreaWidget({ content });
    widget.id = id;
    widget.title.label = widget.title.caption = label;
    widget.title.icon = this._icons.jobs;
    widget.title.closable = true;
    widget.toolbar.hide();
    widget.disposed.connect(() => panel.dispose());
    app.shell.add(widget, "main");
    app.shell.activateById(id);
    return widget;
  }

  /** @param {Job} job */
  _tellEnd(job) {
    if (this._open.get(job.job_id)?.isVisible) return;
    const kind = job.state === "COMPLETED" ? "success" : "error";
    const told = this._notify(`${jobTitle(job)}: ${reasonText(job)}`, kind, () => this._host.openJob(job));
    this._told.set(job.job_id, told);
  }

  /** @param {string} message @param {string} kind @param {() => void} [act] */
  _notify(message, kind, act) {
    const actions = act ? [{ label: "Open", callback: act }] : [];
    const { Notification } = this._lab.apputils;
    return String(Notification.emit(message, kind, { autoClose: kind === "error" ? 10_000 : 5_000, actions }));
  }

  /** @param {string} text */
  _insert(text) {
    const notebook = this._lab.notebooks?.currentWidget?.content;
    // A panel in a cell's output makes that cell the active one; the cell below it is meant.
    if (notebook?.activeCell?.outputArea?.node.contains(document.activeElement)) notebook.activeCellIndex += 1;
    const editor = notebook?.activeCell?.editor;
    if (!editor) return false;
    editor.replaceSelection?.(text);
    editor.focus();
    return true;
  }
}
