/** Status line of a cell that waits for a job, with buttons that need no kernel: Stop, Send to background. */

/** @import { JobStore } from "./job_store.js" */
/** @import { Host } from "./types.js" */
import { button, h, setText } from "./dom.js";
import { JobActions } from "./job_actions.js";

/** MIME type of the status that the magic displays. */
export const STATUS_TYPE = "application/vnd.nds-jupyter.job+json";

/** Rendered output of the MIME type of a waiting cell. */
export class CellStatus {
  /**
   * @param {JobStore} store
   * @param {Host} host
   */
  constructor(store, host) {
    this._store = store;
    this._actions = new JobActions(store, host);
    this._jobId = "";
    this._text = h("pre");
    const stop = button("Stop", () => this._act("stop"), { title: "Stop the job" });
    const background = button("Send to background", () => this._act("sendToBackground"), {
      title: "Let the job run, and go on with the next cell",
    });
    const props = { class: "nds-cellStatus-buttons", role: "group", "aria-label": "Job", hidden: true };
    this._buttons = h("span", props, stop, background);
    this.element = h("div", { class: "nds nds-cellStatus" }, this._text, this._buttons);
    this._end = store.onChange(() => this._update());
  }

  /** @param {string} text @param {string} jobId */
  show(text, jobId) {
    this._jobId = jobId;
    setText(this._text, text);
    this._update();
  }

  dispose() {
    this._end();
  }

  /** Hide the buttons of a job that has ended: a notebook that was saved meanwhile still has its line. */
  _update() {
    const job = this._store.jobs.get(this._jobId);
    this._buttons.hidden = !job || job.phase === "finished" || job.background;
  }

  /** @param {"stop" | "sendToBackground"} action */
  async _act(action) {
    const job = this._store.jobs.get(this._jobId);
    if (!job) return;
    this._setEnabled(false);
    await this._actions[action](job);
    this._setEnabled(true);
  }

  /** @param {boolean} enabled */
  _setEnabled(enabled) {
    for (const each of this._buttons.querySelectorAll("button")) each.disabled = !enabled;
  }
}
