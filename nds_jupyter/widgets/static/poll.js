/** The same messages as `/events`, by asking again and again: for pages that no WebSocket reaches. */

/** @import { Api } from "./api.js" */
/** @import { Connection, EventMessage, Feed, Follow } from "./types.js" */

const EVERY = 2_000;

/** @implements {Feed} */
export class Polling {
  /**
   * @param {Api} api
   * @param {(message: EventMessage) => void} onMessage
   * @param {(status: Connection) => void} onStatus
   */
  constructor(api, onMessage, onStatus) {
    this._api = api;
    this._onMessage = onMessage;
    this._onStatus = onStatus;
    this._stopped = new AbortController();
    /** @type {() => Follow[]} */
    this._followed = () => [];
    /** @type {Map<string, string>} */
    this._reached = new Map();
    onMessage({ type: "reset" });
    this._loop();
  }

  /** @param {() => Follow[]} followed */
  watch(followed) {
    this._followed = followed;
  }

  close() {
    this._stopped.abort();
  }

  async _loop() {
    const { signal } = this._stopped;
    while (!signal.aborted) {
      try {
        await this._round();
        this._onStatus("polling");
      } catch {
        if (!signal.aborted) this._onStatus("lost");
      }
      await new Promise((resolve) => setTimeout(resolve, EVERY));
    }
  }

  async _round() {
    const { signal } = this._stopped;
    for (const job of await this._api.json("/jobs", { limit: 100 }, signal)) {
      this._onMessage({ type: "job", job_id: job.job_id, job });
    }
    for (const entry of this._followed()) {
      if (entry.log) await this._log(entry);
      if (entry.metrics) await this._metrics(entry.job_id);
    }
  }

  /** @param {Follow} entry */
  async _log({ job_id, log_since }) {
    const last = this._reached.get(job_id) ?? log_since ?? "";
    for await (const batch of this._api.lines(job_id, last || null, this._stopped.signal)) {
      const lines = batch.filter((line) => line.time > last);
      const end = lines.at(-1);
      if (!end) continue;
      this._reached.set(job_id, end.time);
      this._onMessage({ type: "log", job_id, lines });
    }
  }

  /** @param {string} job_id */
  async _metrics(job_id) {
    const { now } = await this._api.metrics(job_id);
    if (now) this._onMessage({ type: "metric", job_id, sample: now });
  }
}
