/** Queue of uploads: progress, cancelling, failures with retry, and the reading of dropped folders. */

/** @import { RestApi } from "./rest_api.js" */
/** @import { Host } from "./types.js" */
import { confirmDialog } from "./dialog.js";
import { button, h, iconButton, setText } from "./dom.js";
import { baseName } from "./downloads.js";
import { icon } from "./icons.js";
import { ApiError } from "./rest_api.js";

/**
 * @typedef {object} QueuedUpload
 * @property {string} path in the data root
 * @property {File | null} file null for a folder
 *
 * @typedef {QueuedUpload & { message: string }} FailedUpload
 */

/** Statuses that say that no answer came, or that what is behind the server does not: the next one would fail as well. */
const UNREACHABLE = new Set([0, 502, 503, 504]);
/** Bytes from which it pays to ask first whether the name is taken. */
const LARGE_FILE = 1_000_000;
const UNREADABLE = "It was changed or removed on this computer since it was chosen. Choose it again.";
/** Failures that are told one by one; a folder that is gone may fail a thousand. */
const MOST_SHOWN = 4;

/** Uploads one after the other: they share one line anyway, and a folder is there before what it holds. */
export class UploadQueue {
  /**
   * @param {RestApi} api
   * @param {Host} host
   * @param {{ onDone: () => void, moveFocus: () => void }} options `moveFocus`: away from a button that is gone
   */
  constructor(api, host, { onDone, moveFocus }) {
    this._api = api;
    this._host = host;
    this._onDone = onDone;
    this._moveFocusAway = moveFocus;
    /** @type {QueuedUpload[]} */
    this._queue = [];
    this._running = false;
    this._cancel = new AbortController();
    this._failed = new FailedUploads((uploads) => this._retry(uploads), () => this._keepFocus());
    this._queueText = h("span", { class: "nds-upload-name" });
    const cancelAll = button("Cancel all", () => this._cancelAll());
    this._queueLine = h("div", { class: "nds-upload nds-upload-rest" }, this._queueText, cancelAll);
    this._line = h("div", {});
    const props = { class: "nds-uploads", role: "group", tabIndex: -1, "aria-label": "Uploads" };
    this.element = h("div", props, this._failed.element, this._line);
  }

  /** Queue files, and upload until none is left. @param {QueuedUpload[]} files by their paths in the collection @param {string} collection */
  add(files, collection) {
    const parent = collection.replace(/\/+$/, "");
    this._queue.push(...files.map(({ path, file }) => ({ path: `${parent}/${path}`, file })));
    return this._run();
  }

  /** @param {QueuedUpload[]} uploads */
  _retry(uploads) {
    // Before the others, which may lie in a folder that is among these.
    this._queue.unshift(...uploads);
    this._run();
  }

  async _run() {
    this._showQueue();
    if (this._running) return;
    this._running = true;
    for (let goesOn = true; goesOn && this._queue.length; ) {
      const next = /** @type {QueuedUpload} */ (this._queue.shift());
      this._showQueue();
      goesOn = await this._upload(next);
    }
    this._running = false;
    if (this.element.contains(document.activeElement)) this._moveFocus();
    this._onDone();
  }

  _showQueue() {
    const many = this._queue.length;
    if (many) this.element.append(this._queueLine);
    else this._queueLine.remove();
    setText(this._queueText, `${many} more ${many === 1 ? "waits" : "wait"}`);
  }

  _cancelAll() {
    this._queue = [];
    this._cancel.abort();
    this._showQueue();
    this._keepFocus();
  }

  /** Whoever pressed a button that is gone goes on beside it; the next one means something else. */
  _keepFocus() {
    if (document.activeElement === null || document.activeElement === document.body) this._moveFocus();
  }

  _moveFocus() {
    if (this.element.querySelector("button")) this.element.focus();
    else this._moveFocusAway();
  }

  /** @param {QueuedUpload} upload @returns {Promise<boolean>} whether the next one has a chance */
  async _upload(upload) {
    const { path, file } = upload;
    this._cancel = new AbortController();
    let goesOn = true;
    try {
      if (file) await this._uploadWithProgress(path, file);
      else await this._api.makeCollection(path);
    } catch (error) {
      goesOn = await this._handleError(upload, /** @type {Error} */ (error));
    }
    const hadFocus = this._line.contains(document.activeElement);
    this._line.replaceChildren();
    if (hadFocus) this._keepFocus();
    return goesOn;
  }

  /** @param {QueuedUpload} upload @param {Error} error @returns {Promise<boolean>} whether the next one has a chance */
  async _handleError({ path, file }, error) {
    if (this._cancel.signal.aborted) {
      this._host.notify(`${path.slice(path.lastIndexOf("/") + 1)}: ${error.message}`, "error");
      return true;
    }
    const status = error instanceof ApiError ? error.status : null;
    const readable = !file || (await isReadable(file));
    const advice = status === 404 ? " Make that collection again, then retry." : "";
    this._failed.add({ path, file, message: readable ? error.message + advice : UNREADABLE });
    return !readable || status === null || !UNREACHABLE.has(status);
  }

