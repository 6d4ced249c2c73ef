/** The part of the form that few jobs need: what is run instead, what is built, where, and how often. */

import { h } from "./dom.js";
import { check, Field, linesField, numberField, text } from "./fields.js";
import { assignments, splitLines, splitWords, sweepValues } from "./words.js";

/** @template T @param {T[]} list @returns {T[] | undefined} */
export const listed = (list) => (list.length ? list : undefined);

/** @param {string} name @param {string} label @param {string} placeholder */
function wordsField(name, label, placeholder) {
  const control = text("", placeholder);
  return new Field(label, control, () => listed(splitWords(control.value, name)));
}

export function makeMore() {
  const fields = {
    command: wordsField("command", "Command", "instead of the interpreter: bash -x /nds/job.sh"),
    args: wordsField("args", "Arguments", "what the script is called with"),
    requirements: linesField("Requirements for pip", "", "packages for pip, one a line", (given) => listed(splitLines(given))),
    dockerfile: linesField("Dockerfile", "", "RUN pip install …", (given) => (given.trim() ? given : undefined)),
    labels: linesField("Labels", "", "NAME=VALUE", (given) => assignments(given, "labels")),
    constraint: linesField("Node, on a Swarm", "", "node.labels.gpu==true", (given) => listed(splitLines(given))),
    gpus: numberField("GPUs", undefined, "gpus: give a number of GPUs, or none.", { whole: true }),
    sweep: linesField("Sweep: a job for each value", "", "lr=0.1,0.01 or seed=range(5), one a line", sweepValues),
    max_concurrent: numberField("Jobs of the sweep at once", undefined, "max_concurrent: give at least 1.", { whole: true }),
  };
  const overwrite = check("Replace what the output's collection holds");
  const onFailure = check("Deliver the results also of a script that fails");
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
