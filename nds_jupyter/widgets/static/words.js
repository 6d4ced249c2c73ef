/** What people write in one line, taken apart: command lines, variables, the values of a sweep. Pure. */

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const RANGE = /^range\(\s*([-+\d\s,]+)\)$/;

/**
 * The words of a command as a shell splits them by quotes and backslashes; nothing is expanded.
 *
 * @param {string} text
 * @param {string} what they are, for what is said of a quote that is left open
 * @returns {string[]}
 */
export function splitWords(text, what) {
  /** @type {string[]} */
  const words = [];
  /** @type {string | null} */
  let word = null;
  let quote = "";
  for (let at = 0; at < text.length; at += 1) {
    const letter = text[at];
    if (letter === quote) quote = "";
    else if (letter === "\\" && quote !== "'" && (!quote || '"\\$`'.includes(text[at + 1] ?? " "))) {
      word = (word ?? "") + (text[(at += 1)] ?? "");
    } else if (quote) word += letter;
    else if (letter === "'" || letter === '"') {
      quote = letter;
      word ??= "";
    } else if (/\s/.test(letter)) {
      if (word !== null) words.push(word);
      word = null;
    } else word = (word ?? "") + letter;
  }
  if (quote) throw new Error(`${what}: the ${quote} is not closed.`);
  return word === null ? words : [...words, word];
}

/** @param {string} text @returns {string[]} its lines that are not empty */
export function splitLines(text) {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
}

/**
 * `NAME=VALUE` lines as an object; undefined where there is none.
 *
 * @param {string} text
 * @param {string} what they are, for what is said of a line that is none
 * @returns {Record<string, string> | undefined}
 */
export function assignments(text, what) {
  const pairs = splitLines(text).map((line) => {
    const at = line.indexOf("=");
    if (at < 1) throw new Error(`${what}: '${line}' is not NAME=VALUE.`);
    return [line.slice(0, at), line.slice(at + 1)];
  });
  return pairs.length ? Object.fromEntries(pairs) : undefined;
}

/**
 * `lr=0.1,0.01` and `seed=range(5)`, a line each, as `POST /upload` takes them.
 *
 * @param {string} text
 * @returns {Record<string, (string | number | boolean)[]> | undefined}
 */
export function sweepValues(text) {
  const given = assignments(text, "sweep");
  if (!given) return undefined;
  return Object.fromEntries(Object.entries(given).map(([name, values]) => [name, valuesOf(values)]));
}

/** @param {string} text */
function valuesOf(text) {
  const counted = text.trim().match(RANGE);
  return counted ? range(counted[1].split(",").map(Number)) : text.split(",").map((each) => scalar(each.trim()));
}

/** As Python counts. @param {number[]} given */
function range(given) {
  const [start, stop, step] = given.length === 1 ? [0, given[0], 1] : [given[0], given[1], given[2] ?? 1];
  if (![start, stop, step].every(Number.isInteger) || !step) throw new Error("sweep: a range has whole numbers, and a step that is not 0.");
  return Array.from({ length: Math.max(0, Math.ceil((stop - start) / step)) }, (_none, index) => start + index * step);
}

/** @param {string} text */
function scalar(text) {
  if (NUMBER.test(text)) return Number(text);
  if (/^(true|false)$/i.test(text)) return text.toLowerCase() === "true";
  return text.replace(/^(["'])(.*)\1$/, "$2");
}
