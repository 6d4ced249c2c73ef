/** Sort what is too long for one task: between two turns the page draws, and answers whoever types or clicks. */

import { Turn } from "./turn.js";

/** So many are sorted at once: a few milliseconds. */
const RUN = 2048;
/** Items that are merged between two looks at the clock. */
const STRIDE = 512;

/**
 * @template T
 * @param {readonly T[]} items
 * @param {(a: T, b: T) => number} compare
 * @param {Turn} [turn]
 * @returns {Promise<T[]>} another array; what is equal keeps its order
 */
export async function sortedInTurns(items, compare, turn = new Turn()) {
  /** @type {T[][]} */
  let runs = [];
  for (let from = 0; from < items.length; from += RUN) {
    if (turn.over) await turn.next();
    runs.push(items.slice(from, from + RUN).sort(compare));
  }
  while (runs.length > 1) {
    /** @type {T[][]} */
    const merged = [];
    for (let at = 0; at < runs.length; at += 2) {
      merged.push(at + 1 < runs.length ? await merge(runs[at], runs[at + 1], compare, turn) : runs[at]);
    }
    runs = merged;
  }
  return runs[0] ?? [];
}

/**
 * @template T
 * @param {T[]} left
 * @param {T[]} right
 * @param {(a: T, b: T) => number} compare
 * @param {Turn} turn
 */
async function merge(left, right, compare, turn) {
  /** @type {T[]} */
  const both = [];
  let [l, r] = [0, 0];
  while (l < left.length && r < right.length) {
    if (both.length % STRIDE === 0 && turn.over) await turn.next();
    both.push(compare(left[l], right[r]) <= 0 ? left[l++] : right[r++]);
  }
  return both.concat(left.slice(l), right.slice(r));
}
