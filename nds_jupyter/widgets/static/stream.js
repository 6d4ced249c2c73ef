/** The WebSocket `/events`: one for a page, taken up again wherever it was cut. */

/** @import { Connection, EventMessage, Feed, Follow } from "./types.js" */

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 30_000;

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
    socket.onmessage = ({ data }) => this._take(JSON.parse(data));
    socket.onclose = () => this._again();
  }

  /** @param {EventMessage} message */
  _take(message) {
    if (message.seq) this._seq = message.seq;
    this._onMessage(message);
  }

  _sendFollow() {
    const follow = JSON.stringify(this._followed());
    if (follow === this._sent) return;
    this._sent = follow;
    this._socket?.send(`{"follow":${follow}}`);
  }

  _again() {
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
