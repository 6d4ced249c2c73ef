/** One small chart over time, as SVG: it takes the theme's colours and any size. */

import { h, setText } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 600;
const HEIGHT = 120;
/** Points drawn; of more, the highest of each stretch is. */
const MOST = 600;

/**
 * @typedef {object} Series
 * @property {string} label
 * @property {(number | null)[]} values
 */

/**
 * @param {string} title
 * @param {(value: number) => string} format
 */
export function makeChart(title, format) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", "nds-chart-svg");
  svg.setAttribute("role", "img");
  const now = h("span", { class: "nds-chart-now" });
  const top = h("span", { class: "nds-chart-top" });
  const begin = h("span", {});
  const end = h("span", {});
  const element = h(
    "figure",
    { class: "nds-chart" },
    h("figcaption", {}, h("b", {}, title), now),
    h("div", { class: "nds-chart-area" }, top, svg),
    h("div", { class: "nds-chart-axis", "aria-hidden": "true" }, begin, end),
  );

  /**
   * @param {Series[]} series
   * @param {number[]} times milliseconds
   * @param {number | null} [limit] a line of its own
   */
  function update(series, times, limit = null) {
    const all = series.flatMap(({ values }) => values.filter((value) => value !== null));
    const most = all.reduce((a, b) => Math.max(a, b), 0);
    // The limit is in the picture only where the values come near it.
    const scale = (limit && most > limit * 0.5 ? limit * 1.05 : most * 1.1) || 1;
    const lines = series.map(({ values }, index) => line(values, times, scale, index));
    if (limit && limit <= scale) lines.push(limitLine(limit / scale));
    svg.replaceChildren(...lines);
    const words = series.map(({ label, values }) => `${label} ${format(values.findLast((each) => each !== null) ?? 0)}`.trim());
    setText(now, [...words, limit ? `limit ${format(limit)}` : ""].filter(Boolean).join(" · "));
    setText(top, format(scale));
    svg.setAttribute("aria-label", `${title} over time: ${words.join(", ")}; most ${format(most)}`);
    setText(begin, times.length ? new Date(times[0]).toLocaleTimeString() : "");
    setText(end, times.length ? new Date(times[times.length - 1]).toLocaleTimeString() : "");
  }
  return { element, update };
}

/**
 * @param {(number | null)[]} values
 * @param {number[]} times
 * @param {number} scale
 * @param {number} index
 */
function line(values, times, scale, index) {
  const path = document.createElementNS(SVG, "path");
  const span = times[times.length - 1] - times[0] || 1;
  const stretch = Math.max(1, Math.ceil(values.length / MOST));
  let d = "";
  for (let from = 0; from < values.length; from += stretch) {
    const part = values.slice(from, from + stretch).filter((value) => value !== null);
    if (!part.length) continue;
    const x = ((times[from] - times[0]) / span) * WIDTH;
    const y = HEIGHT - (Math.max(...part) / scale) * HEIGHT;
    d += `${d ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
  }
  if (d && values.length === 1) d += `L${WIDTH} ${d.split(" ")[1] ?? 0}`;
  path.setAttribute("d", d);
  path.setAttribute("class", `nds-chart-line nds-chart-line-${index}`);
  return path;
}

/** @param {number} part of the height */
function limitLine(part) {
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", `M0 ${HEIGHT - part * HEIGHT}H${WIDTH}`);
  path.setAttribute("class", "nds-chart-limit");
  return path;
}
