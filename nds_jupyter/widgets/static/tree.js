/** A tree of paths: folders open when asked for, entries are ticked for what a button then does. */

import { setAttribute } from "./dom.js";
import { movedBy, Rows } from "./rows.js";
import { makeTreeRow } from "./treerow.js";

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
 * @typedef {object} Shown
 * @property {TreeNode} node
 * @property {number} depth
 * @property {number} place among those of its folder, from 1
 * @property {number} places
 * @property {number} parent index of its folder; -1 for none
 */

export class Tree {
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
    /** @type {Shown[]} */
    this._shown = [];
    /** @type {string} The path that keys act on. */
    this._active = "";
    this._rows = new Rows({
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
    const to = movedBy(event, at, this._rows);
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
