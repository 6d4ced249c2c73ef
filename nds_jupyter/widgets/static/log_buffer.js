/** Bounded buffer of a job's log lines, and the log itself: fetched as far as written, then followed live. */

/** @import { StyledSpan, TextStyle } from "./ansi_text.js" */
/** @import { JobStore } from "./job_store.js" */
/** @import { EventMessage, LogLine } from "./types.js" */
import { hasControlCharacters, parseStyledLine, PLAIN, plainText, styleAtEnd, visibleStart } from "./ansi_text.js";
import { TimeSlice } from "./time_slicing.js";

/** Most that is kept: a tab has to live with what it holds. The download has all. */
const MOST_LINES = 1_000_000;
const MOST_CHARACTERS = 200 * 2 ** 20;
/** Characters at which a line is truncated. */
const LONGEST_LINE = 32 * 2 ** 20;
/** A longer line is kept without its colours, which would be as long to find as it is. */
const LONGEST_STYLED = 64 * 1024;
const BLOCK_LINES = 4096;
const BLOCK_CHARACTERS = 2 ** 20;
/** Parsed lines that are cached: about what is in view. */
const MOST_CACHED_LINES = 300;

/** Time before any line: a log of which nothing is there yet is followed from here, however much comes until it is. */
const BEGINNING = "1970-01-01T00:00:00.000000000Z";

/** Flags of a line: written to stderr; with escape sequences to parse; truncated. */
const STDERR = 1;
const STYLED = 2;
const TRUNCATED = 4;

/**
 * @typedef {object} Block
 * @property {number} first the number of its first line
 * @property {string[]} texts
 * @property {number[]} times milliseconds; NaN for a remark of our own
 * @property {number[]} flags
 * @property {Map<number, TextStyle>} styles that lines begin with, where that is not plain
 * @property {number} characters
 *
 * @typedef {object} StyledLine
 * @property {string} text
 * @property {StyledSpan[] | null} spans
 */

/** Buffer of lines in blocks, so that the oldest go without moving the others. Lines are numbered from the first ever. */
export class LogBuffer {
  /** @param {{ mostLines?: number, mostCharacters?: number }} [limits] */
  constructor({ mostLines = MOST_LINES, mostCharacters = MOST_CHARACTERS } = {}) {
    this._mostLines = mostLines;
    this._mostCharacters = mostCharacters;
    this._characters = 0;
    /** @type {Block[]} */
    this.blocks = [newBlock(0)];
    /** Whether the last line is unfinished. */
    this.open = false;
    /** Styles that the next line begins with, on stdout and on stderr. */
    this._styles = [PLAIN, PLAIN];
    /** @type {Map<number, StyledLine>} */
    this._styledLines = new Map();
  }

  clear() {
    this._characters = 0;
    this.blocks = [newBlock(0)];
    this.open = false;
    this._styles = [PLAIN, PLAIN];
    this._styledLines.clear();
  }

  /** The number of the oldest line that is kept. */
  get first() {
    return this.blocks[0].first;
  }

  /** The number that the next line gets. */
  get end() {
    const last = this._lastBlock;
    return last.first + last.texts.length;
  }

  /**
   * Append a line.
   *
   * @param {string} raw
   * @param {number} time milliseconds; NaN for a remark of our own
   * @param {boolean} stderr whether it was written there
   * @param {boolean} [open] whether it goes on in the next piece
   */
  add(raw, time, stderr, open = false) {
    if (this._lastBlock.texts.length >= BLOCK_LINES || this._lastBlock.characters >= BLOCK_CHARACTERS) {
      this.blocks.push(newBlock(this.end));
      this._dropOldest();
    }
    const block = this._lastBlock;
    block.texts.push("");
    block.times.push(time);
    block.flags.push(stderr ? STDERR : 0);
    this._write("", raw, open);
  }

