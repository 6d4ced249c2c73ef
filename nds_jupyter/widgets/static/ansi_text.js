/** ANSI escape sequences of a log line as styled spans, and their rendering into the document. */

import { h, setText } from "./dom.js";

/**
 * @typedef {object} StyledSpan a part of a line that is not plain
 * @property {number} start
 * @property {number} end
 * @property {string} className
 * @property {string} color CSS colour; empty for one of the classes
 * @property {string} background
 *
 * @typedef {object} TextStyle what SGR sequences so far have set
 * @property {string} fg class suffix, or CSS colour
 * @property {string} bg
 * @property {string} marks class names, one space before each
 */

/** @type {TextStyle} */
export const PLAIN = { fg: "", bg: "", marks: "" };

// CSI sequences, OSC sequences up to their end, and any other escape of two characters.
const ESCAPE = /\x1b(?:\[([0-9;:?]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])/g;
const SGR = /\x1b\[([0-9;:]*)m/g;
const CONTROL = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/g;
const NOT_PLAIN = /[\x00-\x08\x0b-\x1f\x7f]/;

/** Whether a terminal would show something else than the text itself. @param {string} raw */
export function hasControlCharacters(raw) {
  return NOT_PLAIN.test(raw);
}

/** The text of a line without what a terminal does not show. @param {string} raw */
export function plainText(raw) {
  const line = raw.slice(visibleStart(raw)).replace(/\r+$/, "");
  return replaceControls(line.includes("\x1b") ? line.replace(ESCAPE, "") : line);
}

/** Style of the text after a line. @param {string} raw @param {TextStyle} style at its beginning @returns {TextStyle} */
export function styleAtEnd(raw, style) {
  // Most lines with colours end as they began, and what stands before the last reset does not matter.
  const reset = Math.max(raw.lastIndexOf("\x1b[0m"), raw.lastIndexOf("\x1b[m"));
  let after = reset < 0 ? style : PLAIN;
  const rest = reset < 0 ? raw : raw.slice(reset);
  for (const [, codes] of rest.matchAll(SGR)) after = applyCodes(after, codes);
  return after;
}

/**
 * Find the part of a line that stands there in the end: a progress bar writes over its line by carriage returns.
 *
 * @param {string} raw
 * @returns {number} where it begins
 */
export function visibleStart(raw) {
  let end = raw.length;
  while (end > 0 && raw[end - 1] === "\r") end -= 1;
  return end ? raw.lastIndexOf("\r", end - 1) + 1 : 0;
}

/**
 * Parse the escape sequences of a line.
 *
 * @param {string} raw
 * @param {TextStyle} style at the beginning of the line
 * @returns {{ text: string, spans: StyledSpan[] | null }}
 */
export function parseStyledLine(raw, style) {
  const from = visibleStart(raw);
  const line = raw.slice(from).replace(/\r+$/, "");
  let now = from ? styleAtEnd(raw.slice(0, from), style) : style;
  let text = "";
  let parsedTo = 0;
  /** @type {StyledSpan[]} */
  const spans = [];
  /** @param {string} part */
  const add = (part) => {
    if (!part) return;
    const start = text.length;
    text += replaceControls(part);
    if (now !== PLAIN) spans.push(makeSpan(start, text.length, now));
  };
  for (const match of line.matchAll(ESCAPE)) {
    add(line.slice(parsedTo, match.index));
    parsedTo = match.index + match[0].length;
    if (match[2] === "m") now = applyCodes(now, match[1]);
  }
  add(line.slice(parsedTo));
  return { text, spans: spans.length ? spans : null };
}

/** @param {string} text */
function replaceControls(text) {
  return text.replace(CONTROL, "\u{fffd}");
}

/**
 * @param {number} start
 * @param {number} end
 * @param {TextStyle} style
 * @returns {StyledSpan}
 */
function makeSpan(start, end, { fg, bg, marks }) {
  const named = (/** @type {string} */ value) => /^\d+$/.test(value);
  const className = `${named(fg) ? `nds-fg-${fg}` : ""} ${named(bg) ? `nds-bg-${bg}` : ""}${marks}`;
  return { start, end, className, color: named(fg) ? "" : fg, background: named(bg) ? "" : bg };
}

/** @type {Record<number, string>} */
const MARKS = { 1: " nds-bold", 2: " nds-dim", 3: " nds-italic", 4: " nds-underline", 7: " nds-inverse" };
/** @type {Record<number, number[]>} */
const UNMARKS = { 22: [1, 2], 23: [3], 24: [4], 27: [7] };

/** Apply the codes of one SGR sequence. @param {TextStyle} style @param {string} codes @returns {TextStyle} */
function applyCodes(style, codes) {
  const numbers = codes.split(/[;:]/).map(Number);
  let { fg, bg, marks } = style;
  for (let at = 0; at < numbers.length; at += 1) {
    const code = numbers[at];
    if (code === 0) [fg, bg, marks] = ["", "", ""];
    else if (MARKS[code]) marks = marks.replace(MARKS[code], "") + MARKS[code];
    else if (UNMARKS[code]) for (const mark of UNMARKS[code]) marks = marks.replace(MARKS[mark], "");
    else if (code >= 30 && code <= 37) fg = String(code - 30);
    else if (code >= 90 && code <= 97) fg = String(code - 82);
    else if (code >= 40 && code <= 47) bg = String(code - 40);
    else if (code >= 100 && code <= 107) bg = String(code - 92);
    else if (code === 39) fg = "";
    else if (code === 49) bg = "";
    else if (code === 38 || code === 48) {
      const { color, used } = extendedColor(numbers, at + 1);
      if (code === 38) fg = color;
      else bg = color;
      at += used;
    }
  }
  return fg || bg || marks ? { fg, bg, marks } : PLAIN;
}

/** Colour after code 38 or 48. @param {number[]} numbers @param {number} at @returns {{ color: string, used: number }} */
function extendedColor(numbers, at) {
  if (numbers[at] === 2) {
    const [r, g, b] = numbers.slice(at + 1, at + 4).map((each) => Math.min(255, each | 0));
    return { color: `rgb(${r ?? 0}, ${g ?? 0}, ${b ?? 0})`, used: 4 };
  }
  return { color: paletteColor(numbers[at + 1] | 0), used: 2 };
}

/** @param {number} index 0 to 255 */
function paletteColor(index) {
  if (index < 16) return String(index);
  if (index >= 232) return `rgb(${Array(3).fill(8 + (index - 232) * 10).join(", ")})`;
  const level = (/** @type {number} */ n) => (n ? 55 + n * 40 : 0);
  const cube = index - 16;
  return `rgb(${[Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6].map(level).join(", ")})`;
}

/**
 * Render a line into its element, with its styles and with marks on what was searched for.
 *
 * @param {HTMLElement} target
 * @param {string} text
 * @param {StyledSpan[] | null} spans
 * @param {string} query
 */
export function renderLine(target, text, spans, query) {
  if (!spans && !query) {
    setText(target, text);
    return;
  }
  const edges = new Set([0, text.length]);
  for (const { start, end } of spans ?? []) {
    edges.add(Math.max(0, Math.min(start, text.length)));
    edges.add(Math.max(0, Math.min(end, text.length)));
  }
  const matches = findMatches(text, query);
  for (const [start, end] of matches) edges.add(start).add(end);
  const sorted = [...edges].sort((a, b) => a - b);
  const nodes = sorted.slice(1).map((end, index) => makeTextNode(text, sorted[index], end, spans, matches));
  target.replaceChildren(...nodes);
}

/**
 * @param {string} text
 * @param {number} start
 * @param {number} end
 * @param {StyledSpan[] | null} spans
 * @param {[number, number][]} matches
 */
function makeTextNode(text, start, end, spans, matches) {
  const span = spans?.find((each) => each.start <= start && end <= each.end);
  const isMatch = matches.some(([from, to]) => from <= start && end <= to);
  const part = text.slice(start, end);
  if (!span && !isMatch) return document.createTextNode(part);
  const element = h(isMatch ? "mark" : "span", { class: span?.className ?? "" }, part);
  if (span?.color) element.style.color = span.color;
  if (span?.background) element.style.backgroundColor = span.background;
  return element;
}

/** @param {string} text @param {string} query @returns {[number, number][]} */
function findMatches(text, query) {
  if (!query) return [];
  /** @type {[number, number][]} */
  const found = [];
  const [all, wanted] = [text.toLowerCase(), query.toLowerCase()];
  for (let at = all.indexOf(wanted); at >= 0 && found.length < 100; at = all.indexOf(wanted, at + wanted.length)) {
    found.push([at, at + wanted.length]);
  }
  return found;
}

/** Spans of a part of a line. @param {StyledSpan[] | null} spans @param {number} from @param {number} to @returns {StyledSpan[] | null} */
export function sliceSpans(spans, from, to) {
  if (!spans || (from === 0 && to === Infinity)) return spans;
  return spans
    .filter(({ start, end }) => start < to && end > from)
    .map((each) => ({ ...each, start: Math.max(0, each.start - from), end: each.end - from }));
}
