/** Status bars of the panels: job counts with the engine's load, and a notice of a troubled connection. */

/** @import { JobStore } from "./job_store.js" */
/** @import { Job } from "./types.js" */
import { h, setText } from "./dom.js";
import { sizeText, stateText } from "./format.js";

/** @param {string} label @param {string} describe */
function gauge(label, describe) {
  const value = h("span", { class: "nds-strip-value" });
  const bar = h("meter", { class: "nds-meter", min: 0, max: 1, "aria-label": describe });
  return { element: h("span", { class: "nds-strip-item", title: describe }, `${label} `, value, bar), value, bar };
}

export function makeLoadBar() {
  const running = h("b", {}, "0");
  const queued = h("b", {}, "0");
  const cpu = gauge("CPU", "CPU that jobs use of the engine's");
  const memory = gauge("Memory", "Memory that jobs use of the engine's");
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
    const counts = store.load ?? counted(store.jobs.values());
    setText(running, String(counts.running));
    setText(queued, String(counts.queued));
    const { cpus, cpu_percent, memory: all, memory_usage } = store.load ?? {};
    show(cpu, cpus ? (cpu_percent ?? 0) / 100 / cpus : null, (part) => `${Math.round(part * 100)} %`);
    show(memory, all ? (memory_usage ?? 0) / all : null, () => `${sizeText(memory_usage)} of ${sizeText(all)}`);
  }
  return { element, update };
}

/**
 * @param {ReturnType<typeof gauge>} gauge
 * @param {number | null} part
 * @param {(part: number) => string} text
 */
function show({ element, value, bar }, part, text) {
  element.classList.toggle("nds-unknown", part === null);
  setText(value, part === null ? "–" : text(part));
  bar.value = part === null ? 0 : Math.min(1, part);
}

/** @param {Iterable<Job>} jobs */
function counted(jobs) {
  let running = 0;
  let queued = 0;
  for (const job of jobs) {
    if (job.phase === "finished") continue;
    if (stateText(job) === "queued") queued += 1;
    else running += 1;
  }
  return { running, queued };
}

export function makeConnectionNotice() {
  const element = h("div", { class: "nds-note", role: "alert", hidden: true });

  /** @param {JobStore} store */
  function update(store) {
    const note = sentence(store);
    element.hidden = !note;
    setText(element, note);
  }
  return { element, update };
}

/** @param {JobStore} store */
function sentence(store) {
  const { connection, problem, api } = store;
  if (!api.server.links) {
    return "This page can't reach the Jupyter server itself: what it shows comes through the kernel, and waits while a cell runs.";
  }
  if (connection === "lost") return "The connection to the server is lost; it is tried again.";
  if (problem) return problem;
  if (connection === "polling") return "The server's event stream can't be reached; jobs are asked for every two seconds.";
  return "";
}
