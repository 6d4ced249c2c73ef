/** The fields of a form: a label, a control, what it sends, and what is wrong with it. */

import { h, setText } from "./dom.js";

let fields = 0;

/** @typedef {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} Control */

/** A field whose value is not what it should be. */
export class Field {
  /**
   * @param {string} label
   * @param {Control} control
   * @param {() => unknown} read what is sent; an Error that it throws is told beside the field
   * @param {...HTMLElement} others
   */
  constructor(label, control, read, ...others) {
    this.label = label;
    this.control = control;
    this.read = read;
    const id = `nds-field-${(fields += 1)}`;
    control.id = id;
    this._wrong = h("p", { class: "nds-field-wrong", id: `${id}-wrong` });
    const text = h("label", { htmlFor: id }, label);
    this.element = h("div", { class: "nds-form-field" }, text, control, this._wrong, ...others);
    // What is being changed is not wrong any more until it is asked for again.
    control.addEventListener("input", () => this.say(""));
  }

  /** @param {string} sentence empty where nothing is wrong */
  say(sentence) {
    setText(this._wrong, sentence);
    if (sentence) {
      this.control.setAttribute("aria-invalid", "true");
      this.control.setAttribute("aria-describedby", this._wrong.id);
    } else {
      this.control.removeAttribute("aria-invalid");
      this.control.removeAttribute("aria-describedby");
    }
  }

  /** Set what it holds, by which what was wrong is mended. @param {string} value */
  set(value) {
    this.control.value = value;
    this.say("");
  }

  focus() {
    const more = this.control.closest("details");
    if (more) more.open = true;
    this.control.focus();
    this.element.scrollIntoView({ block: "nearest" });
  }
}

/** @param {string} value @param {string} placeholder */
export function text(value, placeholder) {
  return h("input", { type: "text", class: "nds-input", value, placeholder, spellcheck: false, autocomplete: "off" });
}

/** @param {string} value @param {string} placeholder */
export function lines(value, placeholder) {
  return h("textarea", { class: "nds-input nds-code", rows: 2, value, placeholder, spellcheck: false });
}

/** @param {string} label @param {string} value @param {string} placeholder */
export function textField(label, value, placeholder) {
  const control = text(value, placeholder);
  return new Field(label, control, () => control.value.trim() || undefined);
}

/**
 * A number, as text: a browser's own field of numbers keeps to itself what it can't read.
 *
 * @param {string} label
 * @param {number | undefined} value
 * @param {string} wrong what is said of a text that is no such number; the server's words for one that is too small
 * @param {{ whole?: boolean }} [options]
 */
export function numberField(label, value, wrong, { whole = false } = {}) {
  const control = text(value === undefined ? "" : String(value), "");
  control.inputMode = whole ? "numeric" : "decimal";
  return new Field(label, control, () => {
    const given = control.value.trim();
    if (!given) return undefined;
    if (!(whole ? /^[+-]?\d+$/ : /^[+-]?(\d+\.?\d*|\.\d+)$/).test(given)) throw new Error(wrong.replace("$", given));
    return Number(given);
  });
}

/**
 * @template T
 * @param {string} label
 * @param {string} value
 * @param {string} placeholder
 * @param {(text: string) => T} read
 */
export function linesField(label, value, placeholder, read) {
  const control = lines(value, placeholder);
  return new Field(label, control, () => read(control.value));
}

/** @param {string} label */
export function check(label) {
  const input = h("input", { type: "checkbox" });
  return { input, element: h("label", { class: "nds-check" }, input, label) };
}
