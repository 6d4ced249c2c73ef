/** Queue of uploads: progress, cancelling, failures with retry, and the reading of dropped folders. */

/** @import { RestApi } from "./rest_api.js" */
/** @import { Host } from "./types.js" */
import { confirmDialog } from "./dialog.js";
import { button, h, iconButton, setText } from "./dom.js";
import { baseName } from "./downloads.js";
import { icon } from "./icons.js";
import { ApiError, entryAt, makeCollection, upload } from "./rest_api.js";

/** @typedef {{ path: string, file: File | null }} QueuedUpload its path in the data root */

/** Nobody answers, or what is behind the server does not: the next one would only fail as well. */
const PASSING = new Set([0, 502, 503, 504]);
/** Bytes from which it pays to ask first whether the name is taken. */
const LARGE = 1_000_000;
const GONE = "It was changed or removed on this computer since it was chosen. Choose it again.";

export class UploadQueue {
  /**
   * @param {RestApi} api
   * @param {Host} host
   * @param {{ done: () => void, leave: () => void }} on `leave` moves the focus on, where it was on a button that is gone
   */
  constructor(api, host, { done, leave }) {
    this._api = api;
    this._host = host;
    this._done = done;
    this._leave = leave;
    /** @type {QueuedUpload[]} */
    this._waiting = [];
    this._running = false;
    this._cancel = new AbortController();
    this._failed = new FailedUploads((again) => this._retry(again), () => this._keepFocus());
    this._many = h("span", { class: "nds-upload-name" });
    this._rest = h("div", { class: "nds-upload nds-upload-rest" }, this._many, button("Cancel all", () => this._cancelAll()));
    this._line = h("div", {});
    this.element = h("div", { class: "nds-uploads", role: "group", tabIndex: -1, "aria-label": "Uploads" }, this._failed.element, this._line);
  }

  /** @param {UploadFile[]} files @param {string} collection */
  start(files, collection) {
    const above = collection.replace(/\/+$/, "");
    this._waiting.push(...files.map(({ path, file }) => ({ path: `${above}/${path}`, file })));
    return this._run();
  }

  /** @param {QueuedUpload[]} again */
  _retry(again) {
    // Before the others, which may lie in a folder that is among these.
    this._waiting.unshift(...again);
    this._run();
  }

  async _run() {
    this._showRest();
    if (this._running) return;
    this._running = true;
    // One after the other: they share one line anyway, and a folder is there before what it holds.
    for (let goesOn = true; goesOn && this._waiting.length; ) {
      const next = /** @type {QueuedUpload} */ (this._waiting.shift());
      this._showRest();
      goesOn = await this._one(next);
    }
    this._running = false;
    if (this.element.contains(document.activeElement)) this._moveFocus();
    this._done();
  }

  _showRest() {
    const many = this._waiting.length;
    if (many) this.element.append(this._rest);
    else this._rest.remove();
    setText(this._many, `${many} more ${many === 1 ? "waits" : "wait"}`);
  }

  _cancelAll() {
    this._waiting = [];
    this._cancel.abort();
    this._showRest();
    this._keepFocus();
  }

  /** Whoever pressed a button that is gone goes on beside it; the next one means something else. */
  _keepFocus() {
    if (document.activeElement === null || document.activeElement === document.body) this._moveFocus();
  }

  _moveFocus() {
    if (this.element.querySelector("button")) this.element.focus();
    else this._leave();
  }

  /** @param {QueuedUpload} waiting @returns {Promise<boolean>} whether the next one has a chance */
  async _one(waiting) {
    const { path, file } = waiting;
    this._cancel = new AbortController();
    let goesOn = true;
    try {
      if (file) await this._shown(path, file);
      else await makeCollection(this._api, path);
    } catch (error) {
      goesOn = await this._tell(waiting, /** @type {Error} */ (error));
    }
    const held = this._line.contains(document.activeElement);
    this._line.replaceChildren();
    if (held) this._keepFocus();
    return goesOn;
  }

  /** @param {QueuedUpload} waiting @param {Error} error */
  async _tell({ path, file }, error) {
    if (this._cancel.signal.aborted) {
      this._host.notify(`${path.slice(path.lastIndexOf("/") + 1)}: ${error.message}`, "error");
      return true;
    }
    const status = error instanceof ApiError ? error.status : null;
    const readable = !file || (await isReadable(file));
    const advice = status === 404 ? " Make that collection again, then retry." : "";
    this._failed.add({ path, file, message: readable ? error.message + advice : GONE });
    return !readable || status === null || !PASSING.has(status);
  }