  /** @param {string} path @param {File} file */
  async _uploadWithProgress(path, file) {
    const { signal } = this._cancel;
    const bar = h("progress", { class: "nds-progress", max: 1, value: 0, "aria-label": `Upload of ${file.name}` });
    const percent = h("span", { class: "nds-count" });
    const cancel = iconButton(icon("close"), `Cancel the upload of ${file.name}`, () => this._cancel.abort());
    const name = h("span", { class: "nds-upload-name", title: path }, file.name);
    this._line.replaceChildren(h("div", { class: "nds-upload" }, name, bar, percent, cancel));
    const onProgress = (/** @type {number} */ done) => {
      bar.value = done;
      setText(percent, `${Math.round(done * 100)} %`);
    };
    await this._uploadOrReplace(path, file, onProgress, signal);
  }

  /**
   * @param {string} path
   * @param {File} file
   * @param {(part: number) => void} onProgress
   * @param {AbortSignal} signal
   */
  async _uploadOrReplace(path, file, onProgress, signal) {
    const options = { replace: false, onProgress, signal };
    let taken = file.size > LARGE_FILE && (await this._api.dataEntry(path))?.kind === "data_object";
    try {
      if (!taken) await this._api.uploadFile(path, file, options);
    } catch (error) {
      taken = error instanceof ApiError && error.status === 412;
      if (!taken) throw error;
    }
    if (!taken) return;
    const text = `${path} is there already. What it holds now is gone then.`;
    const sure = await confirmDialog(this.element, "Replace it?", [text], { accept: "Replace", danger: true });
    if (sure) await this._api.uploadFile(path, file, { ...options, replace: true });
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

/** List of uploads that failed: what went wrong with each, and buttons to retry it or to give it up. */
class FailedUploads {
  /**
   * @param {(uploads: QueuedUpload[]) => void} onRetry
   * @param {() => void} onChange called after buttons vanished
   */
  constructor(onRetry, onChange) {
    this._onRetry = onRetry;
    this._onChange = onChange;
    /** @type {FailedUpload[]} */
    this._failed = [];
    this.element = h("div", { class: "nds-upload-failures", role: "alert" });
  }

  /** @param {FailedUpload} failed */
  add(failed) {
    this._failed.push(failed);
    this._render();
  }

  /** @param {FailedUpload[]} uploads */
  _remove(uploads) {
    this._failed = this._failed.filter((each) => !uploads.includes(each));
    this._render();
  }

  /** @param {FailedUpload[]} uploads */
  _retry(uploads) {
    this._remove(uploads);
    this._onRetry(uploads);
    this._onChange();
  }

  /** @param {FailedUpload[]} uploads */
  _dismiss(uploads) {
    this._remove(uploads);
    this._onChange();
  }

  _render() {
    const lines = this._failed.slice(0, MOST_SHOWN).map((each) => this._makeLine(each));
    if (this._failed.length > 1) lines.push(this._makeLineForAll());
    this.element.replaceChildren(...lines);
  }

  /** @param {FailedUpload} failed */
  _makeLine(failed) {
    const name = baseName(failed.path);
    return h(
      "div",
      { class: "nds-upload nds-upload-failed" },
      h("span", { title: failed.path }, `${name} was not uploaded. ${failed.message}`),
      button("Retry", () => this._retry([failed]), { "aria-label": `Retry the upload of ${name}` }),
      iconButton(icon("close"), `Give the upload of ${name} up`, () => this._dismiss([failed])),
    );
  }

  _makeLineForAll() {
    const all = this._failed;
    const text = h("span", {}, `${all.length} failed`);
    const retry = button("Retry all", () => this._retry(all));
    const dismiss = iconButton(icon("close"), "Give up all that failed", () => this._dismiss(all));
    return h("div", { class: "nds-upload nds-upload-failed" }, text, retry, dismiss);
  }
}

/**
 * Read what was dropped: files, and folders with all that they hold.
 *
 * @param {DataTransfer} data
 * @returns {Promise<QueuedUpload[]>} by their paths below the place where they are dropped, each folder before what it holds
 */
export async function droppedFiles(data) {
  // Asked for before anything is awaited: afterwards the browser has emptied it.
  const items = [...data.items]
    .filter(({ kind }) => kind === "file")
    .map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
  /** @type {QueuedUpload[]} */
  const files = [];
  for (const { entry, file } of items) {
    if (entry) await readEntry(entry, "", files);
    else if (file) files.push({ path: file.name, file });
  }
  return files;
}

/** @param {Iterable<File>} files @returns {QueuedUpload[]} */
export function chosenFiles(files) {
  return [...files].map((file) => ({ path: file.name, file }));
}

/** @param {FileSystemEntry} entry @param {string} parent @param {QueuedUpload[]} files that it is added to */
async function readEntry(entry, parent, files) {
  const path = `${parent}${entry.name}`;
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject));
    files.push({ path, file });
    return;
  }
  files.push({ path, file: null });
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  // A folder is read a hundred entries at a time, until none comes.
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!entries.length) return;
    for (const each of entries) await readEntry(each, `${path}/`, files);
  }
}
