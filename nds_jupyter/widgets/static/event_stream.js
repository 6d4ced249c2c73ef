/** Feeds of `/events`: a WebSocket that reconnects and resumes, and polling for pages that no WebSocket reaches. */

/** @import { RestApi } from "./rest_api.js" */
/** @import { ConnectionStatus, EventFeed, EventMessage, FollowedJob } from "./types.js" */
import { TimeSlice } from "./time_slicing.js";

/** Milliseconds before the first reconnection; each further one waits twice as long. */
const FIRST_RETRY = 500;
const LONGEST_RETRY = 30_000;
/** Messages that are queued; with more, the server is to feel that the page is slow. */
const MOST_QUEUED = 500;
/** Milliseconds between two rounds of polling. */
const POLL_INTERVAL = 2_000;

/**
 * WebSocket to `/events`, one for a page. After a cut it connects anew, and names the last message that it handled.
 *
 * @implements {EventFeed}
 */
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
    /** @type {string} Sequence number of the last message that was handled. */
    this._seq = "";
    this._retryDelay = FIRST_RETRY;
    this._closed = false;
    /** @type {() => FollowedJob[]} */
    this._followed = () => [];
    this._sentFollow = "[]";
    /** @type {string[]} */
    this._queue = [];
    this._handling = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this._timer = undefined;
    /** @type {WebSocket | undefined} */
    this._socket = undefined;
    this._onOnline = () => this._reconnectNow();
    window.addEventListener("online", this._onOnline);
    this._connect();
  }

  /** @param {() => FollowedJob[]} followed */
  follow(followed) {
    this._followed = followed;
    if (this._socket?.readyState === WebSocket.OPEN) this._sendFollowed();
  }

  close() {
    this._closed = true;
    clearTimeout(this._timer);
    window.removeEventListener("online", this._onOnline);
    this._queue.length = 0;
    this._socket?.close();
  }

  _connect() {
    const since = this._seq ? `?since=${encodeURIComponent(this._seq)}` : "";
    const socket = (this._socket = new WebSocket(this._url + since));
    socket.onopen = () => {
      this._retryDelay = FIRST_RETRY;
      this._sentFollow = "[]";
      this._onStatus("live");
      this._sendFollowed();
    };
    socket.onmessage = ({ data }) => this._enqueue(data);
    socket.onclose = () => this._reconnect();
  }

  /** A browser hands over all that has come in one task, however much it is. @param {string} data */
  _enqueue(data) {
    this._queue.push(data);
    if (this._queue.length > MOST_QUEUED) this._handleNext();
    if (!this._handling) this._handleQueue();
  }

  async _handleQueue() {
    this._handling = true;
    const slice = new TimeSlice();
    while (this._queue.length) {
      while (this._queue.length && !slice.expired) this._handleNext();
      await slice.yield();
    }
    this._handling = false;
  }

  _handleNext() {
    try {
      /** @type {EventMessage} */
      const message = JSON.parse(this._queue.shift() ?? "{}");
      if (message.seq) this._seq = message.seq;
      this._onMessage(message);
    } catch (error) {
      // A panel that fails must not stop the messages for the others.
      reportError(error);
    }
  }

  _sendFollowed() {
    const follow = JSON.stringify(this._followed());
    if (follow === this._sentFollow) return;
    this._sentFollow = follow;
    this._socket?.send(`{"follow":${follow}}`);
  }

  /** Connect again after a delay that grows. */
  _reconnect() {
    // What was not read is sent again to the next connection, which names the last one that was.
    this._queue.length = 0;
    if (this._closed) return;
    this._onStatus("lost");
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this._connect(), this._retryDelay);
    this._retryDelay = Math.min(this._retryDelay * 2, LONGEST_RETRY);
  }

  _reconnectNow() {
    if (this._closed || (this._socket && this._socket.readyState <= WebSocket.OPEN)) return;
    clearTimeout(this._timer);
    this._connect();
  }
}

/**
 * Messages as `/events` has them, made of what the routes answer every two seconds.
 *
 * @implements {EventFeed}
 */
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
    this._abort = new AbortController();
    /** @type {() => FollowedJob[]} */
    this._followed = () => [];
    /** @type {Map<string, string>} Time of the last log line that was told, by job. */
    this._lastLines = new Map();
    onMessage({ type: "reset" });
    this._loop();
  }

  /** @param {() => FollowedJob[]} followed */
  follow(followed) {
    this._followed = followed;
  }

  close() {
    this._abort.abort();
  }

  async _loop() {
    const { signal } = this._abort;
    while (!signal.aborted) {
      try {
        await this._poll();
        this._onStatus("polling");
      } catch {
        if (!signal.aborted) this._onStatus("lost");
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL));
    }
  }

  async _poll() {
    const { signal } = this._abort;
    for (const job of await this._api.getJson("/jobs", { limit: 100 }, signal)) {
      this._onMessage({ type: "job", job_id: job.job_id, job });
    }
    for (const followed of this._followed()) {
      if (followed.log) await this._pollLog(followed);
      if (followed.metrics) await this._pollMetrics(followed.job_id);
    }
  }

  /** @param {FollowedJob} followed */
  async _pollLog({ job_id, log_since }) {
    const last = this._lastLines.get(job_id) ?? log_since ?? "";
    for await (const batch of this._api.logLines(job_id, last || null, this._abort.signal)) {
      const lines = batch.filter((line) => line.time > last);
      const end = lines.at(-1);
      if (!end) continue;
      this._lastLines.set(job_id, end.time);
      this._onMessage({ type: "log", job_id, lines });
    }
  }

  /** @param {string} job_id */
  async _pollMetrics(job_id) {
    const { now } = await this._api.metrics(job_id);
    if (now) this._onMessage({ type: "metric", job_id, sample: now });
  }
}
