/** Results tab of a job: files under /results, with a preview of each. */

/** @import { FilesSource, TreeNode } from "./file_tree.js" */
/** @import { JobStore } from "./job_store.js" */
/** @import { ResultEntry } from "./types.js" */
import { h, iconButton } from "./dom.js";
import { downloadFile } from "./downloads.js";
import { renderPreview } from "./file_preview.js";
import { icon } from "./icons.js";

const ROOT = "/results";

/** @param {JobStore} store @param {string} jobId @returns {FilesSource} */
export function resultsSource(store, jobId) {
  const pane = h("div", { class: "nds-preview", role: "region", "aria-label": "Preview", "aria-live": "polite" });

  /** @param {string} path @param {AbortSignal} signal */
  async function list(path, signal) {
    /** @type {TreeNode[]} */
    const nodes = [];
    for await (const rows of store.api.results(jobId, path, signal)) {
      for (const row of rows) nodes.push(treeNode(row));
    }
    return nodes;
  }

  return {
    name: "Results",
    label: "Results",
    root: ROOT,
    pane,
    async fetch(signal) {
      const roots = await list(ROOT, signal);
      return { roots, summary: roots.length ? `${roots.length} entries` : "nothing in /results yet" };
    },
    children: (node, signal) => list(node.path, signal),
    open: (node) => showPreview(store, jobId, node, pane),
  };
}

/**
 * @param {JobStore} store
 * @param {string} jobId
 * @param {TreeNode} node
 * @param {HTMLElement} pane
 */
async function showPreview(store, jobId, node, pane) {
  const query = { job_id: jobId, path: node.path, format: "raw" };
  const title = h("h3", {}, node.name);
  pane.dataset.path = node.path;
  pane.replaceChildren(title, "loading …");
  let body;
  try {
    body = await renderPreview(node.name, node.size ?? 0, (init) => store.api.request("GET", "/results", query, init));
  } catch (error) {
    body = h("p", { class: "nds-preview-note" }, /** @type {Error} */ (error).message);
  }
  // Another one may have been asked for meanwhile.
  if (pane.dataset.path !== node.path) return;
  const save = iconButton(icon("down"), `Download ${node.name}`, () => downloadFile(store, jobId, node.path));
  pane.replaceChildren(h("div", { class: "nds-preview-head" }, title, save), body);
}

/** @param {ResultEntry} row @returns {TreeNode} */
function treeNode(row) {
  const folder = row.kind === "dir";
  const mark = row.kind === "link" ? "link" : "";
  return { path: row.path, name: row.name, folder, file: row.kind === "file", size: row.size, mark, children: null };
}
