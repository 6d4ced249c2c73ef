/** What a job uses and used: CPU, memory, network and disk over time. */

/** @import { Sample } from "./types.js" */
/** @import { Store } from "./store.js" */
import { makeChart } from "./chart.js";
import { h, setText } from "./dom.js";
import { sizeText } from "./format.js";

/** @param {number} value */
const rate = (value) => `${sizeText(Math.round(value))}/s`;

export class MetricsView {
  /**
   * @param {Store} store
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
