/** ARIA tree of files with checkboxes, and the tab that lists, downloads and delivers the files of a job's container. */

/** @import { JobStore } from "./job_store.js" */
/** @import { DataEntry, Host } from "./types.js" */
import { confirmDialog, promptDialog } from "./dialog.js";
import { button, h, iconButton, setAttribute, setText } from "./dom.js";
import { baseName, downloadArchive, downloadFile } from "./downloads.js";
import { sizeText } from "./format.js";
import { icon, setIcon } from "./icons.js";
import { ApiError } from "./rest_api.js";
import { rowAfterKey, VirtualList } from "./virtual_list.js";

/** Pixels. */
const ROW_HEIGHT = 24;
const INDENTATION = 16;

/**
 * @typedef {object} TreeNode
 * @property {string} path
 * @property {string} name
 * @property {boolean} folder
 * @property {boolean} [file] whether it can be had as a file
 * @property {boolean} [open] whether it is opened for who sees it first
 * @property {number | null} size
 * @property {string} mark a word about it, `added` or the like; may be empty
 * @property {TreeNode[] | null} children null: not loaded
 *
 * @typedef {object} VisibleNode a node whose folders are all open
 * @property {TreeNode} node
 * @property {number} depth
 * @property {number} position among those of its folder, from 1
 * @property {number} siblings those of its folder, with itself
 * @property {number} parent index of its folder; -1 for none
 */

/** Tree of paths: folders are loaded and opened when asked for, entries are ticked for what a button then does. */
export class FileTree {
  /**
   * @param {object} options
   * @param {string} options.label
   * @param {(node: TreeNode) => Promise<TreeNode[] | null>} [options.load] the children of a folder; null where it failed
   * @param {(node: TreeNode) => void} [options.open] a file
   * @param {() => void} options.onSelect
   */
  constructor({ label, load, open, onSelect }) {
    this._load = load;
    this._openFile = open;
    this._onSelect = onSelect;
    /** @type {TreeNode[]} */
    this.roots = [];
    /** @type {Map<string, boolean>} Whether a folder was opened or closed, by its path. */
    this._opened = new Map();
    /** @type {Map<string, TreeNode>} */
    this.selected = new Map();
    /** @type {VisibleNode[]} */
    this._visible = [];
    /** @type {string} The path that keys act on. */
    this._active = "";
    this._rows = new VirtualList({
      height: ROW_HEIGHT,
      make: () => this._makeRow(),
      key: (index) => this._visible[index].node.path,
      isActive: (index) => this._visible[index].node.path === this._active,
      props: { class: "nds-tree", role: "tree", tabIndex: 0, "aria-label": label, "aria-multiselectable": "true" },
    });
    this.element = this._rows.element;
    this.element.addEventListener("keydown", (event) => this._onKey(event));
    this.element.addEventListener("focus", () => this._active || this._activate(this._rows.firstVisible));
  }

  dispose() {
    this._rows.dispose();
  }

  /** @param {TreeNode[]} roots */
  setRoots(roots) {
    this.roots = roots;
    this._refresh();
    this._loadOpened(roots);
  }

  _refresh() {
    this._visible = [];
    this._addVisible(this.roots, 0, -1);
    this._rows.setCount(this._visible.length);
  }

  /** @param {TreeNode[]} nodes @param {number} depth @param {number} parent */
  _addVisible(nodes, depth, parent) {
    nodes.forEach((node, at) => {
      const visible = { node, depth, position: at + 1, siblings: nodes.length, parent };
      const index = this._visible.push(visible) - 1;
      if (this._isOpen(node)) this._addVisible(node.children ?? [], depth + 1, index);
    });
  }

  /** Load folders that were open before their parents were fetched anew. @param {TreeNode[]} nodes */
  async _loadOpened(nodes) {
    for (const node of nodes) {
      if (!this._isOpen(node)) continue;
      if (node.children === null) await this._loadChildren(node);
      await this._loadOpened(node.children ?? []);
    }
  }

  /** @param {TreeNode} node */
  _isOpen(node) {
    return node.folder && (this._opened.get(node.path) ?? node.open ?? false);
  }

