/** Form for a new job: fields, checks before submission, and errors beside the field that they are about. */

/** @import { JobStore } from "./job_store.js" */
/** @import { RestApi } from "./rest_api.js" */
/** @import { Host, Submission } from "./types.js" */
import { pickPath } from "./data_browser.js";
import { button, h, setText } from "./dom.js";
import { parseAssignments, checkbox, Field, linesField, numberField, splitLines, splitShellWords, parseSweep, text, textField } from "./form_fields.js";
import { ApiError, entryAt, listPage } from "./rest_api.js";

let forms = 0;

/** @type {Partial<Submission>} */
const NOTHING = {};
/** Names by which the server may call a field. @type {Record<string, string>} */
const ALSO = { image_tag: "image_name" };
const NETWORKS = [["", "the server's default"], ["bridge", "bridge"], ["none", "none"]];

export class SubmitForm {
  /**
   * @param {JobStore} store
   * @param {Host} host
   * @param {Partial<Submission>} [given]
   * @param {{ done?: () => void }} [options]
   */
  constructor(store, host, given = NOTHING, { done } = {}) {
    this._store = store;
    this._host = host;
    this._done = done;
    this._key = newKey();
    /** What was sent by this key. */
    this._sent = "";
    this._running = false;
    this._images = h("datalist", { id: `nds-images-${(forms += 1)}` });
    this._file = h("input", { type: "file", class: "nds-input nds-file", onchange: () => this._takeFile() });
    this._more = makeAdvancedFields();
    this._fields = { ...makeFields(given, this._file, this._images), ...this._more.fields };
    this._run = button("Run", () => this._submit(), { class: "nds-button nds-accept" });
    this._status = h("p", { class: "nds-form-status", role: "alert" });
    this.element = this._makeForm();
    this._complete();
  }

  dispose() {}

