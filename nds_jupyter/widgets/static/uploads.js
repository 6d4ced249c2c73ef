/** Uploads: the one under way with its progress, those that wait, and a way to cancel either. */

/** @import { Host } from "./types.js" */
/** @import { Api } from "./api.js" */
/** @import { Dropped } from "./drop.js" */
import { ApiError } from "./api.js";
import { makeCollection, upload } from "./dataapi.js";
import { ask } from "./dialog.js";
import { button, h, iconButton, setText } from "./dom.js";
import { icon } from "./icons.js";

/** @typedef {{ path: string, file: File | null }} Waiting its path in the data root */

export class Uploads {
  /**
   * @param {Api} api
   * @param {Host} host
   * @param {() => void} onDone
   */
  constructor(api, host, onDone) {
    this._api = api;
    this._host = host;
    this._onDone = onDone;
    /** @type {Waiting[]} */
    this._waiting = [];
    this._running = false;
    this._cancel = new AbortController();
    this._many = h("span", { class: "nds-upload-name" });
    this._rest = h("div", { class: "nds-upload nds-upload-rest" }, this._many, button("Cancel all", () => this._cancelAll()));
    this._line = h("div", {});
    this.element = h("div", { class: "nds-uploads", role: "status", "aria-label": "Uploads" }, this._line);
  }

  /** @param {Dropped[]} files @param {string} collection */
  async start(files, collection) {
    const above = collection.replace(/\/+$/, "");
    this._waiting.push(...files.map(({ path, file }) => ({ path: `${above}/${path}`, file })));
    this._showRest();
    if (this._running) return;
    this._running = true;
    // One after the other: they share one line anyway, and a folder is there before what it holds.
    for (let next = this._waiting.shift(); next; next = this._waiting.shift()) {
      this._showRest();
      await this._one(next);
    }
    this._running = false;
    this._onDone();
  }

  _showRest() {
    const many = this._waiting.length;
    if (many) this.element.append(this._rest);
    else this._rest.remove();
    setText(this._many, `${many} more ${many === 1 ? "waits" : "wait"}`);
  }

  _cancelAll() {
    this._waiting = [];
    this._showRest();
    this._cancel.abort();
  }

  /** @param {Waiting} upload */
  async _one({ path, file }) {
    this._cancel = new AbortController();
    try {
      if (file) await this._shown(path, file);
      else await makeCollection(this._api, path);
    } catch (error) {
      this._tell(path, /** @type {Error} */ (error));
    }
    this._line.replaceChildren();
  }

  /** @param {string} path @param {Error} error */
  _tell(path, error) {
    const cutOff = error instanceof ApiError && error.status === 0 && !this._cancel.signal.aborted;
    // Where nobody answers, the others would only fail one by one.
    const others = cutOff ? this._waiting.splice(0).length : 0;
    this._showRest();
    const rest = others ? ` ${others} others were not sent.` : "";
    this._host.notify(`${path.slice(path.lastIndexOf("/") + 1)}: ${error.message}${rest}`, "error");
  }

  /** @param {string} path @param {File} file */
  async _shown(path, file) {
    const { signal } = this._cancel;
    const bar = h("progress", { class: "nds-progress", max: 1, value: 0, "aria-label": `Upload of ${file.name}` });
    const part = h("span", { class: "nds-count" });
    const cancel = iconButton(icon("close"), `Cancel the upload of ${file.name}`, () => this._cancel.abort());
    this._line.replaceChildren(
      h("div", { class: "nds-upload" }, h("span", { class: "nds-upload-name" }, file.name), bar, part, cancel),
    );
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
    try {
      await upload(this._api, path, file, { replace: false, onProgress, signal });
    } catch (error) {
      const exists = error instanceof ApiError && (error.status === 412 || error.status === 409);
      if (!exists) throw error;
      const text = `${path} is there already. What it holds now is gone then.`;
      const sure = await ask(this.element, "Replace it?", [text], { accept: "Replace", danger: true });
      if (sure) await upload(this._api, path, file, { replace: true, onProgress, signal });
    }
  }
}
