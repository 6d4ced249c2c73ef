/** A tree of paths: folders open when asked for, entries are ticked for what a button then does. */

import { h, setAttribute, setText } from "./dom.js";
import { changeIcon, icon } from "./icons.js";
import { movedBy, Rows } from "./rows.js";
import { sizeText } from "./format.js";

const ROW = 24;

/**
 * @typedef {object} TreeNode
 * @property {string} path
 * @property {string} name
 * @property {boolean} folder
 * @property {number | null} size
 * @property {string} mark a word about it, `added` or the like; may be empty
 * @property {TreeNode[] | null} children null: not loaded
 *
 * @typedef {object} Shown
 * @property {TreeNode} node
 * @property {number} depth
 */

export class Tree {
  /**
   * @param {object} options
   * @param {string} options.label
   * @param {(node: TreeNode) => Promise<TreeNode[]>} [options.load] the children of a folder
   * @param {(node: TreeNode) => void} [options.open] a file
   * @param {() => void} options.onSelect
   */
  constructor({ label, load, open, onSelect }) {
    this._load = load;
    this._openFile = open;
    this._onSelect = onSelect;
    /** @type {TreeNode[]} */
    this.roots = [];
    /** @type {Set<string>} */
    this._expanded = new Set();
    /** @type {Map<string, TreeNode>} */
    this.selected = new Map();
    /** @type {Shown[]} */
    this._shown = [];
    this._at = 0;
    this._rows = new Rows({
      height: ROW,
      make: () => this._makeRow(),
      key: (index) => this._shown[index].node.path,
      props: { class: "nds-tree", role: "tree", tabIndex: 0, "aria-label": label, "aria-multiselectable": "true" },
    });
    this._rows.element.addEventListener("keydown", (event) => this._key(event));
    this.element = this._rows.element;
  }

  dispose() {
    this._rows.dispose();
  }

  /** @param {TreeNode[]} roots */
  setRoots(roots) {
    this.roots = roots;
    this.refresh();
  }

  refresh() {
    this._shown = [];
    this._list(this.roots, 0);
    this._rows.setCount(this._shown.length);
  }

  /** @param {string} path */
  expand(path) {
    this._expanded.add(path);
  }

  /** @param {TreeNode[]} nodes @param {number} depth */
  _list(nodes, depth) {
    for (const node of nodes) {
      this._shown.push({ node, depth });
      if (node.folder && this._expanded.has(node.path)) this._list(node.children ?? [], depth + 1);
    }
  }

  _makeRow() {
    let index = 0;
    const twist = icon("collapsed");
    const symbol = icon("file");
    const tick = h("input", { type: "checkbox", tabIndex: -1, onclick: (/** @type {Event} */ event) => event.stopPropagation() });
    tick.addEventListener("change", () => this._select(this._shown[index].node, tick.checked));
    const name = h("span", { class: "nds-tree-name" });
    const mark = h("span", { class: "nds-tree-mark" });
    const size = h("span", { class: "nds-tree-size" });
    const twister = h("span", { class: "nds-tree-twist" }, twist);
    const element = h(
      "div",
      { class: "nds-row nds-tree-row", role: "treeitem", onclick: () => this._click(index) },
      twister,
      tick,
      symbol,
      name,
      mark,
      size,
    );
    /** @param {number} at */
    const update = (at) => {
      index = at;
      const { node, depth } = this._shown[at];
      const expanded = this._expanded.has(node.path);
      element.style.paddingLeft = `${4 + depth * 16}px`;
      changeIcon(symbol, node.folder ? "folder" : "file");
      changeIcon(twist, expanded ? "expanded" : "collapsed");
      twister.style.visibility = node.folder ? "visible" : "hidden";
      setText(name, node.name);
      setText(mark, node.mark);
      setText(size, node.folder ? "" : sizeText(node.size));
      tick.checked = this._isSelected(node);
      setAttribute(tick, "aria-label", `Select ${node.name}`);
      setAttribute(element, "data-mark", node.mark);
      setAttribute(element, "data-path", node.path);
      setAttribute(element, "title", node.path);
      setAttribute(element, "aria-level", String(depth + 1));
      setAttribute(element, "aria-selected", String(tick.checked));
      element.classList.toggle("nds-active", at === this._at);
      if (node.folder) setAttribute(element, "aria-expanded", String(expanded));
      else element.removeAttribute("aria-expanded");
    };
    return { element, update };
  }

  /** @param {TreeNode} node */
  _isSelected(node) {
    if (this.selected.has(node.path)) return true;
    return [...this.selected.keys()].some((path) => node.path.startsWith(`${path === "/" ? "" : path}/`));
  }

  /** @param {TreeNode} node @param {boolean} on */
  _select(node, on) {
    if (on) this.selected.set(node.path, node);
    else this.selected.delete(node.path);
    this._rows.refresh();
    this._onSelect();
  }

  /** @param {number} index */
  _click(index) {
    this._at = index;
    const { node } = this._shown[index];
    if (node.folder) this._toggle(node);
    else this._openFile?.(node);
    this._rows.refresh();
  }

  /** @param {TreeNode} node */
  async _toggle(node) {
    if (this._expanded.delete(node.path)) {
      this.refresh();
      return;
    }
    this._expanded.add(node.path);
    if (node.children === null && this._load) node.children = await this._load(node);
    this.refresh();
  }

  /** @param {KeyboardEvent} event */
  _key(event) {
    const node = this._shown[this._at]?.node;
    const to = movedBy(event, this._at, this._rows);
    if (to !== null) {
      this._at = to;
      this._rows.show(to);
    } else if (!node) return;
    else if (event.key === "Enter") this._click(this._at);
    else if (event.key === " ") this._select(node, !this.selected.has(node.path));
    else if (event.key === "ArrowRight" && node.folder && !this._expanded.has(node.path)) this._toggle(node);
    else if (event.key === "ArrowLeft" && this._expanded.has(node.path)) this._toggle(node);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
