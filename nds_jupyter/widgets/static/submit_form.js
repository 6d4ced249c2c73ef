/** Form for a new job: fields, checks before submission, and errors beside the field that they are about. */

/** @import { JobStore } from "./job_store.js" */
/** @import { RestApi } from "./rest_api.js" */
/** @import { Host, Submission } from "./types.js" */
import { pickPath } from "./data_browser.js";
import { button, h, setText } from "./dom.js";
import { Field, linesField, makeCheckbox, nonEmpty, numberField, parseAssignments, parseSweep, splitLines, textField, wordsField } from "./form_fields.js";
import { ApiError } from "./rest_api.js";

/** Bytes. A script is in the request; more is data. */
const LONGEST_SCRIPT = 2 ** 24;
/** Names of fields that a sentence of the server begins with. */
const FIELD_NAMES = /^([a-z_]+(?:, [a-z_]+)*)[^ ]*: /;
/** Other names that the server has for a field. @type {Record<string, string>} */
const SYNONYMS = { image_tag: "image_name" };
const NETWORKS = [["", "the server's default"], ["bridge", "bridge"], ["none", "none"]];

let lastFormId = 0;

/** @typedef {[name: string, sentence: string]} FieldError */

/** Form for a new job; what is not filled in is left to the server. */
export class SubmitForm {
  /**
   * @param {JobStore} store
   * @param {Host} host
   * @param {Partial<Submission>} [prefill]
   * @param {{ done?: () => void }} [options]
   */
  constructor(store, host, prefill = {}, { done } = {}) {
    this._store = store;
    this._host = host;
    this._done = done;
    this._key = newIdempotencyKey();
    /** What was sent with this key. */
    this._sent = "";
    this._submitting = false;
    this._imageList = h("datalist", { id: `nds-images-${(lastFormId += 1)}` });
    this._file = h("input", { type: "file", class: "nds-input nds-file", onchange: () => this._readFile() });
    this._advanced = makeAdvancedFields();
    this._fields = { ...makeBasicFields(prefill, this._file, this._imageList), ...this._advanced.fields };
    this._submitButton = button("Run", () => this._submit(), { class: "nds-button nds-accept" });
    this._status = h("p", { class: "nds-form-status", role: "alert" });
    this.element = this._makeForm();
    this._listImages();
  }

  dispose() {}

  _makeForm() {
    const row = makeRowsOf(this._fields);
    const form = h(
      "form",
      { class: "nds-form", onsubmit: (/** @type {Event} */ event) => event.preventDefault() },
      row("script"),
      row("file"),
      row("image_name", "scriptname", "name"),
      row("cpus", "memory", "timeout", "retries", "network"),
      row("data", "env"),
      h("div", {}, button("Pick data …", () => this._pickData())),
      row("output"),
      this._advanced.element,
      this._status,
      h("div", { class: "nds-form-buttons" }, this._submitButton),
    );
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        this._submit();
      }
      event.stopPropagation();
    });
    return h("section", { class: "nds nds-submit", "aria-label": "New job" }, form);
  }

  async _listImages() {
    try {
      const images = await this._store.api.images();
      const options = images.map(({ name, tag, present }) => h("option", { value: `${name}:${tag}` }, present ? "" : "is pulled first"));
      this._imageList.replaceChildren(...options);
    } catch {
      // Without the list an image is typed; submitting says what is wrong, if anything.
    }
  }

  async _readFile() {
    const file = this._file.files?.[0];
    if (!file) return;
    try {
      this._fields.script.setValue(await readScript(file));
      this._fields.scriptname.setValue(file.name);
    } catch (error) {
      this._fields.file.setError(/** @type {Error} */ (error).message);
    }
  }

  async _pickData() {
    const path = await pickPath(this._store, this._host, this.element);
    const { data } = this._fields;
    if (path) data.setValue([data.control.value.trim(), path].filter(Boolean).join("\n"));
  }

  /** @returns {{ values: Record<string, any>, errors: FieldError[] }} what is sent, and what can't be */
  _readFields() {
    /** @type {Record<string, any>} */
    const values = this._advanced.readCheckboxes();
    /** @type {FieldError[]} */
    const errors = [];
    for (const [name, field] of Object.entries(this._fields)) {
      field.setError("");
      try {
        values[name] = field.read();
      } catch (error) {
        errors.push([name, /** @type {Error} */ (error).message]);
      }
    }
    // A script that says itself what runs it needs no suffix.
    if (!values.script?.startsWith("#!") && !values.command) values.scriptname ??= "job.py";
    return { values, errors };
  }

  async _submit() {
    if (this._submitting) return;
    this._setSubmitting(true);
    setText(this._status, "");
    try {
      const { values, errors } = this._readFields();
      if (!errors.length) errors.push(...(await findPathErrors(this._store.api, values)));
      if (errors.length) this._showErrors(errors);
      else await this._send(values);
    } catch (error) {
      const { message } = /** @type {Error} */ (error);
      this._showErrors(fieldsNamedIn(message).map((name) => [name, message]), message);
    }
    this._setSubmitting(false);
  }

  /** Not disabled, by which the button would lose the focus. @param {boolean} submitting */
  _setSubmitting(submitting) {
    this._submitting = submitting;
    this._submitButton.setAttribute("aria-disabled", String(submitting));
  }

  /** @param {Record<string, unknown>} values */
  async _send(values) {
    const text = JSON.stringify(values);
    // The same again is the same job, should the answer have been lost; something else is not.
    if (text !== this._sent) this._key = newIdempotencyKey();
    this._sent = text;
    const jobs = await this._store.api.submit(values, this._key);
    this._sent = "";
    for (const job of jobs) this._store.put(job);
    this._done?.();
    if (jobs.length === 1) this._host.openJob(jobs[0]);
    else this._host.notify(`${jobs.length} jobs submitted.`, "success", () => this._host.openJob(jobs[0]));
  }

  /** @param {FieldError[]} errors @param {string} [otherwise] what to say where they are about no field */
  _showErrors(errors, otherwise = "") {
    /** @type {Set<Field>} */
    const shown = new Set();
    for (const [name, sentence] of errors) {
      const field = Object.entries(this._fields).find(([each]) => each === (SYNONYMS[name] ?? name))?.[1];
      if (!field || shown.has(field)) continue;
      field.setError(sentence);
      shown.add(field);
    }
    const inOrder = Object.values(this._fields).filter((field) => shown.has(field));
    const labels = inOrder.map(({ label }) => label).join(", ");
    setText(this._status, labels ? `Nothing was submitted. To be changed: ${labels}.` : otherwise);
    inOrder[0]?.focus();
  }
}