  /** Whether it, or a folder above it, is ticked. @param {TreeNode} node */
  _isSelected(node) {
    for (let path = node.path; ; path = path.slice(0, path.lastIndexOf("/"))) {
      if (this.selected.has(path || "/")) return true;
      if (!path) return false;
    }
  }

  _makeRow() {
    return new TreeRow({
      visibleAt: (index) => this._visible[index],
      isOpen: (node) => this._isOpen(node),
      isSelected: (node) => this._isSelected(node),
      isActive: (node) => node.path === this._active,
      select: (node, on) => this._select(node, on),
      activate: (node) => this._openNode(node),
    });
  }

  /** @param {TreeNode} node @param {boolean} on */
  _select(node, on) {
    if (on) this.selected.set(node.path, node);
    else this.selected.delete(node.path);
    this._active = node.path;
    this._rows.refresh();
    this._onSelect();
  }

  /** Open or close a folder, or open a file. @param {TreeNode} node */
  _openNode(node) {
    this._active = node.path;
    if (node.folder) this._setOpen(node, !this._isOpen(node));
    else this._openFile?.(node);
    this._rows.refresh();
  }

  /** @param {TreeNode} node @param {boolean} open */
  async _setOpen(node, open) {
    this._opened.set(node.path, open);
    this._refresh();
    if (open && node.children === null) await this._loadChildren(node);
  }

  /** @param {TreeNode} node */
  async _loadChildren(node) {
    if (!this._load) return;
    setAttribute(this.element, "aria-busy", "true");
    node.children = await this._load(node);
    setAttribute(this.element, "aria-busy", "false");
    // What could not be loaded is asked for again by the next click.
    if (node.children === null) this._opened.set(node.path, false);
    this._refresh();
  }

  /** @param {number} index */
  _activate(index) {
    const visible = this._visible[index];
    if (!visible) return;
    this._active = visible.node.path;
    this._rows.scrollToRow(index);
  }

  /** @param {KeyboardEvent} event */
  _onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = this._visible.findIndex(({ node }) => node.path === this._active);
    const to = rowAfterKey(event, at, this._rows);
    if (to !== null) {
      this.element.focus({ preventScroll: true });
      this._activate(to);
    } else if (at < 0 || event.target !== this.element || !this._actOnKey(event.key, at)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {string} key @param {number} at @returns {boolean} whether the key means something */
  _actOnKey(key, at) {
    const { node, parent } = this._visible[at];
    const open = this._isOpen(node);
    if (key === "Enter") this._openNode(node);
    else if (key === " ") this._select(node, !this.selected.has(node.path));
    else if (key === "ArrowRight" && node.folder && !open) this._setOpen(node, true);
    else if (key === "ArrowRight" && open && node.children?.length) this._activate(at + 1);
    else if (key === "ArrowLeft" && open) this._setOpen(node, false);
    else if (key === "ArrowLeft" && parent >= 0) this._activate(parent);
    else return false;
    return true;
  }
}

/** Row of a tree. */
class TreeRow {
  /**
   * @param {object} options
   * @param {(index: number) => VisibleNode} options.visibleAt
   * @param {(node: TreeNode) => boolean} options.isOpen
   * @param {(node: TreeNode) => boolean} options.isSelected
   * @param {(node: TreeNode) => boolean} options.isActive
   * @param {(node: TreeNode, on: boolean) => void} options.select
   * @param {(node: TreeNode) => void} options.activate
   */
  constructor(options) {
    this._options = options;
    /** @type {TreeNode | null} */
    this._node = null;
    const current = () => /** @type {TreeNode} */ (this._node);
    this._twist = icon("collapsed");
    this._twister = h("span", { class: "nds-tree-twist" }, this._twist);
    this._symbol = icon("file");
    this._checkbox = h("input", {
      type: "checkbox",
      tabIndex: -1,
      onclick: (/** @type {Event} */ event) => event.stopPropagation(),
      onchange: () => options.select(current(), this._checkbox.checked),
    });
    this._name = h("span", { class: "nds-tree-name" });
    this._mark = h("span", { class: "nds-tree-mark" });
    this._size = h("span", { class: "nds-tree-size" });
    const props = { class: "nds-row nds-tree-row", role: "treeitem", onclick: () => options.activate(current()) };
    const texts = [this._name, this._mark, this._size];
    this.element = h("div", props, this._twister, this._checkbox, this._symbol, ...texts);
  }

