/** Time slicing of long work on the main thread, and a merge sort that uses it: in between, the page draws and answers. */

/** Milliseconds; a frame has 16 of them, and drawing wants its share. */
const LONGEST = 8;

export class TimeSlice {
  constructor() {
    this._began = performance.now();
  }

  /** Whether it is time to let others have theirs. */
  get over() {
    return performance.now() - this._began > LONGEST;
  }

  /** Go on when the page has done what was waiting. */
  async next() {
    await nextTask();
    this._began = performance.now();
  }
}

const channel = new MessageChannel();
/** @type {(() => void)[]} */
const waiting = [];
channel.port1.onmessage = () => waiting.shift()?.();

/** @returns {Promise<void>} Unlike a timer's it is not put off, neither by its repetition nor in a tab out of view. */
export function nextTask() {
  return new Promise((resolve) => {
    waiting.push(resolve);
    channel.port2.postMessage(null);
  });
}

/** So many are sorted at once: a few milliseconds. */
const RUN = 2048;
/** Items that are merged between two looks at the clock. */
const STRIDE = 512;

/**
 * @template T
 * @param {readonly T[]} items
 * @param {(a: T, b: T) => number} compare
 * @param {TimeSlice} [turn]
 * @returns {Promise<T[]>} another array; what is equal keeps its order
 */
export async function sortInSlices(items, compare, turn = new TimeSlice()) {
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
 * @param {TimeSlice} turn
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
