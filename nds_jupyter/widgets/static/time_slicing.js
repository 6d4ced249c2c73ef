/** Time slicing of long work on the main thread, and a merge sort that uses it: in between, the page draws and answers. */

/** Milliseconds; a frame has 16 of them, and drawing wants its share. */
const SLICE = 8;
/** Items that are sorted at once: a few milliseconds. */
const RUN_LENGTH = 2048;
/** Items that are merged between two looks at the clock. */
const MERGED_AT_ONCE = 512;

/** Share of the main thread that a long task may use before it yields. */
export class TimeSlice {
  constructor() {
    this._began = performance.now();
  }

  /** Whether it is time to yield. */
  get expired() {
    return performance.now() - this._began > SLICE;
  }

  /** Let the page do what was waiting, and begin another slice. */
  async yield() {
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

/**
 * Sort in time slices: a stable merge sort.
 *
 * @template T
 * @param {readonly T[]} items
 * @param {(a: T, b: T) => number} compare
 * @param {TimeSlice} [slice]
 * @returns {Promise<T[]>} another array
 */
export async function sortInSlices(items, compare, slice = new TimeSlice()) {
  /** @type {T[][]} */
  let runs = [];
  for (let from = 0; from < items.length; from += RUN_LENGTH) {
    if (slice.expired) await slice.yield();
    runs.push(items.slice(from, from + RUN_LENGTH).sort(compare));
  }
  while (runs.length > 1) {
    /** @type {T[][]} */
    const merged = [];
    for (let at = 0; at < runs.length; at += 2) {
      merged.push(at + 1 < runs.length ? await merge(runs[at], runs[at + 1], compare, slice) : runs[at]);
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
 * @param {TimeSlice} slice
 */
async function merge(left, right, compare, slice) {
  /** @type {T[]} */
  const merged = [];
  let [l, r] = [0, 0];
  while (l < left.length && r < right.length) {
    if (merged.length % MERGED_AT_ONCE === 0 && slice.expired) await slice.yield();
    merged.push(compare(left[l], right[r]) <= 0 ? left[l++] : right[r++]);
  }
  return merged.concat(left.slice(l), right.slice(r));
}