  /** @param {number} index */
  update(index) {
    const { isOpen, isSelected, visibleAt } = this._options;
    const visible = visibleAt(index);
    const { depth, node } = visible;
    this._node = node;
    const open = isOpen(node);
    this.element.style.paddingLeft = `${4 + depth * INDENTATION}px`;
    setIcon(this._symbol, node.folder ? "folder" : "file");
    setIcon(this._twist, open ? "expanded" : "collapsed");
    this._twister.style.visibility = node.folder ? "visible" : "hidden";
    setText(this._name, node.name);
    setText(this._mark, node.mark);
    setText(this._size, node.folder ? "" : sizeText(node.size));
    this._checkbox.checked = isSelected(node);
    setAttribute(this._checkbox, "aria-label", `Select ${node.name}`);
    this._updateAttributes(visible, open);
  }

  /** @param {VisibleNode} visible @param {boolean} open */
  _updateAttributes({ depth, node, position, siblings }, open) {
    const { element } = this;
    const label = [node.name, node.mark, this._size.textContent].filter(Boolean).join(", ");
    setAttribute(element, "aria-label", label);
    setAttribute(element, "data-mark", node.mark);
    setAttribute(element, "data-path", node.path);
    setAttribute(element, "title", node.path);
    setAttribute(element, "aria-level", String(depth + 1));
    setAttribute(element, "aria-posinset", String(position));
    setAttribute(element, "aria-setsize", String(siblings));
    setAttribute(element, "aria-selected", String(this._checkbox.checked));
    element.classList.toggle("nds-active", this._options.isActive(node));
    if (node.folder) setAttribute(element, "aria-expanded", String(open));
    else element.removeAttribute("aria-expanded");
  }
}

/**
 * @typedef {object} FilesSource what a tab lists, and how
 * @property {string} name
 * @property {string} label of the tree
 * @property {(signal: AbortSignal, show: (roots: TreeNode[]) => void) => Promise<FileListing>} fetch
 * @property {(node: TreeNode, signal: AbortSignal) => Promise<TreeNode[]>} [children] of a folder that has none yet
 * @property {(node: TreeNode) => void} [open] a file
 * @property {HTMLElement} [pane] beside the tree
 * @property {string} [root] a path that can be downloaded as a whole
 *
 * @typedef {object} FileListing
 * @property {TreeNode[]} roots
 * @property {string} summary
 */

/** Mark of a deleted file. */
const DELETED = "deleted";

/** Tab of a job with a tree of files: to look at, select from, download, and send to the data root. */
export class FilesTab {
  /**
   * @param {JobStore} store
   * @param {Host} host
   * @param {string} jobId
   * @param {FilesSource} source
   */
  constructor(store, host, jobId, source) {
    this._store = store;
    this._host = host;
    this._jobId = jobId;
    this._source = source;
    this._abort = new AbortController();
    this._summary = "";
    const { children, label, open, root } = source;
    this._tree = new FileTree({
      label,
      open,
      load: children && ((node) => this._showErrors(() => children(node, this._abort.signal))),
      onSelect: () => this._update(),
    });
    this._status = h("span", { class: "nds-count", role: "status", "aria-live": "polite" });
    this._downloadAll = button("Download all", () => this._download([root ?? "/"]), { disabled: true, hidden: !root });
    this._downloadSelected = button("Download selected", () => this._download(this._selectedPaths()), { disabled: true });
    this._send = button("Send to data …", () => this._sendSelected(), { disabled: true });
    this.element = h(
      "div",
      { class: "nds-treeTab" },
      this._makeToolbar(),
      h("div", { class: "nds-split" }, this._tree.element, source.pane),
    );
    this._end = store.onEnd((job) => job.job_id === jobId && this._fetch());
    this._fetch();
  }

  dispose() {
    this._end();
    this._abort.abort();
    this._tree.dispose();
  }

  _makeToolbar() {
    const { name } = this._source;
    const refresh = iconButton(icon("refresh"), `Refresh the ${name.toLowerCase()}`, () => this._fetch());
    const props = { class: "nds-toolbar", role: "toolbar", "aria-label": name };
    return h("div", props, this._downloadAll, this._downloadSelected, this._send, refresh, this._status);
  }

