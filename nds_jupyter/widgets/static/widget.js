// The anywidget: panels in a notebook's output. It is one file, since a notebook has no other address for it;
// the modules that it needs come from the page's server, or from the kernel where the page has no such server.

/** @import { AnyModel, RenderProps } from "@anywidget/types" */
/** @import * as Panels from "./panels.js" */
/** @import { Host } from "./types.js" */
/** @import { ServerConnection } from "./server_connection.js" */

/**
 * @typedef {object} Traits that `Panel` in `widgets/panels.py` keeps in step with the page
 * @property {string} _version of the kernel's package
 * @property {string} _panel `jobs` or `data`
 * @property {Record<string, string>} _options
 * @property {string} height CSS
 *
 * @typedef {AnyModel<Traits>} Model
 */

const LOADED = Symbol.for("nds_jupyter.modules");
/** Pixels below a docked panel, where its surroundings have their padding. */
const MARGIN = 8;

/** @returns {string} where JupyterLab serves our extension's files; empty in other pages */
function extensionUrl() {
  const text = document.getElementById("jupyter-config-data")?.textContent;
  if (!text) return "";
  const config = JSON.parse(text);
  return new URL(`${config.fullLabextensionsUrl}/nds-jupyter/static/`, location.href).href;
}

/** Load the panels once for each version of the package. @param {Model} model @returns {Promise<typeof Panels>} */
function loadPanels(model) {
  const page = /** @type {Record<symbol, Record<string, Promise<any>>>} */ (/** @type {unknown} */ (globalThis));
  const loaded = (page[LOADED] ??= {});
  const version = model.get("_version");
  return (loaded[version] ??= importFromServer(version).catch(() => importFromKernel(model)));
}

/** @param {string} version of the kernel's package: the server's must be the same */
async function importFromServer(version) {
  const url = extensionUrl();
  if (!url) throw new Error("This is no Jupyter page.");
  const panels = await import(`${url}panels.js`);
  if (panels.VERSION !== version) throw new Error("The server has another version.");
  return panels;
}

/** @param {Model} model */
async function importFromKernel(model) {
  const { sources } = await askKernel(model, { what: "modules" });
  return import(moduleUrl(sources, "panels.js", new Map()));
}

/**
 * Make a blob URL for a module, and for those that it imports.
 *
 * @param {Record<string, string>} sources
 * @param {string} name
 * @param {Map<string, string>} made
 * @returns {string}
 */
function moduleUrl(sources, name, made) {
  const known = made.get(name);
  if (known) return known;
  // Statements only: comments name modules for their types, which may lead back here.
  const text = sources[name].replace(/^(import |(?:import|export) [^"';]* from )"\.\/([\w.]+)"/gm, (_all, head, other) => {
    return `${head}"${moduleUrl(sources, other, made)}"`;
  });
  const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  made.set(name, url);
  return url;
}

let questions = 0;

/**
 * Send a message to the kernel, and wait for the answer with its id.
 *
 * @param {Model} model
 * @param {Record<string, unknown>} question
 * @returns {Promise<any>}
 */
function askKernel(model, question) {
  const id = `${Date.now()}-${(questions += 1)}`;
  return new Promise((resolve, reject) => {
    const answer = (/** @type {any} */ message, /** @type {DataView[]} */ buffers) => {
      if (message.id !== id) return;
      model.off("msg:custom", answer);
      if (message.error) reject(new Error(message.error));
      else resolve({ ...message, body: buffers?.[0] });
    };
    model.on("msg:custom", answer);
    model.send({ ...question, id });
  });
}

/** @param {Model} model @returns {ServerConnection} through the kernel */
function kernelConnection(model) {
  const url = "http://kernel";
  return {
    url,
    isDirect: false,
    headers: () => ({}),
    fetch: async (input, init = {}) => {
      const { pathname, search } = new URL(String(input));
      const request = { what: "request", verb: init.method ?? "GET", path: pathname, query: search.slice(1) };
      const headers = Object.fromEntries(new Headers(init.headers));
      const body = typeof init.body === "string" ? init.body : null;
      const answer = await askKernel(model, { ...request, headers, body });
      return new Response(answer.status === 204 ? null : answer.body, { status: answer.status, headers: answer.headers });
    },
  };
}

/**
 * @param {typeof Panels} panels
 * @returns {Promise<ServerConnection | null>} to the page's server, if our routes answer there.
 */
async function reachableServer(panels) {
  const server = panels.pageServer();
  if (!server) return null;
  try {
    const answer = await server.fetch(`${server.url}/jobs?limit=1`);
    return answer.ok ? server : null;
  } catch {
    return null;
  }
}

/** @returns {Host} JupyterLab where our extension is in the page, else nothing but the panel itself */
function pageHost() {
  return {
    openJob: () => {},
    openSubmit: () => {},
    notify: () => {},
    insertInCell: null,
    ...Reflect.get(globalThis, Symbol.for("nds_jupyter.host")),
  };
}

/**
 * Let a panel fill the place where it is docked: what lies between is only as high as what it holds.
 *
 * @param {HTMLElement} element
 * @returns {() => void} ends it
 */
function fillDock(element) {
  const fit = new ResizeObserver(([{ target }]) => {
    const above = element.getBoundingClientRect().top - target.getBoundingClientRect().top;
    if (target.clientHeight) element.style.height = `${target.clientHeight - above - MARGIN}px`;
  });
  // It is put into the page only after it was made.
  const seen = new IntersectionObserver(() => {
    const dock = element.closest(".lm-DockPanel-widget, .lm-StackedPanel-child");
    if (dock) fit.observe(dock);
  });
  seen.observe(element);
  return () => {
    seen.disconnect();
    fit.disconnect();
  };
}

export default {
  /** @param {RenderProps<Traits>} props */
  async render({ model, el }) {
    const panels = await loadPanels(model);
    const server = (await reachableServer(panels)) ?? kernelConnection(model);
    const { store, release } = panels.sharedStore(server);
    const mounted = panels.mountPanel(store, pageHost(), model.get("_panel"), model.get("_options"));
    const height = model.get("height");
    mounted.element.style.height = height;
    el.append(mounted.element);
    const stopFilling = height === "100%" ? fillDock(mounted.element) : () => {};
    return () => {
      stopFilling();
      mounted.dispose();
      release();
    };
  },
};
