/** Details of one entry of the data root: facts, actions, preview, replicas, and an editor of its metadata (AVUs). */

/** @import { JobStore } from "./job_store.js" */
/** @import { RestApi } from "./rest_api.js" */
/** @import { Avu, DataEntry, Host, Replica } from "./types.js" */
import { parentOf } from "./collection_listing.js";
import { confirmDialog, promptDialog } from "./dialog.js";
import { button, copyText, h, iconButton, setText } from "./dom.js";
import { saveBlob, saveUrl } from "./downloads.js";
import { renderPreview } from "./file_preview.js";
import { sizeText, timeText } from "./format.js";
import { icon } from "./icons.js";

/** Pane beside the table of the data browser. */
export class DataDetails {
  /**
   * @param {JobStore} store
   * @param {Host} host
   * @param {DataEntry} entry
   * @param {() => void} onChanged called when it was renamed or deleted
   */
  constructor(store, host, entry, onChanged) {
    this._api = store.api;
    this._host = host;
    this._entry = entry;
    this._onChanged = onChanged;
    this._isFile = entry.kind === "data_object";
    this._preview = h("div", { class: "nds-preview-place" });
    this.element = h(
      "section",
      { class: "nds-details", "aria-label": `Details of ${entry.name}` },
      h("h3", { class: "nds-details-name" }, entry.name),
      this._makeToolbar(),
      this._makeFacts(),
      new MetadataEditor(this._api, entry.path).element,
      this._isFile && this._makeReplicas(),
      this._preview,
    );
  }

  _makeToolbar() {
    const { path } = this._entry;
    const { insertInCell } = this._host;
    return h(
      "div",
      { class: "nds-toolbar", role: "toolbar", "aria-label": "Entry" },
      this._isFile && iconButton(icon("down"), "Download", () => this._download()),
      iconButton(icon("copy"), "Copy path", () => this._copyPath()),
      iconButton(icon("edit"), "Rename", () => this._rename()),
      iconButton(icon("trash"), "Delete", () => this._delete()),
      this._isFile && button("Preview", () => this._showPreview()),
      insertInCell && button("Insert path in cell", () => this._insert(insertInCell)),
      button("Use in a new job", () => this._host.openSubmit({ data: [path] })),
    );
  }

  _makeFacts() {
    const { checksum, modified, path, size } = this._entry;
    /** @type {[string, string][]} */
    const facts = [["Path", path], ["Modified", timeText(modified)]];
    if (this._isFile) {
      facts.push(["Size", `${sizeText(size)} (${size.toLocaleString("en")} bytes)`]);
      facts.push(["Checksum", checksum ?? "none registered"]);
    }
    const given = facts.filter(([, value]) => value);
    return h("dl", { class: "nds-facts" }, ...given.flatMap(([term, value]) => [h("dt", {}, term), h("dd", {}, value)]));
  }

  _makeReplicas() {
    const body = h("tbody", {});
    const table = h("table", { class: "nds-avu-table" }, body);
    const element = h("section", { "aria-label": "Replicas", hidden: true }, h("h3", {}, "Replicas"), table);
    this._api.replicas(this._entry.path).then(
      (replicas) => {
        element.hidden = replicas.length === 0;
        body.replaceChildren(...replicas.map((replica) => replicaRow(replica)));
      },
      () => {
        // A data root that has no replicas has none to show.
      },
    );
    return element;
  }

  async _download() {
    const { name, path } = this._entry;
    if (this._api.server.isDirect) saveUrl(this._api.dataUrl(path), name);
    else await this._notifyErrors(async () => saveBlob(await (await this._api.dataContent(path)).blob(), name));
  }

  async _copyPath() {
    await copyText(this._entry.path);
    this._host.notify(`Copied ${this._entry.path}.`, "info");
  }

  /** @param {(text: string) => boolean} insert */
  _insert(insert) {
    if (!insert(JSON.stringify(this._entry.path))) this._host.notify("Open a notebook and choose a cell first.", "info");
  }

