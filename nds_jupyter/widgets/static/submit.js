/** The form that makes a job: what a magic can do, a click can. */

/** @import { Host, Submission } from "./types.js" */
/** @import { Store } from "./store.js" */
import { button, h, setText } from "./dom.js";
import { field, lines, number, text } from "./fields.js";
import { pickData } from "./pick.js";
import { makeMore } from "./submitmore.js";
import { assignments, splitLines } from "./words.js";

let forms = 0;

/** @type {Partial<Submission>} */
const NOTHING = {};

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
    this._id = `nds-submit-${(forms += 1)}`;
    this._key = newKey();
    this._script = h("textarea", {
      class: "nds-input nds-code",
      rows: 10,
      spellcheck: false,
      value: given.script ?? "",
      placeholder: 'print("hello from a container")',
    });
    this._file = h("input", { type: "file", class: "nds-input nds-file", onchange: () => this._takeFile() });
    this._scriptname = text(given.scriptname ?? "", "job.py");
    this._image = text(given.image_name ?? "", "the server's default");
    this._image.setAttribute("list", `${this._id}-images`);
    this._images = h("datalist", { id: `${this._id}-images` });
    this._name = text(given.name ?? "", "a name to find it by");
    this._cpus = number(given.cpus, "0.1", "any");
    this._memory = text(given.memory ?? "", "2g");
    this._timeout = number(given.timeout, "1", "1");
    this._retries = number(given.retries, "0", "1");
    this._network = h(
      "select",
      { class: "nds-input" },
      ...[["", "the server's default"], ["bridge", "bridge"], ["none", "none"]].map(([value, label]) => h("option", { value }, label)),
    );
    this._network.value = given.network ?? "";
    this._env = lines(envText(given.env), "NAME=VALUE");
    this._data = lines((given.data ?? []).join("\n"), "one path a line");
    this._output = text(given.output ?? "", "a collection that the results go to");
    this._more = makeMore();
    this._run = button("Run", () => this._submit(), { class: "nds-button nds-accept" });
    this._status = h("p", { class: "nds-form-status", role: "alert" });
    this.element = this._makeForm();
    this._complete();
  }

  dispose() {}

  _makeForm() {
    const form = h(
      "form",
      { class: "nds-form", onsubmit: (/** @type {Event} */ event) => event.preventDefault() },
      field("Script", this._script),
      field("or a file", this._file),
      h("div", { class: "nds-form-row" }, field("Image", this._image, this._images), field("File name of the script", this._scriptname), field("Name", this._name)),
      h("div", { class: "nds-form-row" }, field("CPUs", this._cpus), field("Memory", this._memory), field("Time limit in seconds", this._timeout), field("Runs again if its node is lost", this._retries), field("Network", this._network)),
      h("div", { class: "nds-form-row" }, field("Data, brought to /data", this._data), field("Variables", this._env)),
      h("div", {}, button("Pick data …", () => this._pick())),
      field("Output", this._output),
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
    this._script.value = await file.text();
    this._scriptname.value = file.name;
  }

  async _pick() {
    const path = await pickData(this._store, this._host, this.element);
    if (path) this._data.value = [this._data.value.trim(), path].filter(Boolean).join("\n");
  }

  /** @returns {Record<string, unknown>} */
  _fields() {
    const script = this._script.value;
    const data = splitLines(this._data.value);
    const more = this._more.fields();
    // A script that says itself what runs it needs no suffix.
    const scriptname = script.startsWith("#!") || more.command ? undefined : "job.py";
    return {
      script,
      scriptname: this._scriptname.value.trim() || scriptname,
      image_name: this._image.value.trim() || undefined,
      name: this._name.value.trim() || undefined,
      cpus: this._cpus.valueAsNumber || undefined,
      memory: this._memory.value.trim() || undefined,
      timeout: this._timeout.valueAsNumber || undefined,
      retries: this._retries.valueAsNumber || undefined,
      network: this._network.value || undefined,
      env: assignments(this._env.value, "Variables"),
      data: data.length ? data : undefined,
      output: this._output.value.trim() || undefined,
      ...more,
    };
  }

  async _submit() {
    this._run.disabled = true;
    setText(this._status, "");
    try {
      const jobs = await this._store.api.submit(this._fields(), this._key);
      this._key = newKey();
      for (const job of jobs) this._store.put(job);
      this._done?.();
      if (jobs.length === 1) this._host.openJob(jobs[0]);
      else this._host.notify(`${jobs.length} jobs submitted.`, "success", () => this._host.openJob(jobs[0]));
    } catch (error) {
      setText(this._status, /** @type {Error} */ (error).message);
    }
    this._run.disabled = false;
  }
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
