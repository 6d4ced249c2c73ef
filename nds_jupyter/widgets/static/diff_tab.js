/** Diff tab of a job: files that it added, modified or deleted in its container. */

/** @import { FilesSource, TreeNode } from "./file_tree.js" */
/** @import { JobStore } from "./job_store.js" */
/** @import { Change } from "./types.js" */

/** @param {JobStore} store @param {string} jobId @returns {FilesSource} */
export function diffSource(store, jobId) {
  return {
    name: "Diff",
    label: "Changed files",
    async fetch(signal, show) {
      const tree = new ChangeTree();
      for await (const changes of store.api.diff(jobId, signal)) {
        for (const change of changes) tree.add(change);
        show(tree.roots);
      }
      for (const node of tree.roots) openSingleFolders(node);
      return { roots: tree.roots, summary: tree.summary };
    },
  };
}

/** Tree of changed paths, made of their flat list. */
class ChangeTree {
  constructor() {
    /** @type {Map<string, TreeNode>} */
    this._nodes = new Map();
    /** @type {Record<string, number>} */
    this._counts = { added: 0, modified: 0, deleted: 0 };
    /** @type {TreeNode[]} */
    this.roots = [];
  }

  /** How many changes of which kind, as text. */
  get summary() {
    const counts = Object.entries(this._counts).filter(([, many]) => many);
    return counts.map(([kind, many]) => `${many} ${kind}`).join(", ") || "nothing changed";
  }

  /** @param {Change} change */
  add({ kind, path, size = null, type }) {
    this._counts[kind] += 1;
    const node = this._node(path);
    node.mark = kind;
    node.size = size;
    node.file = type === "file";
    node.folder = type === "dir" || (node.children?.length ?? 0) > 0;
  }

  /** Get or make the node of a path, with the folders on the way to it. @param {string} path @returns {TreeNode} */
  _node(path) {
    const known = this._nodes.get(path);
    if (known) return known;
    const cut = path.lastIndexOf("/");
    /** @type {TreeNode} */
    const node = { path, name: path.slice(cut + 1), folder: false, size: null, mark: "", children: [] };
    this._nodes.set(path, node);
    if (cut <= 0) {
      this.roots.push(node);
      return node;
    }
    const parent = this._node(path.slice(0, cut));
    parent.folder = true;
    parent.children?.push(node);
    return node;
  }
}

/** Open folders that hold but one folder, down to where there is something to see. @param {TreeNode} node */
function openSingleFolders(node) {
  if (!node.folder) return;
  node.open = true;
  if (node.children?.length === 1) openSingleFolders(node.children[0]);
}
