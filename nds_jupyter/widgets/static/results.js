/** What a job left under /results: files with sizes, a look at each, downloads. */

/** @import { Host, ResultEntry } from "./types.js" */
/** @import { Store } from "./store.js" */
/** @import { TreeNode } from "./tree.js" */
import { button, h, iconButton, setText } from "./dom.js";
import { downloadArchive, downloadFile } from "./download.js";
import { icon } from "./icons.js";
import { preview } from "./preview.js";
import { sendToData } from "./send.js";
import { Tree } from "./tree.js";

const ROOT = "/results";

export class ResultsView {
  /**
   * @param {Store} store
   * @param {Host} host
   * @param {string} jobId
   */
  constructor(store, host, jobId) {
    this._store = store;
    this._host = host;
    this._jobId = jobId;
    this._stopped = new AbortController();
    this._tree = new Tree({
      label: "Results",
      load: (node) => this._list(node.path),
      open: (node) => this._preview(node),
      onSelect: () => this._update(),
    });
    this._status = h("span", { class: "nds-count", role: "status", "aria-live": "polite" });
    this._some = button("Download selected", () => this._save(this._selected()), { disabled: true });
    this._all = button("Download all", () => this._save([ROOT]), { disabled: true });
    this._send = button("Send to data …", () => this._sendSelected(), { disabled: true });
    this._pane = h("div", { class: "nds-preview", role: "region", "aria-label": "Preview", "aria-live": "polite" });
    this.element = h(
      "div",
      { class: "nds-results" },
      h(
        "div",
        { class: "nds-toolbar", role: "toolbar", "aria-label": "Results" },
        this._all,
        this._some,
        this._send,
        iconButton(icon("refresh"), "Refresh the results", () => this._fetch()),
        this._status,
      ),
      h("div", { class: "nds-split" }, this._tree.element, this._pane),
    );
    this._end = store.onEnd((job) => job.job_id === jobId && this._fetch());
    this._fetch();
  }

  dispose() {
    this._end();
    this._stopped.abort();
    this._tree.dispose();
  }

  shown() {
    this._tree.refresh();
  }

  async _fetch() {
    setText(this._status, "loading …");
    const roots = await this._list(ROOT);
    this._tree.setRoots(roots);
    this._all.disabled = roots.length === 0;
    if (roots.length || !this._failed) setText(this._status, roots.length ? `${roots.length} entries` : "nothing in /results yet");
  }

  /** @param {string} path @returns {Promise<TreeNode[]>} */
  async _list(path) {
    /** @type {TreeNode[]} */
    const nodes = [];
    this._failed = false;
    try {
      for await (const rows of this._store.api.results(this._jobId, path, this._stopped.signal)) {
        for (const row of rows) nodes.push(treeNode(row));
      }
    } catch (error) {
      this._failed = true;
      if (!this._stopped.signal.aborted) setText(this._status, /** @type {Error} */ (error).message);
    }
    return nodes;
  }

  _selected() {
    return [...this._tree.selected.keys()];
  }

  _update() {
    this._some.disabled = this._send.disabled = this._tree.selected.size === 0;
  }

  /** @param {string[]} paths */
  async _save(paths) {
    const [only] = this._tree.selected.values();
    const file = paths.length === 1 && only?.path === paths[0] && !only.folder;
    try {
      if (file) await downloadFile(this._store, this._jobId, paths[0]);
      else await downloadArchive(this._store, this._jobId, paths);
    } catch (error) {
      this._host.notify(/** @type {Error} */ (error).message, "error");
    }
  }

  async _sendSelected() {
    const say = (/** @type {string} */ text) => setText(this._status, text);
    await sendToData(this._store, this._host, this._jobId, this._selected(), { near: this.element, say });
  }

  /** @param {TreeNode} node */
  async _preview(node) {
    const { api } = this._store;
    const query = { job_id: this._jobId, path: node.path, format: "raw" };
    const title = h("h3", {}, node.name);
    this._pane.replaceChildren(title, "loading …");
    let body;
    try {
      body = await preview(node.name, node.size ?? 0, (init) => api.request("GET", "/results", query, init));
    } catch (error) {
      body = h("p", { class: "nds-preview-note" }, /** @type {Error} */ (error).message);
    }
    const save = iconButton(icon("down"), `Download ${node.name}`, () => downloadFile(this._store, this._jobId, node.path));
    this._pane.replaceChildren(h("div", { class: "nds-preview-head" }, title, save), body);
  }
}

/** @param {ResultEntry} row @returns {TreeNode} */
function treeNode(row) {
  const folder = row.kind === "dir";
  const mark = row.kind === "link" ? "link" : "";
  return { path: row.path, name: row.name, folder, size: row.size, mark, children: null };
}
