/** Actions on a job, shared by table, tabs and keys: stop, send to background, run again, delete, copy its id. */

/** @import { JobStore } from "./job_store.js" */
/** @import { Host, Job } from "./types.js" */
import { confirmDialog } from "./dialog.js";
import { copyText } from "./dom.js";
import { jobTitle } from "./format.js";

/** Actions that tell how they end by the host's notifications. */
export class JobActions {
  /**
   * @param {JobStore} store
   * @param {Host} host
   */
  constructor(store, host) {
    this._store = store;
    this._host = host;
  }

  /** @param {Job} job */
  async stop(job) {
    await this._notifyErrors(async () => {
      await this._store.api.stop(job.job_id);
      this._store.put(await this._store.api.job(job.job_id));
    });
  }

  /** Let the cell that waits for a job go on without it. @param {Job} job */
  async sendToBackground(job) {
    await this._notifyErrors(async () => {
      this._store.put(await this._store.api.sendToBackground(job.job_id));
    });
  }

  /** @param {Job} job */
  async rerun(job) {
    await this._notifyErrors(async () => {
      const again = await this._store.api.rerun(job.job_id);
      this._store.put(again);
      this._host.notify(`${jobTitle(job)} runs again as ${again.job_id}.`, "info", () => {
        this._host.openJob(again);
      });
    });
  }

  /** @param {Job} job @param {HTMLElement} near @returns {Promise<boolean>} whether it was deleted */
  async remove(job, near) {
    const running = job.phase === "finished" ? "" : "It is stopped first. ";
    const sure = await confirmDialog(
      near,
      `Delete job ${jobTitle(job)}?`,
      [`${running}Its log, metrics and results are gone for good; what it wrote to the data root stays.`],
      { accept: "Delete", danger: true },
    );
    if (!sure) return false;
    return this._notifyErrors(async () => {
      await this._store.api.remove(job.job_id);
      this._store.drop(job.job_id);
    });
  }

  /** @param {Job} job */
  async copyId(job) {
    await copyText(job.job_id);
    this._host.notify(`Copied ${job.job_id}.`, "info");
  }

  /** @param {() => Promise<void>} act @returns {Promise<boolean>} whether it succeeded */
  async _notifyErrors(act) {
    try {
      await act();
      return true;
    } catch (error) {
      this._host.notify(/** @type {Error} */ (error).message, "error");
      return false;
    }
  }
}
