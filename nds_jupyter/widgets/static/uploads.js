/** Uploads under way: a line each, with progress and a way to cancel. */

/** @import { Host } from "./types.js" */
/** @import { Api } from "./api.js" */
import { ApiError } from "./api.js";
import { upload } from "./dataapi.js";
import { ask } from "./dialog.js";
import { h, iconButton, setText } from "./dom.js";
import { icon } from "./icons.js";

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
    this.element = h("div", { class: "nds-uploads", role: "status", "aria-label": "Uploads" });
  }

  /** @param {Iterable<File>} files @param {string} collection */
  async start(files, collection) {
    // One after the other: they share one line anyway, and a listing shows them as they land.
    for (const file of [...files]) await this._one(file, collection);
    this._onDone();
  }

  /** @param {File} file @param {string} collection */
  async _one(file, collection) {
    const cancel = new AbortController();
    const bar = h("progress", { class: "nds-progress", max: 1, value: 0, "aria-label": `Upload of ${file.name}` });
    const part = h("span", { class: "nds-count" });
    const line = h(
      "div",
      { class: "nds-upload" },
      h("span", { class: "nds-upload-name" }, file.name),
      bar,
      part,
      iconButton(icon("close"), `Cancel the upload of ${file.name}`, () => cancel.abort()),
    );
    this.element.append(line);
    const onProgress = (/** @type {number} */ done) => {
      bar.value = done;
      setText(part, `${Math.round(done * 100)} %`);
    };
    const path = `${collection.replace(/\/+$/, "")}/${file.name}`;
    try {
      await this._sent(path, file, onProgress, cancel.signal);
    } catch (error) {
      this._host.notify(`${file.name}: ${/** @type {Error} */ (error).message}`, "error");
    }
    line.remove();
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
