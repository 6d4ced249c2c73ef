/** JupyterLab plugin: sidebars, main-area tabs, commands, notifications, and the renderer of a cell's status line. */

/** @import * as Application from "@jupyterlab/application" */
/** @import * as Apputils from "@jupyterlab/apputils" */
/** @import { CodeCell } from "@jupyterlab/cells" */
/** @import * as Notebook from "@jupyterlab/notebook" */
/** @import * as Rendermime from "@jupyterlab/rendermime" */
/** @import * as UiComponents from "@jupyterlab/ui-components" */
/** @import * as LuminoWidgets from "@lumino/widgets" */
/** @import { MountedPanel } from "./panels.js" */
/** @import { ServerConnection } from "./server_connection.js" */
/** @import { Host, Job, Submission } from "./types.js" */
import { CellStatus, STATUS_TYPE } from "./cell_status.js";
import { jobTitle, reasonText } from "./format.js";
import { LAB_ICONS } from "./icons.js";
import { DataBrowser, JobDetails, JobsTable, pageServer, sharedStore, SubmitForm } from "./panels.js";

/** @typedef {Record<string, { get: () => Promise<() => unknown>, loaded?: unknown }>} ModuleVersions by version */

/**
 * @typedef {object} LabModules modules that JupyterLab shares with its extensions
 * @property {typeof Application} application
 * @property {typeof Apputils} apputils
 * @property {typeof Notebook} notebook
 * @property {typeof Rendermime} rendermime
 * @property {typeof UiComponents} ui
 * @property {typeof LuminoWidgets} widgets
 *
 * @typedef {object} LabServices what JupyterLab gives to a plugin; of the optional ones null where it has none
 * @property {Application.JupyterFrontEnd} app
 * @property {Application.ILayoutRestorer | null} restorer
 * @property {Apputils.ICommandPalette | null} palette
 * @property {Notebook.INotebookTracker | null} notebooks
 * @property {Rendermime.IRenderMimeRegistry | null} renderers
 */

/** @type {Record<keyof LabModules, string>} */
const MODULE_NAMES = {
  application: "@jupyterlab/application",
  apputils: "@jupyterlab/apputils",
  notebook: "@jupyterlab/notebook",
  rendermime: "@jupyterlab/rendermime",
  ui: "@jupyterlab/ui-components",
  widgets: "@lumino/widgets",
};
/** Begins the id of the tab of a job; the job's id follows. */
const JOB_TAB = "nds-job-";

/**
 * Load a module from webpack's share scope: the version that the page has loaded, else any.
 *
 * @param {Record<string, ModuleVersions>} scope
 * @param {string} name
 * @returns {Promise<unknown>}
 */
async function sharedModule(scope, name) {
  const versions = Object.values(scope[name] ?? {});
  const chosen = versions.find(({ loaded }) => loaded) ?? versions[0];
  return (await chosen.get())();
}

/** @param {Record<string, ModuleVersions>} scope @returns {Promise<LabModules>} */
async function labModules(scope) {
  const entries = Object.entries(MODULE_NAMES).map(async ([key, name]) => [key, await sharedModule(scope, name)]);
  return Object.fromEntries(await Promise.all(entries));
}

/**
 * Make the plugin that JupyterLab activates.
 *
 * @param {Record<string, ModuleVersions>} scope webpack's share scope
 * @returns {Promise<Application.JupyterFrontEndPlugin<void>>}
 */
export async function plugins(scope) {
  const modules = await labModules(scope);
  const { application, apputils, notebook, rendermime } = modules;
  return {
    id: "nds-jupyter:panels",
    description: "Jobs and data of nds_jupyter",
    autoStart: true,
    optional: [
      application.ILayoutRestorer,
      apputils.ICommandPalette,
      notebook.INotebookTracker,
      rendermime.IRenderMimeRegistry,
    ],
    activate: (app, restorer, palette, notebooks, renderers) => {
      const server = pageServer();
      if (!server) return;
      addStyleSheet();
      new LabExtension(modules, { app, restorer, palette, notebooks, renderers }, server).start();
    },
  };
}

function addStyleSheet() {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL("./nds.css", import.meta.url).href;
  document.head.append(link);
}

