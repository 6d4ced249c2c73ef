/** Preview of a file without downloading it: text, images, the first rows of a CSV, a notebook's outline. */

import { h } from "./dom.js";
import { sizeText } from "./format.js";

const MOST_TEXT_BYTES = 64 * 1024;
const MOST_IMAGE_BYTES = 20 * 2 ** 20;
const MOST_NOTEBOOK_BYTES = 16 * 2 ** 20;
const MOST_ROWS = 100;

/** @type {Record<string, string>} */
const IMAGE_TYPES = {
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  gif: "image/gif",
  webp: "image/webp",
  svg: "image/svg+xml",
};

/**
 * Make the preview of a file by its name's suffix.
 *
 * @param {string} name
 * @param {number} size bytes
 * @param {(init: RequestInit) => Promise<Response>} fetch the file
 * @returns {Promise<HTMLElement>}
 */
export async function renderPreview(name, size, fetch) {
  const suffix = name.slice(name.lastIndexOf(".") + 1).toLowerCase();
  if (IMAGE_TYPES[suffix]) {
    if (size > MOST_IMAGE_BYTES) return note(`${sizeText(size)}: too large to show.`);
    return imagePreview(name, IMAGE_TYPES[suffix], fetch);
  }
  if (suffix === "ipynb" && size < MOST_NOTEBOOK_BYTES) return notebookPreview(await (await fetch({})).text());
  const { bytes, cut } = await fetchBeginning(size, fetch);
  if (bytes.subarray(0, 8192).includes(0)) return note(`${sizeText(size)} of binary data.`);
  const text = new TextDecoder().decode(bytes);
  const rest = cut ? note(`The first ${sizeText(MOST_TEXT_BYTES)} of ${sizeText(size)}.`) : null;
  const body = suffix === "csv" || suffix === "tsv" ? tablePreview(text, suffix === "csv" ? "," : "\t", cut) : textPreview(text);
  return h("div", { class: "nds-preview-body" }, body, rest);
}

/**
 * @param {number} size
 * @param {(init: RequestInit) => Promise<Response>} fetch
 */
async function fetchBeginning(size, fetch) {
  if (!size) return { bytes: new Uint8Array(), cut: false };
  const cut = size > MOST_TEXT_BYTES;
  const headers = cut ? { Range: `bytes=0-${MOST_TEXT_BYTES - 1}` } : undefined;
  const bytes = new Uint8Array(await (await fetch({ headers })).arrayBuffer());
  return { bytes: bytes.subarray(0, MOST_TEXT_BYTES), cut };
}

/** @param {string} text */
function note(text) {
  return h("p", { class: "nds-preview-note" }, text);
}

/** @param {string} text */
function textPreview(text) {
  return h("pre", { class: "nds-preview-text", tabIndex: 0 }, text || "(empty)");
}

/**
 * @param {string} name
 * @param {string} type
 * @param {(init: RequestInit) => Promise<Response>} fetch
 */
async function imagePreview(name, type, fetch) {
  const content = await (await fetch({})).blob();
  // As an image, an SVG runs no script.
  const url = URL.createObjectURL(content.slice(0, content.size, type));
  const element = h("img", { class: "nds-preview-image", alt: name });
  element.onload = () => URL.revokeObjectURL(url);
  element.onerror = () => element.replaceWith(note("This is not an image, whatever its name says."));
  element.src = url;
  return element;
}

/**
 * @param {string} text
 * @param {string} separator
 * @param {boolean} cut whether the last line may be incomplete
 */
function tablePreview(text, separator, cut) {
  const [head = [], ...rows] = parseRows(text, separator, MOST_ROWS + 1);
  if (cut && rows.length < MOST_ROWS) rows.pop();
  const cells = (/** @type {string[]} */ row, /** @type {"th" | "td"} */ tag) => row.map((cell) => h(tag, {}, cell));
  return h(
    "div",
    { class: "nds-preview-table", tabIndex: 0 },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, ...cells(head, "th"))),
      h("tbody", {}, ...rows.map((row) => h("tr", {}, ...cells(row, "td")))),
    ),
  );
}

/**
 * Parse the first rows of separated values, after RFC 4180.
 *
 * @param {string} text
 * @param {string} separator
 * @param {number} most
 */
function parseRows(text, separator, most) {
  /** @type {string[][]} */
  const rows = [];
  /** @type {string[]} */
  let row = [];
  let cell = "";
  let quoted = false;
  const endRow = () => {
    rows.push([...row, cell]);
    [row, cell] = [[], ""];
  };
  for (let at = 0; at < text.length && rows.length < most; at += 1) {
    const letter = text[at];
    if (quoted) {
      if (letter !== '"') cell += letter;
      else if (text[at + 1] === '"') cell += text[(at += 1)];
      else quoted = false;
    } else if (letter === '"' && !cell) quoted = true;
    else if (letter === separator) {
      row.push(cell);
      cell = "";
    } else if (letter === "\n") endRow();
    else if (letter !== "\r") cell += letter;
  }
  if ((cell || row.length) && rows.length < most) endRow();
  return rows;
}

/** @param {string} text */
function notebookPreview(text) {
  let cells;
  try {
    ({ cells } = JSON.parse(text));
  } catch {
    return textPreview(text.slice(0, MOST_TEXT_BYTES));
  }
  if (!Array.isArray(cells)) return textPreview(text.slice(0, MOST_TEXT_BYTES));
  const source = (/** @type {any} */ cell) => String(Array.isArray(cell?.source) ? cell.source.join("") : (cell?.source ?? ""));
  const heads = cells
    .filter((cell) => cell?.cell_type === "markdown")
    .flatMap((cell) => source(cell).split("\n"))
    .filter((line) => /^#{1,6} /.test(line))
    .map((line) => h("li", {}, line.replace(/^#+ /, "")));
  return h(
    "div",
    { class: "nds-preview-body" },
    note(`A notebook of ${cells.length} cells.`),
    h("ul", {}, ...heads),
    textPreview(source(cells.find((cell) => cell?.cell_type === "code"))),
  );
}
