/** Files of a job's container into the data root. */

/** @import { Host } from "./types.js" */
/** @import { Store } from "./store.js" */
import { encodePath } from "./api.js";
import { askText } from "./dialog.js";
import { baseName } from "./download.js";

/**
 * @param {Store} store
 * @param {Host} host
 * @param {string} jobId
 * @param {string[]} files absolute paths in the container
 * @param {HTMLElement} near
 */
export async function sendToData(store, host, jobId, files, near) {
  const label = `Collection that ${files.length === 1 ? baseName(files[0]) : `${files.length} files`} should go to`;
  const target = await askText(near, "Send to the data root", label, "/", "Send");
  if (!target) return;
  const { api } = store;
  try {
    for (const path of files) {
      const answer = await api.request("GET", "/results", { job_id: jobId, path, format: "raw" });
      const body = await answer.blob();
      const to = `${target.replace(/\/+$/, "")}/${baseName(path)}`;
      await api.request("PUT", `/data${encodePath(to)}`, {}, { body });
    }
    host.notify(`${files.length === 1 ? baseName(files[0]) : `${files.length} files`} sent to ${target}.`, "success");
  } catch (error) {
    host.notify(/** @type {Error} */ (error).message, "error");
  }
}