  _makeForm() {
    const all = this._fields;
    const row = (/** @type {(keyof typeof all)[]} */ ...names) => h("div", { class: "nds-form-row" }, ...names.map((name) => all[name].element));
    const form = h(
      "form",
      { class: "nds-form", onsubmit: (/** @type {Event} */ event) => event.preventDefault() },
      row("script"),
      row("file"),
      row("image_name", "scriptname", "name"),
      row("cpus", "memory", "timeout", "retries", "network"),
      row("data", "env"),
      h("div", {}, button("Pick data …", () => this._pick())),
      row("output"),
      this._more.element,
      this._status,
      h("div", { class: "nds-form-buttons" }, this._run),
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

  async _complete() {
    try {
      const images = await this._store.api.images();
      const options = images.map(({ name, tag, present }) => h("option", { value: `${name}:${tag}` }, present ? "" : "is pulled first"));
      this._images.replaceChildren(...options);
    } catch {
      // Without the list an image is typed; submitting says what is wrong, if anything.
    }
  }

  async _takeFile() {
    const file = this._file.files?.[0];
    if (!file) return;
    try {
      this._fields.script.set(await readScript(file));
      this._fields.scriptname.set(file.name);
    } catch (error) {
      this._fields.file.say(/** @type {Error} */ (error).message);
    }
  }

  async _pick() {
    const path = await pickPath(this._store, this._host, this.element);
    const { data } = this._fields;
    if (path) data.set([data.control.value.trim(), path].filter(Boolean).join("\n"));
  }

  /** @returns {{ values: Record<string, any>, wrong: [string, string][] }} what is sent, and what can't be */
  _read() {
    /** @type {Record<string, any>} */
    const values = this._more.checks();
    /** @type {[string, string][]} */
    const wrong = [];
    for (const [name, field] of Object.entries(this._fields)) {
      field.say("");
      try {
        values[name] = field.read();
      } catch (error) {
        wrong.push([name, /** @type {Error} */ (error).message]);
      }
    }
    // A script that says itself what runs it needs no suffix.
    if (!values.script?.startsWith("#!") && !values.command) values.scriptname ??= "job.py";
    return { values, wrong };
  }

  async _submit() {
    if (this._running) return;
    this._busy(true);
    setText(this._status, "");
    try {
      const { values, wrong } = this._read();
      if (!wrong.length) wrong.push(...(await findPathProblems(this._store.api, values)));
      if (wrong.length) this._tell(wrong);
      else await this._send(values);
    } catch (error) {
      const { message } = /** @type {Error} */ (error);
      this._tell(fieldsNamedIn(message).map((name) => [name, message]), message);
    }
    this._busy(false);
  }

  /** Not disabled, by which the button would lose the focus. @param {boolean} running */
  _busy(running) {
    this._running = running;
    this._run.setAttribute("aria-disabled", String(running));
  }

  /** @param {Record<string, unknown>} values */
  async _send(values) {
    const text = JSON.stringify(values);
    // The same again is the same job, should the answer have been lost; something else is not.
    if (text !== this._sent) this._key = newKey();
    this._sent = text;
    const jobs = await this._store.api.submit(values, this._key);
    this._sent = "";
    for (const job of jobs) this._store.put(job);
    this._done?.();
    if (jobs.length === 1) this._host.openJob(jobs[0]);
    else this._host.notify(`${jobs.length} jobs submitted.`, "success", () => this._host.openJob(jobs[0]));
  }

  /** @param {[string, string][]} wrong fields and sentences @param {string} [otherwise] where it is about no field */
  _tell(wrong, otherwise = "") {
    /** @type {Set<Field>} */
    const told = new Set();
    for (const [name, sentence] of wrong) {
      const field = Object.entries(this._fields).find(([each]) => each === (ALSO[name] ?? name))?.[1];
      if (!field || told.has(field)) continue;
      field.say(sentence);
      told.add(field);
    }
    const inOrder = Object.values(this._fields).filter((field) => told.has(field));
    const labels = inOrder.map(({ label }) => label).join(", ");
    setText(this._status, labels ? `Nothing was submitted. To be changed: ${labels}.` : otherwise);
    inOrder[0]?.focus();
  }
}

/**
 * The fields that most jobs need, in their order, by the names that the server has for them.
 *
 * @param {Partial<Submission>} given
 * @param {HTMLInputElement} file
 * @param {HTMLDataListElement} images
 */
function makeFields(given, file, images) {
  const network = h("select", { class: "nds-input" }, ...NETWORKS.map(([value, label]) => h("option", { value }, label)));
  network.value = given.network ?? "";
  const image = textField("Image", given.image_name ?? "", "the server's default");
  image.control.setAttribute("list", images.id);
  image.element.append(images);
  return {
    script: scriptField(given.script ?? ""),
    file: new Field("or a file", file, () => undefined),
    image_name: image,
    scriptname: textField("File name of the script", given.scriptname ?? "", "job.py"),
    name: textField("Name", given.name ?? "", "a name to find it by"),
    cpus: numberField("CPUs", given.cpus, "cpus: $ is not an amount of CPUs; give at least 0.01."),
    memory: textField("Memory", given.memory ?? "", "2g"),
    timeout: numberField("Time limit in seconds", given.timeout, "timeout: give a positive number of seconds."),
    retries: numberField("Runs again if its node is lost", given.retries, "retries: give a number, or none.", { whole: true }),
    network: new Field("Network", network, () => network.value || undefined),
    data: linesField("Data, brought to /data", (given.data ?? []).join("\n"), "one path a line", (text) => nonEmpty(splitLines(text))),
    env: linesField("Variables", envText(given.env), "NAME=VALUE", (text) => parseAssignments(text, "env")),
    output: textField("Output", given.output ?? "", "a collection that the results go to"),
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

/** One for each job: a request that is sent twice runs once. */
function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {Record<string, string>} [env] */
function envText(env = {}) {
  return Object.entries(env)
    .map(([name, value]) => `${name}=${value}`)
    .join("\n");
}

/** @template T @param {T[]} list @returns {T[] | undefined} */
export const nonEmpty = (list) => (list.length ? list : undefined);

/** @param {string} name @param {string} label @param {string} placeholder */
function wordsField(name, label, placeholder) {
  const control = text("", placeholder);
  return new Field(label, control, () => nonEmpty(splitShellWords(control.value, name)));
}

export function makeAdvancedFields() {
  const fields = {
    command: wordsField("command", "Command", "instead of the interpreter: bash -x /nds/job.sh"),
    args: wordsField("args", "Arguments", "what the script is called with"),
    requirements: linesField("Requirements for pip", "", "packages for pip, one a line", (given) => nonEmpty(splitLines(given))),
    dockerfile: linesField("Dockerfile", "", "RUN pip install …", (given) => (given.trim() ? given : undefined)),
    labels: linesField("Labels", "", "NAME=VALUE", (given) => parseAssignments(given, "labels")),
    constraint: linesField("Node, on a Swarm", "", "node.labels.gpu==true", (given) => nonEmpty(splitLines(given))),
    gpus: numberField("GPUs", undefined, "gpus: give a number of GPUs, or none.", { whole: true }),
    sweep: linesField("Sweep: a job for each value", "", "lr=0.1,0.01 or seed=range(5), one a line", parseSweep),
    max_concurrent: numberField("Jobs of the sweep at once", undefined, "max_concurrent: give at least 1.", { whole: true }),
  };
  const overwrite = checkbox("Replace what the output's collection holds");
  const onFailure = checkbox("Deliver the results also of a script that fails");
  const row = (/** @type {(keyof typeof fields)[]} */ ...names) => h("div", { class: "nds-form-row" }, ...names.map((name) => fields[name].element));
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
  const checks = () => ({
    overwrite: overwrite.input.checked || undefined,
    output_on_failure: onFailure.input.checked || undefined,
  });
  return { element, fields, checks };
}

/** The bytes of a script are in the request; more is data. */
const LONGEST_SCRIPT = 2 ** 24;
const NAMES = /^([a-z_]+(?:, [a-z_]+)*)[^ ]*: /;

/**
 * The fields that a sentence of the server is about, by the names it begins with.
 *
 * @param {string} sentence
 * @returns {string[]}
 */
export function fieldsNamedIn(sentence) {
  return sentence.match(NAMES)?.[1].split(", ") ?? [];
}

/**
 * A script from a file.
 *
 * @param {File} file
 * @returns {Promise<string>}
 */
export async function readScript(file) {
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
 * Which paths of the data root are not as the job needs them. It would say so itself, but only when it has begun.
 *
 * @param {RestApi} api
 * @param {{ data?: string[], output?: string, overwrite?: boolean, sweep?: unknown }} fields
 * @returns {Promise<[string, string][]>} fields and sentences
 */
export async function findPathProblems(api, { data = [], output, overwrite, sweep }) {
  const wrong = await Promise.all([
    ...data.map((each) => wrongInput(api, pathOf(each))),
    // Each point of a sweep has a collection of its own, which is not there yet.
    output && !sweep ? wrongOutput(api, output, Boolean(overwrite)) : null,
  ]);
  return wrong.filter((each) => each !== null);
}

/** `path` of `path:/where`, cut at the last `:/` that begins no `://`. @param {string} text */
function pathOf(text) {
  for (let at = text.lastIndexOf(":/"); at >= 0; at = at ? text.lastIndexOf(":/", at - 1) : -1) {
    if (!text.startsWith("://", at)) return text.slice(0, at);
  }
  return text;
}

/** @param {RestApi} api @param {string} path @returns {Promise<[string, string] | null>} */
async function wrongInput(api, path) {
  const entry = await entryAt(api, path);
  if (entry) return null;
  if (entry === null) return ["data", `data: There is no ${path} in the data root.`];
  try {
    // What is above it may not be for this account to list.
    await listPage(api, { path, limit: 1 });
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return ["data", `data: ${error.message}`];
    // An object is no collection; anything else is for the server to say.
  }
  return null;
}

/** @param {RestApi} api @param {string} output @param {boolean} overwrite @returns {Promise<[string, string] | null>} */
async function wrongOutput(api, output, overwrite) {
  const entry = await entryAt(api, output);
  if (!entry) return null;
  const { kind, path } = entry;
  if (kind !== "collection") return ["output", `output: ${path} is a data object; results need a collection.`];
  const { rows } = await listPage(api, { path, limit: 1 });
  if (!rows.length || overwrite) return null;
  return ["output", `output: ${path} is not empty. Name another, or ask to overwrite.`];
}
