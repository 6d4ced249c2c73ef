/** The form that makes a job: what a magic can do, a click can. */

/** @import { Host, Submission } from "./types.js" */
/** @import { Store } from "./store.js" */
import { button, h, setText } from "./dom.js";
import { Field, linesField, numberField, textField } from "./fields.js";
import { pickData } from "./pick.js";
import { fieldsOf, scriptOf, wrongPaths } from "./submitcheck.js";
import { listed, makeMore } from "./submitmore.js";
import { assignments, splitLines } from "./words.js";

let forms = 0;

/** @type {Partial<Submission>} */
const NOTHING = {};
/** Names by which the server may call a field. @type {Record<string, string>} */
const ALSO = { image_tag: "image_name" };
const NETWORKS = [["", "the server's default"], ["bridge", "bridge"], ["none", "none"]];

export class SubmitForm {
  /**
   * @param {Store} store
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
    this._more = makeMore();
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
      this._fields.script.set(await scriptOf(file));
      this._fields.scriptname.set(file.name);
    } catch (error) {
      this._fields.file.say(/** @type {Error} */ (error).message);
    }
  }

  async _pick() {
    const path = await pickData(this._store, this._host, this.element);
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
      if (!wrong.length) wrong.push(...(await wrongPaths(this._store.api, values)));
      if (wrong.length) this._tell(wrong);
      else await this._send(values);
    } catch (error) {
      const { message } = /** @type {Error} */ (error);
      this._tell(fieldsOf(message).map((name) => [name, message]), message);
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
    data: linesField("Data, brought to /data", (given.data ?? []).join("\n"), "one path a line", (text) => listed(splitLines(text))),
    env: linesField("Variables", envText(given.env), "NAME=VALUE", (text) => assignments(text, "env")),
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