/** The extension in one JupyterLab page. */
class LabExtension {
  /**
   * @param {LabModules} modules
   * @param {LabServices} services
   * @param {ServerConnection} server
   */
  constructor(modules, services, server) {
    this._modules = modules;
    this._services = services;
    this._store = sharedStore(server).store;
    /** @type {Host} */
    this._host = {
      openJob: (job) => this._runCommand("nds:open-job", { job_id: job.job_id }),
      openSubmit: (prefill) => this._runCommand("nds:new-job", prefill),
      notify: (message, kind, act) => void this._notify(message, kind, act),
      insertInCell: (text) => this._insertInCell(text),
    };
    const { LabIcon } = modules.ui;
    this._jobsIcon = new LabIcon({ name: "nds:jobs", svgstr: LAB_ICONS.jobs });
    this._dataIcon = new LabIcon({ name: "nds:data", svgstr: LAB_ICONS.data });
    /** @type {Map<string, Apputils.MainAreaWidget>} By the id of the job. */
    this._jobTabs = new Map();
    /** @type {Map<string, string>} Ids of the notifications of jobs that ended, by the id of the job. */
    this._endNotifications = new Map();
    /** @type {Apputils.WidgetTracker<Apputils.MainAreaWidget>} */
    this._tracker = new modules.apputils.WidgetTracker({ namespace: "nds-job" });
  }

  start() {
    // Panels in notebooks of this page can do what this page can.
    Reflect.set(globalThis, Symbol.for("nds_jupyter.host"), this._host);
    this._addSidebar("nds-jobs", "NDS Jobs", this._jobsIcon, () => new JobsTable(this._store, this._host), 600);
    this._addSidebar("nds-data", "NDS Data", this._dataIcon, () => new DataBrowser(this._store, this._host), 601);
    this._addCommand("nds:open-job", "Open Job", ({ job_id }) => this._openJob(String(job_id)), false);
    this._addCommand("nds:new-job", "New Container Job", (prefill) => this._openSubmit(prefill));
    this._addRenderer();
    this._store.onEnd((job) => this._notifyEnd(job));
    this._services.restorer?.restore(this._tracker, {
      command: "nds:open-job",
      args: (widget) => ({ job_id: jobIdOf(widget) }),
      name: jobIdOf,
    });
  }

  /**
   * @param {string} id
   * @param {string} caption
   * @param {UiComponents.LabIcon} icon
   * @param {() => { element: HTMLElement }} make called when it is first looked at
   * @param {number} rank
   */
  _addSidebar(id, caption, icon, make, rank) {
    const { app, restorer } = this._services;
    const widget = new this._modules.widgets.Widget();
    const seen = new IntersectionObserver(([{ isIntersecting }]) => {
      if (!isIntersecting) return;
      seen.disconnect();
      widget.node.append(make().element);
    });
    seen.observe(widget.node);
    widget.id = id;
    widget.title.icon = icon;
    widget.title.caption = caption;
    app.shell.add(widget, "left", { rank });
    restorer?.add(widget, id);
    this._addCommand(`nds:show-${id}`, `Show ${caption}`, () => app.shell.activateById(id));
  }

  _addRenderer() {
    const createRenderer = () => {
      const status = new CellStatus(this._store, this._host);
      const widget = this._wrap(status);
      widget.addClass("jp-RenderedText");
      widget.disposed.connect(() => status.dispose());
      const renderModel = async (/** @type {Rendermime.IRenderMime.IMimeModel} */ { data }) => {
        const { job_id } = /** @type {{ job_id: string }} */ (data[STATUS_TYPE]);
        status.show(String(data["text/plain"] ?? ""), String(job_id));
      };
      return Object.assign(widget, { renderModel });
    };
    this._services.renderers?.addFactory({ safe: true, mimeTypes: [STATUS_TYPE], createRenderer }, 0);
  }

  /**
   * @param {string} id
   * @param {string} label
   * @param {(args: { [name: string]: unknown }) => unknown} execute
   * @param {boolean} [inPalette]
   */
  _addCommand(id, label, execute, inPalette = true) {
    this._services.app.commands.addCommand(id, { label, execute, describedBy: { args: { type: "object" } } });
    if (inPalette) this._services.palette?.addItem({ command: id, category: "NDS" });
  }

