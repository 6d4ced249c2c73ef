/** Metrics tab of a job: SVG charts of CPU, memory, network and disk over time. */

/** @import { JobStore } from "./job_store.js" */
/** @import { Sample } from "./types.js" */
import { h, setText } from "./dom.js";
import { sizeText } from "./format.js";

/** @param {number} value */
const rate = (value) => `${sizeText(Math.round(value))}/s`;

export class MetricsView {
  /**
   * @param {JobStore} store
   * @param {string} jobId
   */
  constructor(store, jobId) {
    this._store = store;
    this._jobId = jobId;
    /** @type {Sample[]} */
    this._samples = [];
    this._cpu = makeChart("CPU", (value) => `${value < 10 ? Number(value.toFixed(1)) : Math.round(value)} %`);
    this._memory = makeChart("Memory", (value) => sizeText(Math.round(value)));
    this._network = makeChart("Network", rate);
    this._block = makeChart("Disk", rate);
    this._status = h("p", { class: "nds-empty", role: "status" }, "loading …");
    this._charts = h(
      "div",
      { class: "nds-charts", hidden: true },
      ...[this._cpu, this._memory, this._network, this._block].map(({ element }) => element),
    );
    this.element = h("div", { class: "nds-metrics" }, this._status, this._charts);
    this._unwatch = store.watch(jobId, {
      log: false,
      metrics: true,
      logSince: () => null,
      onLog: () => {},
      onSample: (sample) => this._add(sample),
    });
    this._fetch();
  }

  dispose() {
    this._unwatch();
  }

  /** @param {boolean} visible */
  shown(visible) {
    if (visible) this._draw();
  }

  async _fetch() {
    try {
      const { history } = await this._store.api.metrics(this._jobId);
      const last = history.at(-1)?.at ?? "";
      this._samples = [...history, ...this._samples.filter(({ at }) => at > last)];
    } catch (error) {
      setText(this._status, /** @type {Error} */ (error).message);
      return;
    }
    this._draw();
  }

  /** @param {Sample} sample */
  _add(sample) {
    const last = this._samples.at(-1);
    if (last && sample.at <= last.at) return;
    this._samples.push(sample);
    if (this.element.isConnected) this._draw();
  }

  _draw() {
    const samples = this._samples;
    this._charts.hidden = samples.length === 0;
    this._status.hidden = samples.length > 0;
    if (!samples.length) {
      setText(this._status, "Nothing measured: the script ended before the first sample, or has not begun.");
      return;
    }
    const times = samples.map(({ at }) => Date.parse(at));
    /** @param {(sample: Sample) => number} value */
    const values = (value) => samples.map(value);
    this._cpu.update([{ label: "", values: values((each) => each.cpu_percent) }], times, this._cpuLimit());
    this._memory.update([{ label: "", values: values((each) => each.memory_usage) }], times, samples[samples.length - 1].memory_limit);
    this._network.update(
      [
        { label: "in", values: rates(values((each) => each.network_rx), times) },
        { label: "out", values: rates(values((each) => each.network_tx), times) },
      ],
      times,
    );
    this._block.update(
      [
        { label: "read", values: rates(values((each) => each.block_read), times) },
        { label: "written", values: rates(values((each) => each.block_write), times) },
      ],
      times,
    );
  }

  _cpuLimit() {
    const job = this._store.jobs.get(this._jobId);
    return job ? job.limits.cpus * 100 : null;
  }
}

/** Amounts that only grow, as amounts of a second. @param {number[]} totals @param {number[]} times */
function rates(totals, times) {
  return totals.map((total, index) => {
    if (!index) return null;
    const seconds = (times[index] - times[index - 1]) / 1000;
    return seconds > 0 ? Math.max(0, (total - totals[index - 1]) / seconds) : null;
  });
}

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
