/** Status bars of the panels: job counts with the engine's load, and a notice of a troubled connection. */

/** @import { JobStore } from "./job_store.js" */
/** @import { Job } from "./types.js" */
import { h, setText } from "./dom.js";
import { sizeText, stateText } from "./format.js";

/** @param {string} label @param {string} description */
function makeMeter(label, description) {
  const value = h("span", { class: "nds-strip-value" });
  const bar = h("meter", { class: "nds-meter", min: 0, max: 1, "aria-label": description });
  return { element: h("span", { class: "nds-strip-item", title: description }, `${label} `, value, bar), value, bar };
}

/** Make the bar with the counts of jobs, and meters of the CPU and memory that they use. */
export function makeLoadBar() {
  const running = h("b", {}, "0");
  const queued = h("b", {}, "0");
  const cpu = makeMeter("CPU", "CPU that jobs use of the engine's");
  const memory = makeMeter("Memory", "Memory that jobs use of the engine's");
  const element = h(
    "div",
    { class: "nds-strip", role: "status", "aria-label": "All jobs" },
    h("span", { class: "nds-strip-item" }, running, " running"),
    h("span", { class: "nds-strip-item" }, queued, " queued"),
    cpu.element,
    memory.element,
  );

  /** @param {JobStore} store */
  function update(store) {
    const counts = store.load ?? countJobs(store.jobs.values());
    setText(running, String(counts.running));
    setText(queued, String(counts.queued));
    const { cpus, cpu_percent, memory: all, memory_usage } = store.load ?? {};
    setMeter(cpu, cpus ? (cpu_percent ?? 0) / 100 / cpus : null, (part) => `${Math.round(part * 100)} %`);
    setMeter(memory, all ? (memory_usage ?? 0) / all : null, () => `${sizeText(memory_usage)} of ${sizeText(all)}`);
  }
  return { element, update };
}

/**
 * @param {ReturnType<typeof makeMeter>} meter
 * @param {number | null} part null where it is not known
 * @param {(part: number) => string} text
 */
function setMeter({ element, value, bar }, part, text) {
  element.classList.toggle("nds-unknown", part === null);
  setText(value, part === null ? "–" : text(part));
  bar.value = part === null ? 0 : Math.min(1, part);
}

/** @param {Iterable<Job>} jobs */
function countJobs(jobs) {
  let running = 0;
  let queued = 0;
  for (const job of jobs) {
    if (job.phase === "finished") continue;
    if (stateText(job) === "queued") queued += 1;
    else running += 1;
  }
  return { running, queued };
}

/** Make the notice that is shown while the page's connection to the server is not as it should be. */
export function makeConnectionNotice() {
  const element = h("div", { class: "nds-note", role: "alert", hidden: true });

  /** @param {JobStore} store */
  function update(store) {
    const text = connectionText(store);
    element.hidden = !text;
    setText(element, text);
  }
  return { element, update };
}

/** @param {JobStore} store @returns {string} empty where all is well */
function connectionText(store) {
  const { connection, problem, api } = store;
  if (!api.server.isDirect) {
    return "This page can't reach the Jupyter server itself: what it shows comes through the kernel, and waits while a cell runs.";
  }
  if (connection === "lost") return "The connection to the server is lost; it is tried again.";
  if (problem) return problem;
  if (connection === "polling") return "The server's event stream can't be reached; jobs are asked for every two seconds.";
  return "";
}
