/** What of a new job can be said to be wrong before it is one, and which field it is about. */

/** @import { Api } from "./api.js" */
import { ApiError } from "./api.js";
import { entryAt, listPage } from "./dataapi.js";

/** The bytes of a script are in the request; more is data. */
const LONGEST_SCRIPT = 2 ** 24;
const NAMES = /^([a-z_]+(?:, [a-z_]+)*)[^ ]*: /;

/**
 * The fields that a sentence of the server is about, by the names it begins with.
 *
 * @param {string} sentence
 * @returns {string[]}
 */
export function fieldsOf(sentence) {
  return sentence.match(NAMES)?.[1].split(", ") ?? [];
}

/**
 * A script from a file.
 *
 * @param {File} file
 * @returns {Promise<string>}
 */
export async function scriptOf(file) {
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
 * @param {Api} api
 * @param {{ data?: string[], output?: string, overwrite?: boolean, sweep?: unknown }} fields
 * @returns {Promise<[string, string][]>} fields and sentences
 */
export async function wrongPaths(api, { data = [], output, overwrite, sweep }) {
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

/** @param {Api} api @param {string} path @returns {Promise<[string, string] | null>} */
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

/** @param {Api} api @param {string} output @param {boolean} overwrite @returns {Promise<[string, string] | null>} */
async function wrongOutput(api, output, overwrite) {
  const entry = await entryAt(api, output);
  if (!entry) return null;
  const { kind, path } = entry;
  if (kind !== "collection") return ["output", `output: ${path} is a data object; results need a collection.`];
  const { rows } = await listPage(api, { path, limit: 1 });
  if (!rows.length || overwrite) return null;
  return ["output", `output: ${path} is not empty. Name another, or ask to overwrite.`];
}
