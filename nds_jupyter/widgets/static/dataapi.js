/** The routes of the data root, one function each. */

/** @import { Avu, DataEntry } from "./types.js" */
/** @import { Api, Query } from "./api.js" */
import { ApiError, encodePath } from "./api.js";

const CUT_OFF = "The connection to the server broke off. A part of a file is never kept. Retry when the server answers again.";

/**
 * @param {Api} api
 * @param {Query} query
 * @param {AbortSignal} [signal]
 * @returns {Promise<{ rows: DataEntry[], next: Query | null }>}
 */
export function listPage(api, query, signal) {
  return api.page("/list_data", query, signal);
}

/**
 * What has a path, by the listing of what is above it: to ask for what is not there would be an error in the browser's log.
 *
 * @param {Api} api
 * @param {string} path
 * @returns {Promise<DataEntry | null | undefined>} null where there is nothing, undefined where that is not known
 */
export async function entryAt(api, path) {
  const whole = path.replace(/\/+$/, "");
  const at = whole.lastIndexOf("/");
  const name = whole.slice(at + 1);
  if (!name || name === "." || name === "..") return undefined;
  try {
    const above = at < 0 ? "" : whole.slice(0, at) || "/";
    const { rows, next } = await listPage(api, { path: above, q: name, limit: 1000 });
    return rows.find((entry) => entry.name === name) ?? (next ? undefined : null);
  } catch {
    return undefined;
  }
}

/** @param {Api} api @param {string} path */
export function makeCollection(api, path) {
  return api.request("POST", `/data${encodePath(path)}`, { mkdir: "1" });
}

/** @param {Api} api @param {string} path @param {string} move_to */
export function move(api, path, move_to) {
  return api.request("POST", `/data${encodePath(path)}`, { move_to });
}

/** @param {Api} api @param {DataEntry} entry */
export function remove(api, { path, kind }) {
  return api.request("DELETE", `/data${encodePath(path)}`, kind === "collection" ? { recursive: "1" } : {});
}

/** @param {Api} api @param {string} path @returns {Promise<Avu[]>} */
export function metadata(api, path) {
  return api.json(`/metadata${encodePath(path)}`);
}

/** @param {Api} api @param {string} path @param {Avu[]} avus @returns {Promise<Avu[]>} */
export function setMetadata(api, path, avus) {
  return api.send("PUT", `/metadata${encodePath(path)}`, avus);
}

/**
 * Copy paths of a job's container into a collection; the answer comes when all of them are there.
 *
 * @param {Api} api
 * @param {string} job_id
 * @param {{ paths: string[], to: string }} selection
 * @param {boolean} overwrite
 * @returns {Promise<DataEntry[]>} the objects that were written
 */
export function deliver(api, job_id, { paths, to }, overwrite) {
  return api.send("POST", "/deliver", { job_id, paths, to, overwrite });
}

/**
 * @typedef {object} Replica
 * @property {number} number
 * @property {string} resource
 * @property {string} status
 * @property {number} size
 *
 * @param {Api} api
 * @param {string} path
 * @returns {Promise<Replica[]>}
 */
export function replicas(api, path) {
  return api.json(`/replicas${encodePath(path)}`);
}

/**
 * Upload a file, with progress, which `fetch` does not tell.
 *
 * @param {Api} api
 * @param {string} path
 * @param {Blob} file
 * @param {object} options
 * @param {boolean} options.replace
 * @param {(part: number) => void} options.onProgress
 * @param {AbortSignal} options.signal
 * @returns {Promise<void>}
 */
export function upload(api, path, file, { replace, onProgress, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", api.url(`/data${encodePath(path)}`));
    for (const [name, value] of Object.entries(api.server.headers())) request.setRequestHeader(name, value);
    if (!replace) request.setRequestHeader("If-None-Match", "*");
    request.upload.onprogress = ({ loaded, total }) => onProgress(total ? loaded / total : 0);
    request.onload = () => (request.status < 300 ? resolve() : reject(problem(request)));
    request.onerror = () => reject(new ApiError(CUT_OFF, 0));
    request.onabort = () => reject(new ApiError("The upload was cancelled.", 0));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

/** @param {XMLHttpRequest} request */
function problem({ status, statusText, responseText }) {
  try {
    return new ApiError(JSON.parse(responseText).message, status);
  } catch {
    return new ApiError(`The server answered ${status} ${statusText}.`, status);
  }
}