  async _fetch() {
    this._abort.abort();
    this._abort = new AbortController();
    const { signal } = this._abort;
    setText(this._status, "loading …");
    const show = (/** @type {TreeNode[]} */ roots) => this._tree.setRoots(roots);
    const listing = await this._showErrors(() => this._source.fetch(signal, show));
    if (!listing || signal.aborted) return;
    this._summary = listing.summary;
    this._downloadAll.disabled = listing.roots.length === 0;
    show(listing.roots);
    this._update();
  }

  /**
   * Show the error of a request as the tab's status.
   *
   * @template T
   * @param {() => Promise<T>} request
   * @returns {Promise<T | null>} null where it failed, or is no longer wanted
   */
  async _showErrors(request) {
    const { signal } = this._abort;
    try {
      return await request();
    } catch (error) {
      if (!signal.aborted) setText(this._status, /** @type {Error} */ (error).message);
      return null;
    }
  }

  _update() {
    const nodes = [...this._tree.selected.values()];
    this._downloadSelected.disabled = this._send.disabled = this._selectedPaths().length === 0;
    const size = nodes.reduce((sum, node) => sum + (node.size ?? 0), 0);
    const selected = nodes.length ? ` · ${nodes.length} selected${size ? `, ${sizeText(size)}` : ""}` : "";
    setText(this._status, `${this._summary}${selected}`);
  }

  /** What is selected and still there. */
  _selectedPaths() {
    return [...this._tree.selected.values()].filter(({ mark }) => mark !== DELETED).map(({ path }) => path);
  }

  /** @param {string[]} paths */
  async _download(paths) {
    const only = paths.length === 1 ? this._tree.selected.get(paths[0]) : undefined;
    try {
      if (only?.file) await downloadFile(this._store, this._jobId, only.path);
      else await downloadArchive(this._store, this._jobId, paths);
    } catch (error) {
      this._host.notify(/** @type {Error} */ (error).message, "error");
    }
  }

  async _sendSelected() {
    const setStatus = (/** @type {string} */ text) => setText(this._status, text);
    await sendToData(this._store, this._host, this._jobId, this._selectedPaths(), { near: this.element, setStatus });
  }
}

/** @typedef {{ paths: string[], to: string }} Selection */

/**
 * Ask for a collection and send paths there, folders with all they hold. The server copies; nothing passes through the page.
 *
 * @param {JobStore} store
 * @param {Host} host
 * @param {string} jobId
 * @param {string[]} paths absolute paths in the container
 * @param {object} options
 * @param {HTMLElement} options.near
 * @param {(text: string) => void} options.setStatus
 */
async function sendToData(store, host, jobId, paths, { near, setStatus }) {
  const what = paths.length === 1 ? baseName(paths[0]) : `${paths.length} entries`;
  const question = `Collection that ${what} should go to`;
  const to = await promptDialog(near, "Send to the data root", question, "/", "Send");
  if (!to) return;
  setStatus(`sending ${what} to ${to} …`);
  try {
    const sent = await deliverOrReplace(store, jobId, { paths, to }, near);
    const summary = sent ? sentText(sent, to) : `nothing sent to ${to}`;
    setStatus(summary);
    if (sent) host.notify(summary, "success");
  } catch (error) {
    const { message } = /** @type {Error} */ (error);
    setStatus(message);
    host.notify(message, "error");
  }
}

/**
 * @param {JobStore} store
 * @param {string} jobId
 * @param {Selection} selection
 * @param {HTMLElement} near
 * @returns {Promise<DataEntry[] | null>} null where what is there is to stay
 */
async function deliverOrReplace({ api }, jobId, selection, near) {
  try {
    return await api.deliver(jobId, selection, false);
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 409)) throw error;
    const text = "Objects that are there already are replaced then.";
    const options = { accept: "Replace", danger: true };
    const sure = await confirmDialog(near, "Replace it?", [error.message, " ", text], options);
    return sure ? api.deliver(jobId, selection, true) : null;
  }
}

/** @param {DataEntry[]} sent @param {string} to */
function sentText(sent, to) {
  const size = sizeText(sent.reduce((sum, { size }) => sum + size, 0));
  return `${sent.length} ${sent.length === 1 ? "file" : "files"} (${size}) sent to ${to}`;
}