  /** @param {string} id @param {{ job_id: string } | Partial<Submission>} args */
  _runCommand(id, args) {
    this._services.app.commands.execute(id, args);
  }

  /** @param {string} jobId */
  _openJob(jobId) {
    const told = this._endNotifications.get(jobId);
    if (told) this._modules.apputils.Notification.dismiss(told);
    this._endNotifications.delete(jobId);
    const open = this._jobTabs.get(jobId);
    if (open) {
      this._services.app.shell.activateById(open.id);
      return open;
    }
    const panel = new JobDetails(this._store, this._host, jobId);
    const widget = this._addTab(panel, `${JOB_TAB}${jobId}`, jobId.slice(0, 8));
    const update = () => {
      const job = this._store.jobs.get(jobId);
      if (job) widget.title.label = widget.title.caption = jobTitle(job);
    };
    const end = this._store.onChange(update);
    update();
    this._jobTabs.set(jobId, widget);
    widget.disposed.connect(() => {
      end();
      this._jobTabs.delete(jobId);
    });
    this._tracker.add(widget);
    return widget;
  }

  /** @param {Partial<Submission>} prefill */
  _openSubmit(prefill) {
    const done = () => widget.dispose();
    const form = new SubmitForm(this._store, this._host, prefill, { done });
    const widget = this._addTab(form, `nds-submit-${Date.now()}`, "New job");
    return widget;
  }

  /**
   * Add a tab to the main area, and go to it.
   *
   * @param {MountedPanel} panel
   * @param {string} id
   * @param {string} label
   */
  _addTab(panel, id, label) {
    const { shell } = this._services.app;
    const widget = new this._modules.apputils.MainAreaWidget({ content: this._wrap(panel) });
    widget.id = id;
    widget.title.label = widget.title.caption = label;
    widget.title.icon = this._jobsIcon;
    widget.title.closable = true;
    widget.toolbar.hide();
    widget.disposed.connect(() => panel.dispose());
    shell.add(widget, "main");
    shell.activateById(id);
    return widget;
  }

  /**
   * Make a Lumino widget of a panel. JupyterLab names the outer element as it sees fit; the panel keeps its own name.
   *
   * @param {{ element: HTMLElement }} panel
   */
  _wrap(panel) {
    const widget = new this._modules.widgets.Widget();
    widget.node.append(panel.element);
    return widget;
  }

  /** @param {Job} job */
  _notifyEnd(job) {
    if (this._jobTabs.get(job.job_id)?.isVisible) return;
    const kind = job.state === "COMPLETED" ? "success" : "error";
    const id = this._notify(`${jobTitle(job)}: ${reasonText(job)}`, kind, () => this._host.openJob(job));
    this._endNotifications.set(job.job_id, id);
  }

  /**
   * @param {string} message
   * @param {"success" | "error" | "info"} kind
   * @param {() => void} [act]
   * @returns {string} the notification's id
   */
  _notify(message, kind, act) {
    const actions = act ? [{ label: "Open", callback: act }] : [];
    const autoClose = kind === "error" ? 10_000 : 5_000;
    return this._modules.apputils.Notification.emit(message, kind, { autoClose, actions });
  }

  /** @param {string} text @returns {boolean} whether there is a cell for it */
  _insertInCell(text) {
    const notebook = this._services.notebooks?.currentWidget?.content;
    if (!notebook) return false;
    // A panel in a cell's output makes that cell the active one; the cell below it is meant.
    if (hasFocusInOutput(notebook.activeCell)) notebook.activeCellIndex += 1;
    const editor = notebook.activeCell?.editor;
    if (!editor) return false;
    editor.replaceSelection?.(text);
    editor.focus();
    return true;
  }
}

/** @param {LuminoWidgets.Widget} widget the tab of a job */
function jobIdOf(widget) {
  return widget.id.slice(JOB_TAB.length);
}

/** @param {Notebook.Notebook["activeCell"]} cell */
function hasFocusInOutput(cell) {
  if (cell?.model.type !== "code") return false;
  return /** @type {CodeCell} */ (cell).outputArea.node.contains(document.activeElement);
}
