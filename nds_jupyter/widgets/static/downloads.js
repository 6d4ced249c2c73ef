/** Downloads: the browser streams to disk by itself where a link can reach the server, else from memory. */

/** @import { JobStore } from "./job_store.js" */
import { h } from "./dom.js";
import { xsrfToken } from "./server_connection.js";

/** Let the browser save what a URL answers. @param {string} url @param {string} name of the file */
export function saveUrl(url, name) {
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
}

/** Let the browser save what the page holds. @param {Blob} blob @param {string} name of the file */
export function saveBlob(blob, name) {
  const url = URL.createObjectURL(blob);
  saveUrl(url, name);
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** @param {string} path */
export function baseName(path) {
  return path.slice(path.lastIndexOf("/") + 1) || "root";
}

/**
 * Download one file of a job's container.
 *
 * @param {JobStore} store
 * @param {string} job_id
 * @param {string} path
 */
export async function downloadFile({ api }, job_id, path) {
  const query = { job_id, path, format: "raw" };
  if (api.server.isDirect) saveUrl(api.url("/results", query), baseName(path));
  else saveBlob(await (await api.request("GET", "/results", query)).blob(), baseName(path));
}

/**
 * Download files and folders of a job's container as one archive.
 *
 * @param {JobStore} store
 * @param {string} job_id
 * @param {string[]} paths
 */
export async function downloadArchive({ api }, job_id, paths) {
  if (!api.server.isDirect) {
    const headers = { "Content-Type": "application/json" };
    const body = JSON.stringify({ job_id, paths, format: "zip" });
    saveBlob(await (await api.request("POST", "/archive", {}, { headers, body })).blob(), `${job_id}.zip`);
    return;
  }
  // A form's answer goes to disk as it comes; a fetched one would have to fit into memory.
  const fields = { job_id, paths: JSON.stringify(paths), format: "zip", _xsrf: decodeURIComponent(xsrfToken()) };
  const form = h("form", { method: "post", action: api.url("/archive"), hidden: true });
  for (const [name, value] of Object.entries(fields)) form.append(h("input", { type: "hidden", name, value }));
  document.body.append(form);
  form.submit();
  form.remove();
}
