/** Metrics tab of a job: SVG charts of CPU, memory, network and disk over time. */

/** @import { JobStore } from "./job_store.js" */
/** @import { Sample } from "./types.js" */
import { h, setText } from "./dom.js";
import { sizeText } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
/** Units of the view box. */
const WIDTH = 600;
const HEIGHT = 120;
/** Points drawn; of more, the highest of each stretch is. */
const MOST_POINTS = 600;

/**
 * @typedef {object} Series
 * @property {string} label
 * @property {(number | null)[]} values
 */

/** Metrics tab, drawn only while it is in the document. */
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
    this._cpu = new Chart("CPU", (value) => `${value < 10 ? Number(value.toFixed(1)) : Math.round(value)} %`);
    this._memory = new Chart("Memory", (value) => sizeText(Math.round(value)));
    this._network = new Chart("Network", rateText);
    this._disk = new Chart("Disk", rateText);
    this._status = h("p", { class: "nds-empty", role: "status" }, "loading …");
    this._charts = h(
      "div",
      { class: "nds-charts", hidden: true },
      ...[this._cpu, this._memory, this._network, this._disk].map(({ element }) => element),
    );
    this.element = h("div", { class: "nds-metrics" }, this._status, this._charts);
    this._unwatch = store.watch(jobId, {
      log: false,
      metrics: true,
      logSince: () => null,
      onLog: () => {},
      onSample: (sample) => this._addSample(sample),
    });
    this._fetchHistory();
  }

  dispose() {
    this._unwatch();
  }

  /** @param {boolean} visible */
  onVisibility(visible) {
    if (visible) this._draw();
  }

  async _fetchHistory() {
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
  _addSample(sample) {
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
    /** @param {string} label @param {(sample: Sample) => number} value @returns {Series} */
    const amounts = (label, value) => ({ label, values: samples.map(value) });
    /** @param {string} label @param {(sample: Sample) => number} total @returns {Series} */
    const rates = (label, total) => ({ label, values: ratesOf(samples.map(total), times) });
    this._cpu.update([amounts("", (each) => each.cpu_percent)], times, this._cpuLimit());
    this._memory.update([amounts("", (each) => each.memory_usage)], times, samples[samples.length - 1].memory_limit);
    this._network.update([rates("in", (each) => each.network_rx), rates("out", (each) => each.network_tx)], times);
    this._disk.update([rates("read", (each) => each.block_read), rates("written", (each) => each.block_write)], times);
  }

  _cpuLimit() {
    const job = this._store.jobs.get(this._jobId);
    return job ? job.limits.cpus * 100 : null;
  }
}

/** Amounts of a second, of totals that only grow. @param {number[]} totals @param {number[]} times */
function ratesOf(totals, times) {
  return totals.map((total, index) => {
    if (!index) return null;
    const seconds = (times[index] - times[index - 1]) / 1000;
    return seconds > 0 ? Math.max(0, (total - totals[index - 1]) / seconds) : null;
  });
}

/** @param {number} bytes */
function rateText(bytes) {
  return `${sizeText(Math.round(bytes))}/s`;
}

/** Line chart over time, as SVG: it takes the theme's colours and any size. */
class Chart {
  /**
   * @param {string} title
   * @param {(value: number) => string} format
   */
  constructor(title, format) {
    this._title = title;
    this._format = format;
    this._svg = document.createElementNS(SVG, "svg");
    this._svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    this._svg.setAttribute("preserveAspectRatio", "none");
    this._svg.setAttribute("class", "nds-chart-svg");
    this._svg.setAttribute("role", "img");
    this._now = h("span", { class: "nds-chart-now" });
    this._top = h("span", { class: "nds-chart-top" });
    this._begin = h("span", {});
    this._end = h("span", {});
    this.element = h(
      "figure",
      { class: "nds-chart" },
      h("figcaption", {}, h("b", {}, title), this._now),
      h("div", { class: "nds-chart-area" }, this._top, this._svg),
      h("div", { class: "nds-chart-axis", "aria-hidden": "true" }, this._begin, this._end),
    );
  }

  /**
   * @param {Series[]} series
   * @param {number[]} times milliseconds
   * @param {number | null} [limit] a line of its own
   */
  update(series, times, limit = null) {
    const all = series.flatMap(({ values }) => values.filter((value) => value !== null));
    const most = all.reduce((a, b) => Math.max(a, b), 0);
    // The limit is in the picture only where the values come near it.
    const scale = (limit && most > limit * 0.5 ? limit * 1.05 : most * 1.1) || 1;
    const lines = series.map(({ values }, index) => seriesPath(values, times, scale, index));
    if (limit && limit <= scale) lines.push(limitPath(limit / scale));
    this._svg.replaceChildren(...lines);
    this._updateTexts(series, times, { most, scale, limit });
  }

  /**
   * @param {Series[]} series
   * @param {number[]} times
   * @param {{ most: number, scale: number, limit: number | null }} values
   */
  _updateTexts(series, times, { most, scale, limit }) {
    const format = this._format;
    const latest = series.map(({ label, values }) => `${label} ${format(values.findLast((each) => each !== null) ?? 0)}`.trim());
    setText(this._now, [...latest, limit ? `limit ${format(limit)}` : ""].filter(Boolean).join(" · "));
    setText(this._top, format(scale));
    this._svg.setAttribute("aria-label", `${this._title} over time: ${latest.join(", ")}; most ${format(most)}`);
    setText(this._begin, times.length ? new Date(times[0]).toLocaleTimeString() : "");
    setText(this._end, times.length ? new Date(times[times.length - 1]).toLocaleTimeString() : "");
  }
}

/**
 * @param {(number | null)[]} values
 * @param {number[]} times
 * @param {number} scale
 * @param {number} index
 */
function seriesPath(values, times, scale, index) {
  const path = document.createElementNS(SVG, "path");
  const span = times[times.length - 1] - times[0] || 1;
  const stretch = Math.max(1, Math.ceil(values.length / MOST_POINTS));
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
function limitPath(part) {
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", `M0 ${HEIGHT - part * HEIGHT}H${WIDTH}`);
  path.setAttribute("class", "nds-chart-limit");
  return path;
}
