/** DOM building: elements from plain values, and writes that are left out where nothing changes. Nothing here reads markup. */

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * Make an element.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} [props] `on…` are listeners, `class`, `aria-…` and `data-…` attributes, the rest properties
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) setProp(element, name, value);
  for (const child of children) {
    if (child !== null && child !== undefined && child !== false) {
      element.append(child instanceof Node ? child : String(child));
    }
  }
  return element;
}

/** @param {HTMLElement} element @param {string} name @param {any} value */
function setProp(element, name, value) {
  if (value === undefined || value === null) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "class") element.className = value;
  else if (name === "role" || name.includes("-")) element.setAttribute(name, String(value));
  else Reflect.set(element, name, value);
}

/**
 * Set text only where it differs, so that nothing is laid out for nothing. The node that holds it stays: another one
 * would have its box made anew, and what was there before be found by the garbage collection.
 *
 * @param {HTMLElement} element
 * @param {string} text
 */
export function setText(element, text) {
  const { firstChild } = element;
  if (!(firstChild instanceof Text) || firstChild.nextSibling) element.textContent = text;
  else if (firstChild.data !== text) firstChild.data = text;
}

/** Set an attribute only where it differs. @param {Element} element @param {string} name @param {string} value */
export function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/**
 * Writer of one text that changes often. What was written last is remembered here: to read it from the document would make a string
 * each time, which the garbage collection must find.
 *
 * @param {HTMLElement} element with nothing in it
 * @returns {(text: string) => void}
 */
export function textWriter(element) {
  const node = document.createTextNode("");
  element.append(node);
  let written = "";
  return (text) => {
    if (text !== written) node.data = written = text;
  };
}

/**
 * Writer of one attribute that changes often, as `textWriter` is of a text.
 *
 * @param {Element} element
 * @param {string} name
 * @returns {(value: string) => void}
 */
export function attributeWriter(element, name) {
  let written = element.getAttribute(name);
  return (value) => {
    if (value !== written) element.setAttribute(name, (written = value));
  };
}

/**
 * A button with an icon; its label is its name for screen readers and its tooltip.
 *
 * @param {Node} icon
 * @param {string} label
 * @param {(event: MouseEvent) => void} onclick
 * @param {Record<string, any>} [props]
 */
export function iconButton(icon, label, onclick, props = {}) {
  const { class: more = "", ...rest } = props;
  return h(
    "button",
    { type: "button", class: `nds-iconButton ${more}`, title: label, "aria-label": label, onclick, ...rest },
    icon,
  );
}

/** @param {string} label @param {() => void} onclick @param {Record<string, any>} [props] */
export function button(label, onclick, props = {}) {
  return h("button", { type: "button", class: "nds-button", onclick, ...props }, label);
}

/** Copy a text to the clipboard. @param {string} text */
export async function copyText(text) {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return;
    } catch {
      // No permission, or a page without https: the older way still works.
    }
  }
  const area = h("textarea", { value: text, class: "nds-offscreen", "aria-hidden": "true" });
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
