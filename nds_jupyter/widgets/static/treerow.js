/** One row of a tree. */

/** @import { Shown, TreeNode } from "./tree.js" */
import { h, setAttribute, setText } from "./dom.js";
import { sizeText } from "./format.js";
import { changeIcon, icon } from "./icons.js";

/**
 * @param {object} options
 * @param {(index: number) => Shown} options.shownAt
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
    changeIcon(symbol, node.folder ? "folder" : "file");
    changeIcon(twist, open ? "expanded" : "collapsed");
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