/**
 * Make the fields that most jobs need, in their order, by the names that the server has for them.
 *
 * @param {Partial<Submission>} prefill
 * @param {HTMLInputElement} file
 * @param {HTMLDataListElement} images
 */
function makeBasicFields(prefill, file, images) {
  const network = h("select", { class: "nds-input" }, ...NETWORKS.map(([value, label]) => h("option", { value }, label)));
  network.value = prefill.network ?? "";
  const image = textField("Image", prefill.image_name ?? "", "the server's default");
  image.control.setAttribute("list", images.id);
  image.element.append(images);
  const data = (prefill.data ?? []).join("\n");
  return {
    script: scriptField(prefill.script ?? ""),
    file: new Field("or a file", file, () => undefined),
    image_name: image,
    scriptname: textField("File name of the script", prefill.scriptname ?? "", "job.py"),
    name: textField("Name", prefill.name ?? "", "a name to find it by"),
    cpus: numberField("CPUs", prefill.cpus, "cpus: $ is not an amount of CPUs; give at least 0.01."),
    memory: textField("Memory", prefill.memory ?? "", "2g"),
    timeout: numberField("Time limit in seconds", prefill.timeout, "timeout: give a positive number of seconds."),
    retries: numberField("Runs again if its node is lost", prefill.retries, "retries: give a number, or none.", { whole: true }),
    network: new Field("Network", network, () => network.value || undefined),
    data: linesField("Data, brought to /data", data, "one path a line", (text) => nonEmpty(splitLines(text))),
    env: linesField("Variables", envText(prefill.env), "NAME=VALUE", (text) => parseAssignments(text, "env")),
    output: textField("Output", prefill.output ?? "", "a collection that the results go to"),
  };
}

/** @param {string} value */
function scriptField(value) {
  const placeholder = 'print("hello from a container")';
  const control = h("textarea", { class: "nds-input nds-code", rows: 10, spellcheck: false, value, placeholder });
  return new Field("Script", control, () => {
    if (!control.value.trim()) throw new Error("script: it is empty.");
    return control.value;
  });
}

