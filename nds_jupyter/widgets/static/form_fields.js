/** Form fields with label, control, parser and error message, and the parsers of what is typed into them. */

import { h, setText } from "./dom.js";

let lastFieldId = 0;

/** @typedef {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} Control */

/** Field of a form; its error is told to screen readers too. */
export class Field {
  /**
   * @param {string} label
   * @param {Control} control
   * @param {() => unknown} read what is sent; an Error that it throws is the field's
   * @param {...HTMLElement} others
   */
  constructor(label, control, read, ...others) {
    this.label = label;
    this.control = control;
    this.read = read;
    const id = `nds-field-${(lastFieldId += 1)}`;
    control.id = id;
    this._error = h("p", { class: "nds-field-wrong", id: `${id}-wrong` });
    const caption = h("label", { htmlFor: id }, label);
    this.element = h("div", { class: "nds-form-field" }, caption, control, this._error, ...others);
    // What is being changed is not wrong any more until it is asked for again.
    control.addEventListener("input", () => this.setError(""));
  }

  /** @param {string} sentence empty where nothing is wrong */
  setError(sentence) {
    setText(this._error, sentence);
    if (sentence) {
      this.control.setAttribute("aria-invalid", "true");
      this.control.setAttribute("aria-describedby", this._error.id);
    } else {
      this.control.removeAttribute("aria-invalid");
      this.control.removeAttribute("aria-describedby");
    }
  }

  /** Set the value, by which an error is mended. @param {string} value */
  setValue(value) {
    this.control.value = value;
    this.setError("");
  }

  focus() {
    const details = this.control.closest("details");
    if (details) details.open = true;
    this.control.focus();
    this.element.scrollIntoView({ block: "nearest" });
  }
}

/** @param {string} value @param {string} placeholder */
function textInput(value, placeholder) {
  return h("input", { type: "text", class: "nds-input", value, placeholder, spellcheck: false, autocomplete: "off" });
}

/** @param {string} label @param {string} value @param {string} placeholder */
export function textField(label, value, placeholder) {
  const control = textInput(value, placeholder);
  return new Field(label, control, () => control.value.trim() || undefined);
}

/**
 * Make a field for a number, as text: a browser's own field of numbers keeps to itself what it can't read.
 *
 * @param {string} label
 * @param {number | undefined} value
 * @param {string} error of a text that is no such number, `$` in it; the server's words for one that is too small
 * @param {{ whole?: boolean }} [options]
 */
export function numberField(label, value, error, { whole = false } = {}) {
  const control = textInput(value === undefined ? "" : String(value), "");
  control.inputMode = whole ? "numeric" : "decimal";
  return new Field(label, control, () => {
    const given = control.value.trim();
    if (!given) return undefined;
    if (!(whole ? /^[+-]?\d+$/ : /^[+-]?(\d+\.?\d*|\.\d+)$/).test(given)) throw new Error(error.replace("$", given));
    return Number(given);
  });
}

/**
 * Make a field of several lines.
 *
 * @template T
 * @param {string} label
 * @param {string} value
 * @param {string} placeholder
 * @param {(text: string) => T} parse
 */
export function linesField(label, value, placeholder, parse) {
  const control = h("textarea", { class: "nds-input nds-code", rows: 2, value, placeholder, spellcheck: false });
  return new Field(label, control, () => parse(control.value));
}

/**
 * Make a field for words as in a shell.
 *
 * @param {string} name for the error of a quote that is left open
 * @param {string} label
 * @param {string} placeholder
 */
export function wordsField(name, label, placeholder) {
  const control = textInput("", placeholder);
  return new Field(label, control, () => nonEmpty(splitShellWords(control.value, name)));
}

/** @param {string} label */
export function makeCheckbox(label) {
  const input = h("input", { type: "checkbox" });
  return { input, element: h("label", { class: "nds-check" }, input, label) };
}

/** @template T @param {T[]} list @returns {T[] | undefined} undefined for an empty list: it is not sent */
export function nonEmpty(list) {
  return list.length ? list : undefined;
}

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const RANGE = /^range\(\s*([-+\d\s,]+)\)$/;

/**
 * Split a command into words as a shell does by quotes and backslashes; nothing is expanded.
 *
 * @param {string} text
 * @param {string} name for the error of a quote that is left open
 * @returns {string[]}
 */
function splitShellWords(text, name) {
  /** @type {string[]} */
  const words = [];
  /** @type {string | null} */
  let word = null;
  let quote = "";
  for (let at = 0; at < text.length; at += 1) {
    const letter = text[at];
    if (letter === quote) quote = "";
    else if (letter === "\\" && quote !== "'" && (!quote || '"\\$`'.includes(text[at + 1] ?? " "))) {
      word = (word ?? "") + (text[(at += 1)] ?? "");
    } else if (quote) word += letter;
    else if (letter === "'" || letter === '"') {
      quote = letter;
      word ??= "";
    } else if (/\s/.test(letter)) {
      if (word !== null) words.push(word);
      word = null;
    } else word = (word ?? "") + letter;
  }
  if (quote) throw new Error(`${name}: the ${quote} is not closed.`);
  return word === null ? words : [...words, word];
}

/** @param {string} text @returns {string[]} its lines that are not empty */
export function splitLines(text) {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
}

/**
 * Parse `NAME=VALUE` lines.
 *
 * @param {string} text
 * @param {string} name for the error of a line that is none
 * @returns {Record<string, string> | undefined} undefined where there is none
 */
export function parseAssignments(text, name) {
  const pairs = splitLines(text).map((line) => {
    const at = line.indexOf("=");
    if (at < 1) throw new Error(`${name}: '${line}' is not NAME=VALUE.`);
    return [line.slice(0, at), line.slice(at + 1)];
  });
  return pairs.length ? Object.fromEntries(pairs) : undefined;
}

/**
 * Parse the lines of a sweep, `lr=0.1,0.01` and `seed=range(5)`, as `POST /upload` takes them.
 *
 * @param {string} text
 * @returns {Record<string, (string | number | boolean)[]> | undefined}
 */
export function parseSweep(text) {
  const given = parseAssignments(text, "sweep");
  if (!given) return undefined;
  return Object.fromEntries(Object.entries(given).map(([name, values]) => [name, parseValues(values)]));
}

/** @param {string} text */
function parseValues(text) {
  const range = text.trim().match(RANGE);
  return range ? rangeValues(range[1].split(",").map(Number)) : text.split(",").map((each) => parseScalar(each.trim()));
}

/** Values of a range as Python counts. @param {number[]} given */
function rangeValues(given) {
  const [start, stop, step] = given.length === 1 ? [0, given[0], 1] : [given[0], given[1], given[2] ?? 1];
  if (![start, stop, step].every(Number.isInteger) || !step) throw new Error("sweep: a range has whole numbers, and a step that is not 0.");
  return Array.from({ length: Math.max(0, Math.ceil((stop - start) / step)) }, (_none, index) => start + index * step);
}

/** @param {string} text */
function parseScalar(text) {
  if (NUMBER.test(text)) return Number(text);
  if (/^(true|false)$/i.test(text)) return text.toLowerCase() === "true";
  return text.replace(/^(["'])(.*)\1$/, "$2");
}
