/** What a job changed on its container's filesystem: a tree, to select from and download. */

/** @import { Change, Host } from "./types.js" */
/** @import { Store } from "./store.js" */
/** @import { TreeNode } from "./tree.js" */
import { button, h, iconButton, setText } from "./dom.js";
import { downloadArchive } from "./download.js";
import { sizeText } from "./format.js";
import { icon } from "./icons.js";
import { sendToData } from "./send.js";
import { Tree } from "./tree.js";

export class DiffView {
  /**
   * @param {Store} store
   * @param {Host} host
   * @param {string} jobId
   */
  constructor(store, host, jobId) {
    this._store = store;
    this._host = host;
    this._jobId = jobId;
    this._stopped = new AbortController();
    this._tree = new Tree({ label: "Changed files", onSelect: () => this._update() });
    this._status = h("span", { class: "nds-count", role: "status", "aria-live": "polite" });
    this._download = button("Download selected", () => this._save(), { disabled: true });
    this._send = button("Send to data …", () => this._sendSelected(), { disabled: true });
    this.element = h(
      "div",
      { class: "nds-diff" },
      h(
        "div",
        { class: "nds-toolbar", role: "toolbar", "aria-label": "Diff" },
        this._download,
        this._send,
        iconButton(icon("refresh"), "Refresh the diff", () => this._fetch()),
        this._status,
      ),
      this._tree.element,
    );
    this._end = store.onEnd((job) => job.job_id === jobId && this._fetch());
    this._fetch();
  }

  dispose() {
    this._end();
    this._stopped.abort();
    this._tree.dispose();
  }

  shown() {
    this._tree.refresh();
  }

  async _fetch() {
    this._stopped.abort();
    this._stopped = new AbortController();
    const { signal } = this._stopped;
    /** @type {TreeNode} */
    const root = folder("/", "/", "");
    /** @type {Record<string, number>} */
    const counts = { added: 0, modified: 0, deleted: 0 };
    setText(this._status, "loading …");
    try {
      for await (const changes of this._store.api.diff(this._jobId, signal)) {
        for (const change of changes) {
          plant(root, change);
          counts[change.kind] += 1;
        }
        this._tree.setRoots(root.children ?? []);
      }
    } catch (error) {
      if (!signal.aborted) setText(this._status, /** @type {Error} */ (error).message);
      return;
    }
    for (const node of root.children ?? []) openAlone(this._tree, node);
    this._tree.setRoots(root.children ?? []);
    const words = Object.entries(counts).filter(([, many]) => many).map(([kind, many]) => `${many} ${kind}`);
    this._words = words.join(", ") || "nothing changed";
    this._update();
  }

  _update() {
    const chosen = [...this._tree.selected.values()];
    const present = chosen.filter(({ mark }) => mark !== "deleted");
    this._download.disabled = this._send.disabled = present.length === 0;
    const size = chosen.reduce((sum, node) => sum + (node.size ?? 0), 0);
    const said = chosen.length ? ` · ${chosen.length} selected${size ? `, ${sizeText(size)}` : ""}` : "";
    setText(this._status, `${this._words ?? ""}${said}`);
  }

  _paths() {
    return [...this._tree.selected.values()].filter(({ mark }) => mark !== "deleted").map(({ path }) => path);
  }

  async _save() {
    try {
      await downloadArchive(this._store, this._jobId, this._paths());
    } catch (error) {
      this._host.notify(/** @type {Error} */ (error).message, "error");
    }
  }

  async _sendSelected() {
    const say = (/** @type {string} */ text) => setText(this._status, text);
    await sendToData(this._store, this._host, this._jobId, this._paths(), { near: this.element, say });
  }
}

/**
 * @param {string} path
 * @param {string} name
 * @param {string} mark
 * @returns {TreeNode}
 */
function folder(path, name, mark) {
  return { path, name, folder: true, size: null, mark, children: [] };
}

/** Put a change at its place, with the folders on the way. @param {TreeNode} root @param {Change} change */
function plant(root, change) {
  const names = change.path.split("/").filter(Boolean);
  let at = root;
  names.forEach((name, index) => {
    const path = `/${names.slice(0, index + 1).join("/")}`;
    const children = (at.children ??= []);
    const last = index === names.length - 1;
    // Paths come sorted: the one before is nearly always the folder that is meant.
    let node = children.at(-1)?.path === path ? children.at(-1) : children.find((each) => each.path === path);
    if (!node) children.push((node = folder(path, name, "")));
    if (last) {
      node.mark = change.kind;
      node.size = change.size ?? null;
      node.folder = change.type === "dir" || (node.children?.length ?? 0) > 0;
    } else node.folder = true;
    at = node;
  });
}

/** Open folders that hold but one folder, down to where there is something to see. @param {Tree} tree @param {TreeNode} node */
function openAlone(tree, node) {
  if (!node.folder) return;
  tree.expand(node.path);
  if (node.children?.length === 1) openAlone(tree, node.children[0]);
}
