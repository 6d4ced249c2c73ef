/** Details of one entry of the data root: facts, actions, preview, replicas, and an editor of its metadata (AVUs). */

/** @import { JobStore } from "./job_store.js" */
/** @import { RestApi } from "./rest_api.js" */
/** @import { Avu, DataEntry, Host } from "./types.js" */
import { parentOf } from "./collection_listing.js";
import { confirmDialog, promptDialog } from "./dialog.js";
import { button, copyText, h, iconButton, saveBlob, saveUrl, setText } from "./dom.js";
import { renderPreview } from "./file_preview.js";
import { sizeText, timeText } from "./format.js";
import { icon } from "./icons.js";
import { encodePath, metadata, move, remove, replicas, setMetadata } from "./rest_api.js";

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
    this._file = entry.kind === "data_object";
    this._pane = h("div", { class: "nds-preview-place" });
    this.element = h(
      "section",
      { class: "nds-details", "aria-label": `Details of ${entry.name}` },
      h("h3", { class: "nds-details-name" }, entry.name),
      this._makeActions(),
      this._makeFacts(),
      makeMetadataEditor(this._api, entry.path),
      this._file && this._makeReplicas(),
      this._pane,
    );
  }

  _makeActions() {
    const { path } = this._entry;
    const { insertInCell } = this._host;
    return h(
      "div",
      { class: "nds-toolbar", role: "toolbar", "aria-label": "Entry" },
      this._file && iconButton(icon("down"), "Download", () => this._download()),
      iconButton(icon("copy"), "Copy path", () => this._copy()),
      iconButton(icon("edit"), "Rename", () => this._rename()),
      iconButton(icon("trash"), "Delete", () => this._remove()),
      this._file && button("Preview", () => this._preview()),
      insertInCell && button("Insert path in cell", () => this._insert(insertInCell)),
      button("Use in a new job", () => this._host.openSubmit({ data: [path] })),
    );
  }

  _makeFacts() {
    const { checksum, modified, path, size } = this._entry;
    /** @type {[string, string][]} */
    const rows = [["Path", path], ["Modified", timeText(modified)]];
    if (this._file) rows.push(["Size", `${sizeText(size)} (${size.toLocaleString("en")} bytes)`], ["Checksum", checksum ?? "none registered"]);
    return h("dl", { class: "nds-facts" }, ...rows.filter(([, value]) => value).flatMap(([term, value]) => [h("dt", {}, term), h("dd", {}, value)]));
  }

  _makeReplicas() {
    const body = h("tbody", {});
    const element = h("section", { "aria-label": "Replicas", hidden: true }, h("h3", {}, "Replicas"), h("table", { class: "nds-avu-table" }, body));
    replicas(this._api, this._entry.path).then(
      (found) => {
        element.hidden = found.length === 0;
        body.replaceChildren(
          ...found.map(({ number, resource, status, size }) =>
            h("tr", {}, ...[String(number), resource, status, sizeText(size)].map((text) => h("td", {}, text))),
          ),
        );
      },
      () => {
        // A data root that has no replicas has none to show.
      },
    );
    return element;
  }

  async _download() {
    const { name, path } = this._entry;
    const route = `/data${encodePath(path)}`;
    if (this._api.server.links) saveUrl(this._api.url(route), name);
    else await this._told(async () => saveBlob(await (await this._api.request("GET", route)).blob(), name));
  }

  async _copy() {
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
    await this._told(async () => {
      await move(this._api, path, target);
      this._onChanged();
    });
  }

  async _remove() {
    const { path } = this._entry;
    const what = this._file ? "It is" : "The collection and everything in it is";
    const sure = await confirmDialog(this.element, `Delete ${this._entry.name}?`, [`${what} gone for good: ${path}`], { accept: "Delete", danger: true });
    if (!sure) return;
    await this._told(async () => {
      await remove(this._api, this._entry);
      this._onChanged();
    });
  }

  async _preview() {
    const { name, path, size } = this._entry;
    this._pane.replaceChildren("loading …");
    await this._told(async () => {
      this._pane.replaceChildren(await renderPreview(name, size, (init) => this._api.request("GET", `/data${encodePath(path)}`, {}, init)));
    });
  }

  /** @param {() => Promise<void>} act */
  async _told(act) {
    try {
      await act();
    } catch (error) {
      this._host.notify(/** @type {Error} */ (error).message, "error");
    }
  }
}

/** @param {RestApi} api @param {string} path */
export function makeMetadataEditor(api, path) {
  /** @type {Avu[]} */
  let avus = [];
  const body = h("tbody", {});
  const status = h("p", { class: "nds-preview-note", role: "status" }, "loading …");
  const inputs = ["Attribute", "Value", "Unit"].map((label) =>
    h("input", { type: "text", class: "nds-input", placeholder: label, title: label, "aria-label": label, onkeydown: key }),
  );
  const form = h("div", { class: "nds-avu-form" }, ...inputs, button("Add", add));
  const element = h(
    "section",
    { class: "nds-avus", "aria-label": "Metadata" },
    h("h3", {}, "Metadata"),
    h("table", { class: "nds-avu-table" }, body),
    status,
    form,
  );

  /** @param {KeyboardEvent} event */
  function key(event) {
    event.stopPropagation();
    if (event.key === "Enter") add();
  }

  function draw() {
    setText(status, avus.length ? "" : "none");
    body.replaceChildren(
      ...avus.map((avu) =>
        h(
          "tr",
          {},
          ...[avu.name, avu.value, avu.unit ?? ""].map((text) => h("td", {}, text)),
          h("td", {}, iconButton(icon("close"), `Remove ${avu.name}`, () => put(avus.filter((each) => each !== avu)))),
        ),
      ),
    );
  }

  function add() {
    const [name, value, unit] = inputs.map((input) => input.value.trim());
    if (!name || !value) {
      setText(status, "Attribute and value are needed.");
      return;
    }
    put([...avus, { name, value, unit }]).then((done) => {
      if (done) for (const input of inputs) input.value = "";
    });
  }

  /** @param {Avu[]} wanted */
  async function put(wanted) {
    try {
      avus = (await setMetadata(api, path, wanted)) ?? wanted;
      draw();
      return true;
    } catch (error) {
      setText(status, /** @type {Error} */ (error).message);
      return false;
    }
  }

  metadata(api, path).then(
    (found) => {
      avus = found;
      draw();
    },
    (error) => {
      setText(status, error.message);
      form.hidden = true;
    },
  );
  return element;
}