  /** Append to the last line. @param {string} raw @param {boolean} open */
  extend(raw, open) {
    const block = this._lastBlock;
    const at = block.texts.length - 1;
    const before = block.texts[at];
    if (block.flags[at] & TRUNCATED) {
      this.open = open;
    } else if (before.length + raw.length > LONGEST_LINE) {
      block.flags[at] |= TRUNCATED;
      this._write(before, " … the rest of this line is in the download only", open);
    } else {
      this._write(before, raw, open);
    }
  }

  /** Remove the last line, which is to come again. */
  removeLast() {
    const block = this._lastBlock;
    const [text] = block.texts.splice(-1);
    block.times.length = block.flags.length = block.texts.length;
    block.styles.delete(block.texts.length);
    this._countCharacters(block, -(text?.length ?? 0));
    this._styledLines.clear();
    this.open = false;
  }

  /** @param {number} line @returns {string} what a terminal would show of it */
  textAt(line) {
    const { block, at } = this._locate(line);
    if (!block) return "";
    return block.flags[at] & STYLED ? plainText(block.texts[at]) : block.texts[at];
  }

  /** @param {number} line @returns {StyledLine} its text with its colours */
  styledLineAt(line) {
    const { block, at } = this._locate(line);
    if (!block) return { text: "", spans: null };
    if (!(block.flags[at] & STYLED)) return { text: block.texts[at], spans: null };
    const known = this._styledLines.get(line);
    if (known) return known;
    const styled = parseStyledLine(block.texts[at], block.styles.get(at) ?? PLAIN);
    if (this._styledLines.size >= MOST_CACHED_LINES) this._styledLines.clear();
    this._styledLines.set(line, styled);
    return styled;
  }

  /** @param {number} line @returns {number} milliseconds; NaN for a remark of our own */
  timeAt(line) {
    const { block, at } = this._locate(line);
    return block ? block.times[at] : NaN;
  }

  /** @param {number} line */
  isStderr(line) {
    const { block, at } = this._locate(line);
    return !!block && (block.flags[at] & STDERR) !== 0;
  }

  get _lastBlock() {
    return this.blocks[this.blocks.length - 1];
  }

  /** @param {string} before what there is of the last line @param {string} raw @param {boolean} open */
  _write(before, raw, open) {
    const block = this._lastBlock;
    const at = block.texts.length - 1;
    const stream = block.flags[at] & STDERR;
    const piece = open ? raw : raw.replace(/\r+$/, "");
    const begin = before ? (block.styles.get(at) ?? PLAIN) : this._styles[stream];
    const styled = hasControlCharacters(piece);
    if (styled) this._styles[stream] = styleAtEnd(piece, this._styles[stream]);
    if (before.length > LONGEST_STYLED) {
      block.texts[at] = styled ? (visibleStart(piece) ? "" : before) + plainText(piece) : before + piece;
    } else if (styled || begin !== PLAIN || block.flags[at] & STYLED) {
      this._writeStyled(before + piece, begin);
    } else {
      block.texts[at] = before + piece;
    }
    this._countCharacters(block, piece.length);
    this._styledLines.delete(block.first + at);
    this.open = open;
  }

  /** @param {string} whole @param {TextStyle} begin how it begins */
  _writeStyled(whole, begin) {
    const block = this._lastBlock;
    const at = block.texts.length - 1;
    const from = visibleStart(whole);
    const style = from ? styleAtEnd(whole.slice(0, from), begin) : begin;
    const text = whole.slice(from);
    const styled = text.length <= LONGEST_STYLED;
    block.texts[at] = styled ? text : plainText(text);
    block.flags[at] = (block.flags[at] & ~STYLED) | (styled ? STYLED : 0);
    if (styled && style !== PLAIN) block.styles.set(at, style);
    else block.styles.delete(at);
  }

  /** @param {Block} block @param {number} characters */
  _countCharacters(block, characters) {
    block.characters += characters;
    this._characters += characters;
  }

  _dropOldest() {
    while (this.blocks.length > 1 && (this.end - this.first > this._mostLines || this._characters > this._mostCharacters)) {
      this._characters -= this.blocks[0].characters;
      this.blocks.shift();
      this._styledLines.clear();
    }
  }

