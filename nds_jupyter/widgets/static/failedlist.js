/** Uploads that failed: what went wrong with each, and a way to try again. */

import { button, h, iconButton } from "./dom.js";
import { baseName } from "./download.js";
import { icon } from "./icons.js";

/** @import { Waiting } from "./uploads.js" */
/** @typedef {Waiting & { message: string }} Failed */

/** As many are told one by one; a folder that is gone may fail a thousand. */
const SHOWN = 4;

export class FailedList {
  /**
   * @param {(uploads: Waiting[]) => void} again
   * @param {() => void} changed
   */
  constructor(again, changed) {
    this._again = again;
    this._changed = changed;
    /** @type {Failed[]} */
    this._failed = [];
    this.element = h("div", { class: "nds-upload-failures", role: "alert" });
  }

  /** @param {Failed} failed */
  add(failed) {
    this._failed.push(failed);
    this._show();
  }

  /** @param {Failed[]} which @returns {Failed[]} the same, which are told no more */
  _take(which) {
    this._failed = this._failed.filter((each) => !which.includes(each));
    this._show();
    return which;
  }

  /** @param {Failed[]} which */
  _retry(which) {
    this._again(this._take(which));
    this._changed();
  }

  /** @param {Failed[]} which */
  _dismiss(which) {
    this._take(which);
    this._changed();
  }

  _show() {
    const lines = this._failed.slice(0, SHOWN).map((each) => this._line(each));
    if (this._failed.length > 1) lines.push(this._allLine());
    this.element.replaceChildren(...lines);
  }

  /** @param {Failed} failed */
  _line(failed) {
    const name = baseName(failed.path);
    return h(
      "div",
      { class: "nds-upload nds-upload-failed" },
      h("span", { title: failed.path }, `${name} was not uploaded. ${failed.message}`),
      button("Retry", () => this._retry([failed]), { "aria-label": `Retry the upload of ${name}` }),
      iconButton(icon("close"), `Give the upload of ${name} up`, () => this._dismiss([failed])),
    );
  }

  _allLine() {
    const all = this._failed;
    const dismiss = iconButton(icon("close"), "Give up all that failed", () => this._dismiss(all));
    return h("div", { class: "nds-upload nds-upload-failed" }, h("span", {}, `${all.length} failed`), button("Retry all", () => this._retry(all)), dismiss);
  }
}
