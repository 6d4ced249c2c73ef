/** Feeds of `/events`: a WebSocket that reconnects and resumes, and polling for pages that no WebSocket reaches. */

/** @import { RestApi } from "./rest_api.js" */
/** @import { ConnectionStatus, EventMessage, EventFeed, FollowedJob } from "./types.js" */
import { TimeSlice } from "./time_slicing.js";

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 30_000;
/** Messages that wait for their turn; with more, the server is to feel that the page is slow. */
const MOST_WAITING = 500;

/** @implements {EventFeed} */
export class EventStream {
  /**
   * @param {string} url of the REST routes
   * @param {(message: EventMessage) => void} onMessage
   * @param {(status: ConnectionStatus) => void} onStatus
   */
  constructor(url, onMessage, onStatus) {
    this._url = `${url.replace(/^http/, "ws")}/events`;
    this._onMessage = onMessage;
    this._onStatus = onStatus;
    /** @type {string} */
    this._seq = "";
    this._pause = FIRST_PAUSE;
    this._closed = false;
    /** @type {() => FollowedJob[]} */
    this._followed = () => [];
    this._sent = "[]";
    /** @type {string[]} Messages that have come and are still to be read. */
    this._waiting = [];
    this._reading = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this._timer = undefined;
    /** @type {WebSocket | undefined} */
    this._socket = undefined;
    this._online = () => this._retryNow();
    window.addEventListener("online", this._online);
    this._connect();
  }

  /** @param {() => FollowedJob[]} followed */
  watch(followed) {
    this._followed = followed;
    if (this._socket?.readyState === WebSocket.OPEN) this._sendFollow();
  }

  close() {
    this._closed = true;
    clearTimeout(this._timer);
    window.removeEventListener("online", this._online);
    this._waiting.length = 0;
    this._socket?.close();
  }

  _connect() {
    const since = this._seq ? `?since=${encodeURIComponent(this._seq)}` : "";
    const socket = (this._socket = new WebSocket(this._url + since));
    socket.onopen = () => {
      this._pause = FIRST_PAUSE;
      this._sent = "[]";
      this._onStatus("live");
      this._sendFollow();
    };
    socket.onmessage = ({ data }) => this._arrived(data);
    socket.onclose = () => this._again();
  }

  /** A browser hands over all that has come in one task, however much it is. @param {string} data */
  _arrived(data) {
    this._waiting.push(data);
    if (this._waiting.length > MOST_WAITING) this._takeOne();
    if (!this._reading) this._read();
  }

  async _read() {
    this._reading = true;
    const turn = new TimeSlice();
    while (this._waiting.length) {
      while (this._waiting.length && !turn.over) this._takeOne();
      await turn.next();
    }
    this._reading = false;
  }

  _takeOne() {
    try {
      /** @type {EventMessage} */
      const message = JSON.parse(this._waiting.shift() ?? "{}");
      if (message.seq) this._seq = message.seq;
      this._onMessage(message);
    } catch (error) {
      // A panel that fails must not stop the messages for the others.
      reportError(error);
    }
  }

  _sendFollow() {
    const follow = JSON.stringify(this._followed());
    if (follow === this._sent) return;
    this._sent = follow;
    this._socket?.send(`{"follow":${follow}}`);
  }

  _again() {
    // What was not read is sent again to the next connection, which names the last one that was.
    this._waiting.length = 0;
    if (this._closed) return;
    this._onStatus("lost");
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this._connect(), this._pause);
    this._pause = Math.min(this._pause * 2, LONGEST_PAUSE);
  }

  _retryNow() {
    if (this._closed || (this._socket && this._socket.readyState <= WebSocket.OPEN)) return;
    clearTimeout(this._timer);
    this._connect();
  }
}

const EVERY = 2_000;

/** @implements {EventFeed} */
export class EventPolling {
  /**
   * @param {RestApi} api
   * @param {(message: EventMessage) => void} onMessage
   * @param {(status: ConnectionStatus) => void} onStatus
   */
  constructor(api, onMessage, onStatus) {
    this._api = api;
    this._onMessage = onMessage;
    this._onStatus = onStatus;
    this._stopped = new AbortController();
    /** @type {() => FollowedJob[]} */
    this._followed = () => [];
    /** @type {Map<string, string>} */
    this._reached = new Map();
    onMessage({ type: "reset" });
    this._loop();
  }

  /** @param {() => FollowedJob[]} followed */
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

  /** @param {FollowedJob} entry */
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