  /** @param {number} line @returns {{ block: Block | null, at: number }} */
  _locate(line) {
    let low = 0;
    let high = this.blocks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.blocks[middle].first <= line) low = middle;
      else high = middle - 1;
    }
    const block = this.blocks[low];
    const at = line - block.first;
    return at >= 0 && at < block.texts.length ? { block, at } : { block: null, at: 0 };
  }
}

/** @param {number} first @returns {Block} */
function newBlock(first) {
  return { first, texts: [], times: [], flags: [], styles: new Map(), characters: 0 };
}

/** The log of one job: fetched as far as it is written, then followed by the store's event feed. */
export class JobLog {
  /**
   * @param {JobStore} store
   * @param {string} jobId
   */
  constructor(store, jobId) {
    this._store = store;
    this._jobId = jobId;
    /** @type {Set<() => void>} */
    this._listeners = new Set();
    this.lines = new LogBuffer();
    /** @type {string} The stream whose last line goes on in the next. */
    this._unfinishedStream = "";
    this._lastTime = "";
    this._resumedAt = "";
    this.gaps = 0;
    /** @type {"loading" | "live" | "ended"} */
    this.state = "loading";
    this.problem = "";
    this._abort = new AbortController();
    /** @type {() => void} */
    this._unfollow = () => {};
    this._load();
  }

  /** @param {() => void} listener @returns {() => void} ends it */
  onChange(listener) {
    this._listeners.add(listener);
    return () => this._listeners.delete(listener);
  }

  dispose() {
    this._abort.abort();
    this._unfollow();
  }

  /** Fetch all of it anew, with the lines that were skipped. */
  reload() {
    this.dispose();
    this._abort = new AbortController();
    this.lines.clear();
    this._unfinishedStream = this._lastTime = this._resumedAt = this.problem = "";
    this.gaps = 0;
    this.state = "loading";
    this._notify();
    this._load();
  }

  async _load() {
    const { signal } = this._abort;
    const ended = this._store.jobs.get(this._jobId)?.phase === "finished";
    const slice = new TimeSlice();
    try {
      for await (const lines of this._store.api.logLines(this._jobId, null, signal)) {
        if (signal.aborted) return;
        this._append(lines);
        if (slice.expired) await slice.yield();
      }
    } catch (error) {
      if (signal.aborted) return;
      this.problem = /** @type {Error} */ (error).message;
    }
    if (signal.aborted) return;
    this.state = ended ? "ended" : "live";
    if (!ended) this._follow();
    this._notify();
  }

  _follow() {
    this._unfollow = this._store.watch(this._jobId, {
      log: true,
      metrics: false,
      logSince: () => this._resumeFrom(),
      onLog: (message) => this._onMessage(message),
      onSample: () => {},
    });
  }

  _resumeFrom() {
    this._resumedAt = this._lastTime;
    if (this._unfinishedStream) {
      // The pieces of a line that is not whole come again.
      this._unfinishedStream = "";
      this.lines.removeLast();
    }
    return this._lastTime || BEGINNING;
  }

  /** @param {EventMessage} message */
  _onMessage(message) {
    if (message.refetch_since) {
      this.gaps += 1;
      this._unfinishedStream = "";
      const many = message.skipped ? `${message.skipped} lines` : "Some lines";
      this.lines.add(`… ${many} skipped: they came faster than this page could take them.`, NaN, false);
    }
    this.problem = "";
    this._append(message.lines ?? []);
    if (message.end) {
      this.state = "ended";
      this._unfollow();
    }
    this._notify();
  }

  /** @param {LogLine[]} lines */
  _append(lines) {
    for (const { stream, text, time, cut = false } of lines) {
      // What the page has may be sent again when the log is taken up: the server knows microseconds.
      if (time <= this._resumedAt) continue;
      if (this._unfinishedStream === stream) this.lines.extend(text, cut);
      else this.lines.add(text, Date.parse(time), stream === "stderr", cut);
      this._unfinishedStream = cut ? stream : "";
      if (!cut) this._lastTime = time;
    }
    this._notify();
  }

  _notify() {
    for (const listener of this._listeners) listener();
  }
}
