/** Long work in turns: between two of them the page draws, and answers whoever types or clicks. */

/** Milliseconds; a frame has 16 of them, and drawing wants its share. */
const LONGEST = 8;

export class Turn {
  constructor() {
    this._began = performance.now();
  }

  /** Whether it is time to let others have theirs. */
  get over() {
    return performance.now() - this._began > LONGEST;
  }

  /** Go on when the page has done what was waiting. */
  async next() {
    await anotherTask();
    this._began = performance.now();
  }
}

const channel = new MessageChannel();
/** @type {(() => void)[]} */
const waiting = [];
channel.port1.onmessage = () => waiting.shift()?.();

/** @returns {Promise<void>} Unlike a timer's it is not put off, neither by its repetition nor in a tab out of view. */
export function anotherTask() {
  return new Promise((resolve) => {
    waiting.push(resolve);
    channel.port2.postMessage(null);
  });
}
