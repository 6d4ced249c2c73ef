/** One line of a log into its element: text with colours and with what was searched for. */

/** @import { Span } from "./ansi.js" */
import { h, setText } from "./dom.js";

/**
 * @param {HTMLElement} target
 * @param {string} text
 * @param {Span[] | null} spans
 * @param {string} query
 */
export function paint(target, text, spans, query) {
  if (!spans && !query) {
    setText(target, text);
    return;
  }
  const edges = new Set([0, text.length]);
  for (const { start, end } of spans ?? []) {
    edges.add(Math.max(0, Math.min(start, text.length)));
    edges.add(Math.max(0, Math.min(end, text.length)));
  }
  const hits = matches(text, query);
  for (const [start, end] of hits) edges.add(start).add(end);
  const sorted = [...edges].sort((a, b) => a - b);
  const pieces = sorted.slice(1).map((end, index) => piece(text, sorted[index], end, spans, hits));
  target.replaceChildren(...pieces);
}

/**
 * @param {string} text
 * @param {number} start
 * @param {number} end
 * @param {Span[] | null} spans
 * @param {[number, number][]} hits
 */
function piece(text, start, end, spans, hits) {
  const span = spans?.find((each) => each.start <= start && end <= each.end);
  const hit = hits.some(([from, to]) => from <= start && end <= to);
  const words = text.slice(start, end);
  if (!span && !hit) return document.createTextNode(words);
  const element = h(hit ? "mark" : "span", { class: span?.look ?? "" }, words);
  if (span?.color) element.style.color = span.color;
  if (span?.background) element.style.backgroundColor = span.background;
  return element;
}

/** @param {string} text @param {string} query @returns {[number, number][]} */
function matches(text, query) {
  if (!query) return [];
  /** @type {[number, number][]} */
  const found = [];
  const [all, wanted] = [text.toLowerCase(), query.toLowerCase()];
  for (let at = all.indexOf(wanted); at >= 0 && found.length < 100; at = all.indexOf(wanted, at + wanted.length)) {
    found.push([at, at + wanted.length]);
  }
  return found;
}

/** @param {Span[] | null} spans @param {number} from @param {number} to @returns {Span[] | null} */
export function cutSpans(spans, from, to) {
  if (!spans || (from === 0 && to === Infinity)) return spans;
  return spans
    .filter(({ start, end }) => start < to && end > from)
    .map((each) => ({ ...each, start: Math.max(0, each.start - from), end: each.end - from }));
}
