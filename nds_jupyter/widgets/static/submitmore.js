/** The part of the form that few jobs need: what is run instead, what is built, where, and how often. */

import { h } from "./dom.js";
import { check, field, lines, number, text } from "./fields.js";
import { assignments, splitLines, splitWords, sweepValues } from "./words.js";

/** @param {string} text @returns {string[] | undefined} */
const words = (text) => listed(splitWords(text));
/** @template T @param {T[]} list @returns {T[] | undefined} */
const listed = (list) => (list.length ? list : undefined);

export function makeMore() {
  const command = text("", "instead of the interpreter: bash -x /nds/job.sh");
  const args = text("", "what the script is called with");
  const labels = lines("", "NAME=VALUE");
  const requirements = lines("", "packages for pip, one a line");
  const dockerfile = lines("", "RUN pip install …");
  const gpus = number(undefined, "0", "1");
  const constraint = lines("", "node.labels.gpu==true");
  const sweep = lines("", "lr=0.1,0.01 or seed=range(5), one a line");
  const atOnce = number(undefined, "1", "1");
  const overwrite = check("Replace what the output's collection holds");
  const onFailure = check("Deliver the results also of a script that fails");
  const element = h(
    "details",
    { class: "nds-more" },
    h("summary", {}, "More: command, build, placement, sweep"),
    h("div", { class: "nds-form-row" }, field("Command", command), field("Arguments", args)),
    h("div", { class: "nds-form-row" }, field("Requirements for pip", requirements), field("Dockerfile", dockerfile)),
    h("div", { class: "nds-form-row" }, field("Labels", labels), field("Node, on a Swarm", constraint), field("GPUs", gpus)),
    h("div", { class: "nds-form-row" }, field("Sweep: a job for each value", sweep), field("Jobs of the sweep at once", atOnce)),
    overwrite.element,
    onFailure.element,
  );

  /** @returns {Record<string, unknown>} */
  const fields = () => ({
    command: words(command.value),
    args: words(args.value),
    labels: assignments(labels.value, "Labels"),
    requirements: listed(splitLines(requirements.value)),
    dockerfile: dockerfile.value.trim() ? dockerfile.value : undefined,
    gpus: gpus.valueAsNumber || undefined,
    constraint: listed(splitLines(constraint.value)),
    sweep: sweepValues(sweep.value),
    max_concurrent: atOnce.valueAsNumber || undefined,
    overwrite: overwrite.input.checked || undefined,
    output_on_failure: onFailure.input.checked || undefined,
  });
  return { element, fields };
}
