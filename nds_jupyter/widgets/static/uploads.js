/** Uploads: the one under way with its progress, those that wait, those that failed, and a way to cancel or retry each. */

/** @import { Host } from "./types.js" */
/** @import { Api } from "./api.js" */
/** @import { Dropped } from "./drop.js" */
import { ApiError } from "./api.js";
import { entryAt, makeCollection, upload } from "./dataapi.js";
import { ask } from "./dialog.js";
import { button, h, iconButton, setText } from "./dom.js";
import { FailedList } from "./failedlist.js";
import { icon } from "./icons.js";

/** @typedef {{ path: string, file: File | null }} Waiting its path in the data root */

/** Nobody answers, or what is behind the server does not: the next one would only fail as well. */
const PASSING = new Set([0, 502, 503, 504]);
/** Bytes from which it pays to ask first whether the name is taken. */
const LARGE = 1_000_000;
const GONE = "It was changed or removed on this computer since it was chosen. Choose it again.";

export class Uploads {
  /**
   * @param {Api} api
   * @param {Host} host
   * @param {{ done: () => void, leave: () => void }} on `leave` moves the focus on, where it was on a button that is gone
   */
  constructor(api, host, { done, leave }) {
    this._api = api;
    this._host = host;
    this._done = done;
    this._leave = leave;
    /** @type {Waiting[]} */
    this._waiting = [];
    this._running = false;
    this._cancel = new AbortController();
    this._failed = new FailedList((again) => this._retry(again), () => this._keepFocus());
    this._many = h("span", { class: "nds-upload-name" });
    this._rest = h("div", { class: "nds-upload nds-upload-rest" }, this._many, button("Cancel all", () => this._cancelAll()));
    this._line = h("div", {});
    this.element = h("div", { class: "nds-uploads", role: "group", tabIndex: -1, "aria-label": "Uploads" }, this._failed.element, this._line);
  }

  /** @param {Dropped[]} files @param {string} collection */
  start(files, collection) {
    const above = collection.replace(/\/+$/, "");
    this._waiting.push(...files.map(({ path, file }) => ({ path: `${above}/${path}`, file })));
    return this._run();
  }

  /** @param {Waiting[]} again */
  _retry(again) {
    // Before the others, which may lie in a folder that is among these.
    this._waiting.unshift(...again);
    this._run();
  }

  async _run() {
    this._showRest();
    if (this._running) return;
    this._running = true;
    // One after the other: they share one line anyway, and a folder is there before what it holds.
    for (let goesOn = true; goesOn && this._waiting.length; ) {
      const next = /** @type {Waiting} */ (this._waiting.shift());
      this._showRest();
      goesOn = await this._one(next);
    }
    this._running = false;
    if (this.element.contains(document.activeElement)) this._moveFocus();
    this._done();
  }

  _showRest() {
    const many = this._waiting.length;
    if (many) this.element.append(this._rest);
    else this._rest.remove();
    setText(this._many, `${many} more ${many === 1 ? "waits" : "wait"}`);
  }

  _cancelAll() {
    this._waiting = [];
    this._cancel.abort();
    this._showRest();
    this._keepFocus();
  }

  /** Whoever pressed a button that is gone goes on beside it; the next one means something else. */
  _keepFocus() {
    if (document.activeElement === null || document.activeElement === document.body) this._moveFocus();
  }

  _moveFocus() {
    if (this.element.querySelector("button")) this.element.focus();
    else this._leave();
  }

  /** @param {Waiting} waiting @returns {Promise<boolean>} whether the next one has a chance */
  async _one(waiting) {
    const { path, file } = waiting;
    this._cancel = new AbortController();
    let goesOn = true;
    try {
      if (file) await this._shown(path, file);
      else await makeCollection(this._api, path);
    } catch (error) {
      goesOn = await this._tell(waiting, /** @type {Error} */ (error));
    }
    const held = this._line.contains(document.activeElement);
    this._line.replaceChildren();
    if (held) this._keepFocus();
    return goesOn;
  }

  /** @param {Waiting} waiting @param {Error} error */
  async _tell({ path, file }, error) {
    if (this._cancel.signal.aborted) {
      this._host.notify(`${path.slice(path.lastIndexOf("/") + 1)}: ${error.message}`, "error");
      return true;
    }
    const status = error instanceof ApiError ? error.status : null;
    const readable = !file || (await isReadable(file));
    const advice = status === 404 ? " Make that collection again, then retry." : "";
    this._failed.add({ path, file, message: readable ? error.message + advice : GONE });
    return !readable || status === null || !PASSING.has(status);
  }

  /** @param {string} path @param {File} file */
  async _shown(path, file) {
    const { signal } = this._cancel;
    const bar = h("progress", { class: "nds-progress", max: 1, value: 0, "aria-label": `Upload of ${file.name}` });
    const part = h("span", { class: "nds-count" });
    const cancel = iconButton(icon("close"), `Cancel the upload of ${file.name}`, () => this._cancel.abort());
    const name = h("span", { class: "nds-upload-name", title: path }, file.name);
    this._line.replaceChildren(h("div", { class: "nds-upload" }, name, bar, part, cancel));
    const onProgress = (/** @type {number} */ done) => {
      bar.value = done;
      setText(part, `${Math.round(done * 100)} %`);
    };
    await this._sent(path, file, onProgress, signal);
  }

  /**
   * @param {string} path
   * @param {File} file
   * @param {(part: number) => void} onProgress
   * @param {AbortSignal} signal
   */
  async _sent(path, file, onProgress, signal) {
    const options = { replace: false, onProgress, signal };
    let taken = file.size > LARGE && (await entryAt(this._api, path))?.kind === "data_object";
    try {
      if (!taken) await upload(this._api, path, file, options);
    } catch (error) {
      taken = error instanceof ApiError && error.status === 412;
      if (!taken) throw error;
    }
    if (!taken) return;
    const text = `${path} is there already. What it holds now is gone then.`;
    const sure = await ask(this.element, "Replace it?", [text], { accept: "Replace", danger: true });
    if (sure) await upload(this._api, path, file, { ...options, replace: true });
  }
}

/** Whether the browser can still read a file: not one that was changed since it was chosen. @param {File} file */
async function isReadable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