  /** @param {string} path @param {File} file */
  async _shown(path, file) {
    const { signal } = this._cancel;
    const bar = h("progress", { class: "nds-progress", max: 1, value: 0, "aria-label": `Upload of ${file.name}` });
    const part = h("span", { class: "nds-count" });
    const cancel = iconButton(icon("close"), `Cancel the upload of ${file.name}`, () => this._cancel.abort());
    const name = h("span", { class: "nds-upload-name", title: path }, file.name);
    this._line.replaceChildren(h("div", { class: "nds-upload" }, name, bar, part, cancel));
    const onProgress = (/** @type {number} */ done) => {
      bar.value = done;
      setText(part, `${Math.round(done * 100)} %`);
    };
    await this._sent(path, file, onProgress, signal);
  }

  /**
   * @param {string} path
   * @param {File} file
   * @param {(part: number) => void} onProgress
   * @param {AbortSignal} signal
   */
  async _sent(path, file, onProgress, signal) {
    const options = { replace: false, onProgress, signal };
    let taken = file.size > LARGE && (await entryAt(this._api, path))?.kind === "data_object";
    try {
      if (!taken) await upload(this._api, path, file, options);
    } catch (error) {
      taken = error instanceof ApiError && error.status === 412;
      if (!taken) throw error;
    }
    if (!taken) return;
    const text = `${path} is there already. What it holds now is gone then.`;
    const sure = await confirmDialog(this.element, "Replace it?", [text], { accept: "Replace", danger: true });
    if (sure) await upload(this._api, path, file, { ...options, replace: true });
  }
}

/** Whether the browser can still read a file: not one that was changed since it was chosen. @param {File} file */
async function isReadable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

/** @typedef {QueuedUpload & { message: string }} FailedUpload */

/** As many are told one by one; a folder that is gone may fail a thousand. */
const SHOWN = 4;

export class FailedUploads {
  /**
   * @param {(uploads: QueuedUpload[]) => void} again
   * @param {() => void} changed
   */
  constructor(again, changed) {
    this._again = again;
    this._changed = changed;
    /** @type {FailedUpload[]} */
    this._failed = [];
    this.element = h("div", { class: "nds-upload-failures", role: "alert" });
  }

  /** @param {FailedUpload} failed */
  add(failed) {
    this._failed.push(failed);
    this._show();
  }

  /** @param {FailedUpload[]} which @returns {FailedUpload[]} the same, which are told no more */
  _take(which) {
    this._failed = this._failed.filter((each) => !which.includes(each));
    this._show();
    return which;
  }

  /** @param {FailedUpload[]} which */
  _retry(which) {
    this._again(this._take(which));
    this._changed();
  }

  /** @param {FailedUpload[]} which */
  _dismiss(which) {
    this._take(which);
    this._changed();
  }

  _show() {
    const lines = this._failed.slice(0, SHOWN).map((each) => this._line(each));
    if (this._failed.length > 1) lines.push(this._allLine());
    this.element.replaceChildren(...lines);
  }

  /** @param {FailedUpload} failed */
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

/** @typedef {{ path: string, file: File | null }} UploadFile its path below the place where it is dropped; a folder has no file */

/**
 * @param {DataTransfer} data
 * @returns {Promise<UploadFile[]>} each folder before what it holds
 */
export async function droppedFiles(data) {
  // Asked for before anything is awaited: afterwards the browser has emptied it.
  const given = [...data.items]
    .filter(({ kind }) => kind === "file")
    .map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
  /** @type {UploadFile[]} */
  const found = [];
  for (const { entry, file } of given) {
    if (entry) await walk(entry, "", found);
    else if (file) found.push({ path: file.name, file });
  }
  return found;
}

/** @param {Iterable<File>} files @returns {UploadFile[]} */
export function chosenFiles(files) {
  return [...files].map((file) => ({ path: file.name, file }));
}

/** @param {FileSystemEntry} entry @param {string} above @param {UploadFile[]} found */
async function walk(entry, above, found) {
  const path = `${above}${entry.name}`;
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject));
    found.push({ path, file });
    return;
  }
  found.push({ path, file: null });
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  // A folder is read a hundred entries at a time, until none comes.
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    for (const each of some) await walk(each, `${path}/`, found);
  }
}
