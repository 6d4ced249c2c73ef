/** ARIA tree of files with checkboxes, and the tab that lists, downloads and delivers the files of a job's container. */

/** @import { JobStore } from "./job_store.js" */
/** @import { DataEntry, Host } from "./types.js" */
import { confirmDialog, promptDialog } from "./dialog.js";
import { button, h, iconButton, setAttribute, setText } from "./dom.js";
import { baseName, downloadArchive, downloadFile } from "./downloads.js";
import { sizeText } from "./format.js";
import { setIcon, icon } from "./icons.js";
import { ApiError, deliver } from "./rest_api.js";
import { rowAfterKey, VirtualList } from "./virtual_list.js";

const ROW = 24;

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
 * @typedef {object} VisibleNode
 * @property {TreeNode} node
 * @property {number} depth
 * @property {number} place among those of its folder, from 1
 * @property {number} places
 * @property {number} parent index of its folder; -1 for none
 */

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
    /** @type {Map<string, boolean>} Of folders that were opened or closed. */
    this._opened = new Map();
    /** @type {Map<string, TreeNode>} */
    this.selected = new Map();
    /** @type {VisibleNode[]} */
    this._shown = [];
    /** @type {string} The path that keys act on. */
    this._active = "";
    this._rows = new VirtualList({
      height: ROW,
      make: () => this._makeRow(),
      key: (index) => this._shown[index].node.path,
      isActive: (index) => this._shown[index].node.path === this._active,
      props: { class: "nds-tree", role: "tree", tabIndex: 0, "aria-label": label, "aria-multiselectable": "true" },
    });
    this.element = this._rows.element;
    this.element.addEventListener("keydown", (event) => this._key(event));
    this.element.addEventListener("focus", () => this._active || this._activate(this._rows.top));
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
    this._shown = [];
    this._list(this.roots, 0, -1);
    this._rows.setCount(this._shown.length);
  }

  /** @param {TreeNode[]} nodes @param {number} depth @param {number} parent */
  _list(nodes, depth, parent) {
    nodes.forEach((node, at) => {
      const index = this._shown.push({ node, depth, place: at + 1, places: nodes.length, parent }) - 1;
      if (this._isOpen(node)) this._list(node.children ?? [], depth + 1, index);
    });
  }

  /** Folders that were open before their parents were fetched anew. @param {TreeNode[]} nodes */
  async _loadOpened(nodes) {
    for (const node of nodes) {
      if (!this._isOpen(node)) continue;
      if (node.children === null) await this._fill(node);
      await this._loadOpened(node.children ?? []);
    }
  }

  /** @param {TreeNode} node */
  _isOpen(node) {
    return node.folder && (this._opened.get(node.path) ?? node.open ?? false);
  }

  /** @param {TreeNode} node */
  _isSelected(node) {
    for (let path = node.path; ; path = path.slice(0, path.lastIndexOf("/"))) {
      if (this.selected.has(path || "/")) return true;
      if (!path) return false;
    }
  }

  _makeRow() {
    return makeTreeRow({
      shownAt: (index) => this._shown[index],
      isOpen: (node) => this._isOpen(node),
      isSelected: (node) => this._isSelected(node),
      isActive: (node) => node.path === this._active,
      select: (node, on) => this._select(node, on),
      click: (node) => this._click(node),
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

  /** @param {TreeNode} node */
  _click(node) {
    this._active = node.path;
    if (node.folder) this._toggle(node, !this._isOpen(node));
    else this._openFile?.(node);
    this._rows.refresh();
  }

  /** @param {TreeNode} node @param {boolean} open */
  async _toggle(node, open) {
    this._opened.set(node.path, open);
    this._refresh();
    if (open && node.children === null) await this._fill(node);
  }

  /** @param {TreeNode} node */
  async _fill(node) {
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
    const shown = this._shown[index];
    if (!shown) return;
    this._active = shown.node.path;
    this._rows.show(index);
  }

  /** @param {KeyboardEvent} event */
  _key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = this._shown.findIndex(({ node }) => node.path === this._active);
    const to = rowAfterKey(event, at, this._rows);
    if (to !== null) {
      this.element.focus({ preventScroll: true });
      this._activate(to);
    } else if (at < 0 || event.target !== this.element || !this._act(event.key, at)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {string} key @param {number} at @returns {boolean} whether the key means something */
  _act(key, at) {
    const { node, parent } = this._shown[at];
    const open = this._isOpen(node);
    if (key === "Enter") this._click(node);
    else if (key === " ") this._select(node, !this.selected.has(node.path));
    else if (key === "ArrowRight" && node.folder && !open) this._toggle(node, true);
    else if (key === "ArrowRight" && open && node.children?.length) this._activate(at + 1);
    else if (key === "ArrowLeft" && open) this._toggle(node, false);
    else if (key === "ArrowLeft" && parent >= 0) this._activate(parent);
    else return false;
    return true;
  }
}

/**
 * @param {object} options
 * @param {(index: number) => VisibleNode} options.shownAt
 * @param {(node: TreeNode) => boolean} options.isOpen
 * @param {(node: TreeNode) => boolean} options.isSelected
 * @param {(node: TreeNode) => boolean} options.isActive
 * @param {(node: TreeNode, on: boolean) => void} options.select
 * @param {(node: TreeNode) => void} options.click
 */
export function makeTreeRow({ shownAt, isOpen, isSelected, isActive, select, click }) {
  /** @type {TreeNode} */
  let node;
  const twist = icon("collapsed");
  const symbol = icon("file");
  const tick = h("input", {
    type: "checkbox",
    tabIndex: -1,
    onclick: (/** @type {Event} */ event) => event.stopPropagation(),
    onchange: () => select(node, tick.checked),
  });
  const name = h("span", { class: "nds-tree-name" });
  const mark = h("span", { class: "nds-tree-mark" });
  const size = h("span", { class: "nds-tree-size" });
  const twister = h("span", { class: "nds-tree-twist" }, twist);
  const props = { class: "nds-row nds-tree-row", role: "treeitem", onclick: () => click(node) };
  const element = h("div", props, twister, tick, symbol, name, mark, size);

  /** @param {number} index */
  function update(index) {
    const { depth, node: shown, place, places } = shownAt(index);
    node = shown;
    const open = isOpen(node);
    element.style.paddingLeft = `${4 + depth * 16}px`;
    setIcon(symbol, node.folder ? "folder" : "file");
    setIcon(twist, open ? "expanded" : "collapsed");
    twister.style.visibility = node.folder ? "visible" : "hidden";
    setText(name, node.name);
    setText(mark, node.mark);
    setText(size, node.folder ? "" : sizeText(node.size));
    tick.checked = isSelected(node);
    setAttribute(tick, "aria-label", `Select ${node.name}`);
    const said = [node.name, node.mark, size.textContent].filter(Boolean).join(", ");
    setAttribute(element, "aria-label", said);
    setAttribute(element, "data-mark", node.mark);
    setAttribute(element, "data-path", node.path);
    setAttribute(element, "title", node.path);
    setAttribute(element, "aria-level", String(depth + 1));
    setAttribute(element, "aria-posinset", String(place));
    setAttribute(element, "aria-setsize", String(places));
    setAttribute(element, "aria-selected", String(tick.checked));
    element.classList.toggle("nds-active", isActive(node));
    if (node.folder) setAttribute(element, "aria-expanded", String(open));
    else element.removeAttribute("aria-expanded");
  }
  return { element, update };
}

/**
 * @typedef {object} FilesSource what a tab is about
 * @property {string} name
 * @property {string} label of the tree
 * @property {(signal: AbortSignal, show: (roots: TreeNode[]) => void) => Promise<FileListing>} fetch
 * @property {(node: TreeNode, signal: AbortSignal) => Promise<TreeNode[]>} [children] of a folder that has none yet
 * @property {(node: TreeNode) => void} [open] a file
 * @property {HTMLElement} [pane] beside the tree
 * @property {string} [whole] a path that can be downloaded as a whole
 *
 * @typedef {object} FileListing
 * @property {TreeNode[]} roots
 * @property {string} words that sum it up
 */

/** The mark of what is no longer there. */
export const DELETED = "deleted";

export class FilesTab {
  /**
   * @param {JobStore} store
   * @param {Host} host
   * @param {string} jobId
   * @param {FilesSource} content
   */
  constructor(store, host, jobId, content) {
    this._store = store;
    this._host = host;
    this._jobId = jobId;
    this._content = content;
    this._stopped = new AbortController();
    this._words = "";
    const { children, label, open } = content;
    this._tree = new FileTree({
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
   * @param {() => Promise<T>} request
   * @returns {Promise<T | null>} null where it failed, which the tab says, or is no longer wanted
   */
  async _told(request) {
    const { signal } = this._stopped;
    try {
      return await request();
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

/** @typedef {{ paths: string[], to: string }} Selection */

/**
 * Ask for a collection and send paths there, folders with all they hold.
 *
 * @param {JobStore} store
 * @param {Host} host
 * @param {string} jobId
 * @param {string[]} paths absolute paths in the container
 * @param {object} options
 * @param {HTMLElement} options.near
 * @param {(text: string) => void} options.say where the panel tells how it goes
 */
export async function sendToData(store, host, jobId, paths, { near, say }) {
  const what = paths.length === 1 ? baseName(paths[0]) : `${paths.length} entries`;
  const to = await promptDialog(near, "Send to the data root", `Collection that ${what} should go to`, "/", "Send");
  if (!to) return;
  say(`sending ${what} to ${to} …`);
  try {
    const sent = await delivered(store, jobId, { paths, to }, near);
    const told = sent ? sentText(sent, to) : `nothing sent to ${to}`;
    say(told);
    if (sent) host.notify(told, "success");
  } catch (error) {
    const { message } = /** @type {Error} */ (error);
    say(message);
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
async function delivered({ api }, jobId, selection, near) {
  try {
    return await deliver(api, jobId, selection, false);
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 409)) throw error;
    const text = "Objects that are there already are replaced then.";
    const sure = await confirmDialog(near, "Replace it?", [error.message, " ", text], { accept: "Replace", danger: true });
    return sure ? deliver(api, jobId, selection, true) : null;
  }
}

/** @param {DataEntry[]} sent @param {string} to */
function sentText(sent, to) {
  const size = sizeText(sent.reduce((sum, { size }) => sum + size, 0));
  return `${sent.length} ${sent.length === 1 ? "file" : "files"} (${size}) sent to ${to}`;
}