/** Make the part that few jobs need: what is run instead, what is built, where, and how often. */
function makeAdvancedFields() {
  const lines = (/** @type {string} */ text) => nonEmpty(splitLines(text));
  const fields = {
    command: wordsField("command", "Command", "instead of the interpreter: bash -x /nds/job.sh"),
    args: wordsField("args", "Arguments", "what the script is called with"),
    requirements: linesField("Requirements for pip", "", "packages for pip, one a line", lines),
    dockerfile: linesField("Dockerfile", "", "RUN pip install …", (text) => (text.trim() ? text : undefined)),
    labels: linesField("Labels", "", "NAME=VALUE", (text) => parseAssignments(text, "labels")),
    constraint: linesField("Node, on a Swarm", "", "node.labels.gpu==true", lines),
    gpus: numberField("GPUs", undefined, "gpus: give a number of GPUs, or none.", { whole: true }),
    sweep: linesField("Sweep: a job for each value", "", "lr=0.1,0.01 or seed=range(5), one a line", parseSweep),
    max_concurrent: numberField("Jobs of the sweep at once", undefined, "max_concurrent: give at least 1.", { whole: true }),
  };
  const overwrite = makeCheckbox("Replace what the output's collection holds");
  const onFailure = makeCheckbox("Deliver the results also of a script that fails");
  const row = makeRowsOf(fields);
  const element = h(
    "details",
    { class: "nds-more" },
    h("summary", {}, "More: command, build, placement, sweep"),
    row("command", "args"),
    row("requirements", "dockerfile"),
    row("labels", "constraint"),
    row("sweep"),
    row("gpus", "max_concurrent"),
    overwrite.element,
    onFailure.element,
  );
  const readCheckboxes = () => ({
    overwrite: overwrite.input.checked || undefined,
    output_on_failure: onFailure.input.checked || undefined,
  });
  return { element, fields, readCheckboxes };
}

/**
 * @template {string} Name
 * @param {Record<Name, Field>} fields
 * @returns {(...names: Name[]) => HTMLElement} makes a row of some of them
 */
function makeRowsOf(fields) {
  return (...names) => h("div", { class: "nds-form-row" }, ...names.map((name) => fields[name].element));
}

/** Make a key for one job: a request that is sent twice with it runs once. */
function newIdempotencyKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {Record<string, string>} [env] */
function envText(env = {}) {
  return Object.entries(env)
    .map(([name, value]) => `${name}=${value}`)
    .join("\n");
}

/**
 * Find the fields that a sentence of the server is about, by the names it begins with.
 *
 * @param {string} sentence
 * @returns {string[]}
 */
function fieldsNamedIn(sentence) {
  return sentence.match(FIELD_NAMES)?.[1].split(", ") ?? [];
}

/**
 * Read a script from a file.
 *
 * @param {File} file
 * @returns {Promise<string>}
 */
async function readScript(file) {
  if (file.size > LONGEST_SCRIPT) throw new Error(`file: ${file.name} is too large for a script. Send large content as data.`);
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
    if (!text.includes("\0")) return text;
  } catch (error) {
    if (!(error instanceof TypeError)) throw new Error(`file: ${file.name} can't be read. Choose it again.`);
  }
  throw new Error(`file: ${file.name} is not UTF-8 text. A program that is none belongs into the image or the data.`);
}

/**
 * Find paths of the data root that are not as the job needs them. It would say so itself, but only when it has begun.
 *
 * @param {RestApi} api
 * @param {{ data?: string[], output?: string, overwrite?: boolean, sweep?: unknown }} values
 * @returns {Promise<FieldError[]>}
 */
async function findPathErrors(api, { data = [], output, overwrite, sweep }) {
  const errors = await Promise.all([
    ...data.map((each) => inputError(api, inputPath(each))),
    // Each point of a sweep has a collection of its own, which is not there yet.
    output && !sweep ? outputError(api, output, Boolean(overwrite)) : null,
  ]);
  return errors.filter((each) => each !== null);
}

/** `path` of `path:/where`, cut at the last `:/` that begins no `://`. @param {string} text */
function inputPath(text) {
  for (let at = text.lastIndexOf(":/"); at >= 0; at = at ? text.lastIndexOf(":/", at - 1) : -1) {
    if (!text.startsWith("://", at)) return text.slice(0, at);
  }
  return text;
}

/** @param {RestApi} api @param {string} path @returns {Promise<FieldError | null>} */
async function inputError(api, path) {
  const entry = await api.dataEntry(path);
  if (entry) return null;
  if (entry === null) return ["data", `data: There is no ${path} in the data root.`];
  try {
    // What is above it may not be for this account to list.
    await api.dataPage({ path, limit: 1 });
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return ["data", `data: ${error.message}`];
    // An object is no collection; anything else is for the server to say.
  }
  return null;
}

/** @param {RestApi} api @param {string} output @param {boolean} overwrite @returns {Promise<FieldError | null>} */
async function outputError(api, output, overwrite) {
  const entry = await api.dataEntry(output);
  if (!entry) return null;
  const { kind, path } = entry;
  if (kind !== "collection") return ["output", `output: ${path} is a data object; results need a collection.`];
  const { rows } = await api.dataPage({ path, limit: 1 });
  if (!rows.length || overwrite) return null;
  return ["output", `output: ${path} is not empty. Name another, or ask to overwrite.`];
}
