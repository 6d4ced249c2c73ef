/** The WebSocket `/events`: one for a page, taken up again wherever it was cut. */

/** @import { Connection, EventMessage, Feed, Follow } from "./types.js" */
import { Turn } from "./turn.js";

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 30_000;
/** Messages that wait for their turn; with more, the server is to feel that the page is slow. */
const MOST_WAITING = 500;

/** @implements {Feed} */
export class EventStream {
  /**
   * @param {string} url of the REST routes
   * @param {(message: EventMessage) => void} onMessage
   * @param {(status: Connection) => void} onStatus
   */
  constructor(url, onMessage, onStatus) {
    this._url = `${url.replace(/^http/, "ws")}/events`;
    this._onMessage = onMessage;
    this._onStatus = onStatus;
    /** @type {string} */
    this._seq = "";
    this._pause = FIRST_PAUSE;
    this._closed = false;
    /** @type {() => Follow[]} */
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

  /** @param {() => Follow[]} followed */
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
    const turn = new Turn();
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
