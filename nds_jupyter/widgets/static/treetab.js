/** A tab with a tree of a job's files: to look at, select from, download, and send to the data root. */

/** @import { Host } from "./types.js" */
/** @import { Store } from "./store.js" */
/** @import { TreeNode } from "./tree.js" */
import { button, h, iconButton, setText } from "./dom.js";
import { downloadArchive, downloadFile } from "./download.js";
import { sizeText } from "./format.js";
import { icon } from "./icons.js";
import { sendToData } from "./send.js";
import { Tree } from "./tree.js";

/**
 * @typedef {object} Content what a tab is about
 * @property {string} name
 * @property {string} label of the tree
 * @property {(signal: AbortSignal, show: (roots: TreeNode[]) => void) => Promise<Fetched>} fetch
 * @property {(node: TreeNode, signal: AbortSignal) => Promise<TreeNode[]>} [children] of a folder that has none yet
 * @property {(node: TreeNode) => void} [open] a file
 * @property {HTMLElement} [pane] beside the tree
 * @property {string} [whole] a path that can be downloaded as a whole
 *
 * @typedef {object} Fetched
 * @property {TreeNode[]} roots
 * @property {string} words that sum it up
 */

/** The mark of what is no longer there. */
export const DELETED = "deleted";

export class TreeTab {
  /**
   * @param {Store} store
   * @param {Host} host
   * @param {string} jobId
   * @param {Content} content
   */
  constructor(store, host, jobId, content) {
    this._store = store;
    this._host = host;
    this._jobId = jobId;
    this._content = content;
    this._stopped = new AbortController();
    this._words = "";
    const { children, label, open } = content;
    this._tree = new Tree({
      label,
      open,
      load: children && ((node) => this._told(() => children(node, this._stopped.signal))),
      onSelect: () => this._update(),
    });
    this._status = h("span", { class: "nds-count", role: "status", "aria-live": "polite" });
    this._whole = button("Download all", () => this._save([content.whole ?? "/"]), { disabled: true, hidden: !content.whole });
    this._some = button("Download selected", () => this._save(this._paths()), { disabled: true });
    this._send = button("Send to data …", () => this._sendSelected(), { disabled: true });
    this.element = h(
      "div",
      { class: "nds-treeTab" },
      this._makeToolbar(),
      h("div", { class: "nds-split" }, this._tree.element, content.pane),
    );
    this._end = store.onEnd((job) => job.job_id === jobId && this._fetch());
    this._fetch();
  }

  dispose() {
    this._end();
    this._stopped.abort();
    this._tree.dispose();
  }

  _makeToolbar() {
    const { name } = this._content;
    const refresh = iconButton(icon("refresh"), `Refresh the ${name.toLowerCase()}`, () => this._fetch());
    const props = { class: "nds-toolbar", role: "toolbar", "aria-label": name };
    return h("div", props, this._whole, this._some, this._send, refresh, this._status);
  }

  async _fetch() {
    this._stopped.abort();
    this._stopped = new AbortController();
    const { signal } = this._stopped;
    setText(this._status, "loading …");
    const show = (/** @type {TreeNode[]} */ roots) => this._tree.setRoots(roots);
    const fetched = await this._told(() => this._content.fetch(signal, show));
    if (!fetched || signal.aborted) return;
    this._words = fetched.words;
    this._whole.disabled = fetched.roots.length === 0;
    show(fetched.roots);
    this._update();
  }

  /**
   * @template T
   * @param {() => Promise<T>} ask
   * @returns {Promise<T | null>} null where it failed, which the tab says, or is no longer wanted
   */
  async _told(ask) {
    const { signal } = this._stopped;
    try {
      return await ask();
    } catch (error) {
      if (!signal.aborted) setText(this._status, /** @type {Error} */ (error).message);
      return null;
    }
  }

  _update() {
    const chosen = [...this._tree.selected.values()];
    this._some.disabled = this._send.disabled = this._paths().length === 0;
    const size = chosen.reduce((sum, node) => sum + (node.size ?? 0), 0);
    const selected = chosen.length ? ` · ${chosen.length} selected${size ? `, ${sizeText(size)}` : ""}` : "";
    setText(this._status, `${this._words}${selected}`);
  }

  /** What is selected and can be had. */
  _paths() {
    return [...this._tree.selected.values()].filter(({ mark }) => mark !== DELETED).map(({ path }) => path);
  }

  /** @param {string[]} paths */
  async _save(paths) {
    const only = paths.length === 1 ? this._tree.selected.get(paths[0]) : undefined;
    try {
      if (only?.file) await downloadFile(this._store, this._jobId, only.path);
      else await downloadArchive(this._store, this._jobId, paths);
    } catch (error) {
      this._host.notify(/** @type {Error} */ (error).message, "error");
    }
  }

  async _sendSelected() {
    const say = (/** @type {string} */ text) => setText(this._status, text);
    await sendToData(this._store, this._host, this._jobId, this._paths(), { near: this.element, say });
  }
}
