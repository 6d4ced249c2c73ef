/** A selection of a job's container into the data root; the server copies, nothing passes through the page. */

/** @import { DataEntry, Host } from "./types.js" */
/** @import { Store } from "./store.js" */
import { ApiError } from "./api.js";
import { deliver } from "./dataapi.js";
import { ask, askText } from "./dialog.js";
import { baseName } from "./download.js";
import { sizeText } from "./format.js";

/** @typedef {{ paths: string[], to: string }} Selection */

/**
 * Ask for a collection and send paths there, folders with all they hold.
 *
 * @param {Store} store
 * @param {Host} host
 * @param {string} jobId
 * @param {string[]} paths absolute paths in the container
 * @param {object} options
 * @param {HTMLElement} options.near
 * @param {(text: string) => void} options.say where the panel tells how it goes
 */
export async function sendToData(store, host, jobId, paths, { near, say }) {
  const what = paths.length === 1 ? baseName(paths[0]) : `${paths.length} entries`;
  const to = await askText(near, "Send to the data root", `Collection that ${what} should go to`, "/", "Send");
  if (!to) return;
  say(`sending ${what} to ${to} …`);
  try {
    const sent = await delivered(store, jobId, { paths, to }, near);
    const told = sent ? sentText(sent, to) : `nothing sent to ${to}`;
    say(told);
    if (sent) host.notify(told, "success");
  } catch (error) {
    const { message } = /** @type {Error} */ (error);
    say(message);
    host.notify(message, "error");
  }
}

/**
 * @param {Store} store
 * @param {string} jobId
 * @param {Selection} selection
 * @param {HTMLElement} near
 * @returns {Promise<DataEntry[] | null>} null where what is there is to stay
 */
async function delivered({ api }, jobId, selection, near) {
  try {
    return await deliver(api, jobId, selection, false);
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 409)) throw error;
    const text = "Objects that are there already are replaced then.";
    const sure = await ask(near, "Replace it?", [error.message, " ", text], { accept: "Replace", danger: true });
    return sure ? deliver(api, jobId, selection, true) : null;
  }
}

/** @param {DataEntry[]} sent @param {string} to */
function sentText(sent, to) {
  const size = sizeText(sent.reduce((sum, { size }) => sum + size, 0));
  return `${sent.length} ${sent.length === 1 ? "file" : "files"} (${size}) sent to ${to}`;
}