  async _rename() {
    const { name, path } = this._entry;
    const wanted = await promptDialog(this.element, "Rename", `New name of ${name}`, name, "Rename");
    if (!wanted || wanted === name) return;
    const target = wanted.startsWith("/") ? wanted : `${parentOf(path).replace(/\/$/, "")}/${wanted}`;
    await this._notifyErrors(async () => {
      await this._api.moveData(path, target);
      this._onChanged();
    });
  }

  async _delete() {
    const { name, path } = this._entry;
    const what = this._isFile ? "It is" : "The collection and everything in it is";
    const options = { accept: "Delete", danger: true };
    if (!(await confirmDialog(this.element, `Delete ${name}?`, [`${what} gone for good: ${path}`], options))) return;
    await this._notifyErrors(async () => {
      await this._api.deleteData(this._entry);
      this._onChanged();
    });
  }

  async _showPreview() {
    const { name, path, size } = this._entry;
    this._preview.replaceChildren("loading …");
    await this._notifyErrors(async () => {
      this._preview.replaceChildren(await renderPreview(name, size, (init) => this._api.dataContent(path, init)));
    });
  }

  /** @param {() => Promise<void>} act */
  async _notifyErrors(act) {
    try {
      await act();
    } catch (error) {
      this._host.notify(/** @type {Error} */ (error).message, "error");
    }
  }
}

/** @param {Replica} replica */
function replicaRow({ number, resource, status, size }) {
  return h("tr", {}, ...[String(number), resource, status, sizeText(size)].map((text) => h("td", {}, text)));
}

/** Editor of the metadata of one path: attribute, value and unit of each AVU, to add and to remove. */
class MetadataEditor {
  /** @param {RestApi} api @param {string} path */
  constructor(api, path) {
    this._api = api;
    this._path = path;
    /** @type {Avu[]} */
    this._avus = [];
    this._body = h("tbody", {});
    this._status = h("p", { class: "nds-preview-note", role: "status" }, "loading …");
    this._inputs = ["Attribute", "Value", "Unit"].map((label) => this._makeInput(label));
    this._form = h("div", { class: "nds-avu-form" }, ...this._inputs, button("Add", () => this._add()));
    this.element = h(
      "section",
      { class: "nds-avus", "aria-label": "Metadata" },
      h("h3", {}, "Metadata"),
      h("table", { class: "nds-avu-table" }, this._body),
      this._status,
      this._form,
    );
    this._load();
  }

  async _load() {
    try {
      this._avus = await this._api.metadata(this._path);
      this._render();
    } catch (error) {
      setText(this._status, /** @type {Error} */ (error).message);
      this._form.hidden = true;
    }
  }

  /** @param {string} label */
  _makeInput(label) {
    const onkeydown = (/** @type {KeyboardEvent} */ event) => {
      event.stopPropagation();
      if (event.key === "Enter") this._add();
    };
    return h("input", { type: "text", class: "nds-input", placeholder: label, title: label, "aria-label": label, onkeydown });
  }

  _render() {
    setText(this._status, this._avus.length ? "" : "none");
    this._body.replaceChildren(...this._avus.map((avu) => this._makeRow(avu)));
  }

  /** @param {Avu} avu */
  _makeRow(avu) {
    const remove = () => this._save(this._avus.filter((each) => each !== avu));
    const texts = [avu.name, avu.value, avu.unit ?? ""].map((text) => h("td", {}, text));
    return h("tr", {}, ...texts, h("td", {}, iconButton(icon("close"), `Remove ${avu.name}`, remove)));
  }

  async _add() {
    const [name, value, unit] = this._inputs.map((input) => input.value.trim());
    if (!name || !value) {
      setText(this._status, "Attribute and value are needed.");
      return;
    }
    const saved = await this._save([...this._avus, { name, value, unit }]);
    if (saved) for (const input of this._inputs) input.value = "";
  }

  /** @param {Avu[]} avus @returns {Promise<boolean>} whether they are the path's metadata now */
  async _save(avus) {
    try {
      this._avus = (await this._api.setMetadata(this._path, avus)) ?? avus;
      this._render();
      return true;
    } catch (error) {
      setText(this._status, /** @type {Error} */ (error).message);
      return false;
    }
  }
}
