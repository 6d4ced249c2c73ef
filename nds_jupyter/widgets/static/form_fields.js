/** Form fields with label, control, parser and error message, and the parsers of what is typed into them. */

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
export function checkbox(label) {
  const input = h("input", { type: "checkbox" });
  return { input, element: h("label", { class: "nds-check" }, input, label) };
}

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const RANGE = /^range\(\s*([-+\d\s,]+)\)$/;

/**
 * The words of a command as a shell splits them by quotes and backslashes; nothing is expanded.
 *
 * @param {string} text
 * @param {string} what they are, for what is said of a quote that is left open
 * @returns {string[]}
 */
export function splitShellWords(text, what) {
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
  if (quote) throw new Error(`${what}: the ${quote} is not closed.`);
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
 * `NAME=VALUE` lines as an object; undefined where there is none.
 *
 * @param {string} text
 * @param {string} what they are, for what is said of a line that is none
 * @returns {Record<string, string> | undefined}
 */
export function parseAssignments(text, what) {
  const pairs = splitLines(text).map((line) => {
    const at = line.indexOf("=");
    if (at < 1) throw new Error(`${what}: '${line}' is not NAME=VALUE.`);
    return [line.slice(0, at), line.slice(at + 1)];
  });
  return pairs.length ? Object.fromEntries(pairs) : undefined;
}

/**
 * `lr=0.1,0.01` and `seed=range(5)`, a line each, as `POST /upload` takes them.
 *
 * @param {string} text
 * @returns {Record<string, (string | number | boolean)[]> | undefined}
 */
export function parseSweep(text) {
  const given = parseAssignments(text, "sweep");
  if (!given) return undefined;
  return Object.fromEntries(Object.entries(given).map(([name, values]) => [name, valuesOf(values)]));
}

/** @param {string} text */
function valuesOf(text) {
  const counted = text.trim().match(RANGE);
  return counted ? range(counted[1].split(",").map(Number)) : text.split(",").map((each) => scalar(each.trim()));
}

/** As Python counts. @param {number[]} given */
function range(given) {
  const [start, stop, step] = given.length === 1 ? [0, given[0], 1] : [given[0], given[1], given[2] ?? 1];
  if (![start, stop, step].every(Number.isInteger) || !step) throw new Error("sweep: a range has whole numbers, and a step that is not 0.");
  return Array.from({ length: Math.max(0, Math.ceil((stop - start) / step)) }, (_none, index) => start + index * step);
}

/** @param {string} text */
function scalar(text) {
  if (NUMBER.test(text)) return Number(text);
  if (/^(true|false)$/i.test(text)) return text.toLowerCase() === "true";
  return text.replace(/^(["'])(.*)\1$/, "$2");
}
