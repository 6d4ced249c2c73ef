/** The fields of a form, each with its label. */

import { h } from "./dom.js";

/** @param {string} label @param {...HTMLElement} controls */
export function field(label, ...controls) {
  return h("label", { class: "nds-field" }, label, ...controls);
}

/** @param {string} value @param {string} placeholder */
export function text(value, placeholder) {
  return h("input", { type: "text", class: "nds-input", value, placeholder, spellcheck: false });
}

/** @param {string} value @param {string} placeholder */
export function lines(value, placeholder) {
  return h("textarea", { class: "nds-input nds-code", rows: 2, value, placeholder, spellcheck: false });
}

/** @param {number | undefined} value @param {string} min @param {string} step */
export function number(value, min, step) {
  return h("input", { type: "number", class: "nds-input", min, step, value: value ?? "" });
}

/** @param {string} label */
export function check(label) {
  const input = h("input", { type: "checkbox" });
  return { input, element: h("label", { class: "nds-check" }, input, label) };
}
