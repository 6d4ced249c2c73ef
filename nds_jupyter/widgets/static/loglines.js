/** The lines of a log that a page keeps: as they came, in blocks, so that the oldest go without moving the others. */

/** @import { Span, Style } from "./ansi.js" */
import { PLAIN, isSpecial, parseLine, plainText, styleAfter, visibleFrom } from "./ansi.js";

/** What is kept at most; a tab has to live with what it holds. The download has all. */
export const MOST_LINES = 1_000_000;
export const MOST_CHARACTERS = 200 * 2 ** 20;
/** Where a line ends, whatever follows. */
export const LONGEST_LINE = 32 * 2 ** 20;
/** A longer line is kept without its colours, which would be as long to find as it is. */
const LONGEST_STYLED = 64 * 1024;
const BLOCK_LINES = 4096;
const BLOCK_CHARACTERS = 2 ** 20;
/** Lines whose colours are known: about what is in view. */
const MOST_LOOKS = 300;

/** What `flags` say of a line. */
const ERROR = 1;
const SPECIAL = 2;
const FULL = 4;

/**
 * @typedef {object} Block
 * @property {number} first the number of its first line
 * @property {string[]} texts
 * @property {number[]} times milliseconds; NaN for a remark of our own
 * @property {number[]} flags
 * @property {Map<number, Style>} styles that lines begin with, where that is not plain
 * @property {number} characters
 *
 * @typedef {object} Look
 * @property {string} text
 * @property {Span[] | null} spans
 */

/** Lines have numbers, counted from the first line ever. */
export class LogLines {
  /** @param {{ mostLines?: number, mostCharacters?: number }} [limits] */
  constructor({ mostLines = MOST_LINES, mostCharacters = MOST_CHARACTERS } = {}) {
    this._mostLines = mostLines;
    this._mostCharacters = mostCharacters;
    this._characters = 0;
    /** @type {Block[]} */
    this.blocks = [newBlock(0)];
    /** Whether the last line goes on. */
    this.open = false;
    /** How the next line begins, on stdout and on stderr. */
    this._styles = [PLAIN, PLAIN];
    /** @type {Map<number, Look>} */
    this._looks = new Map();
  }

  clear() {
    this._characters = 0;
    this.blocks = [newBlock(0)];
    this.open = false;
    this._styles = [PLAIN, PLAIN];
    this._looks.clear();
  }

  /** The number of the oldest line that is kept. */
  get first() {
    return this.blocks[0].first;
  }

  /** The number that the next line gets. */
  get end() {
    const last = this._last;
    return last.first + last.texts.length;
  }

  /**
   * @param {string} raw
   * @param {number} time milliseconds; NaN for a remark of our own
   * @param {boolean} error whether it was written to stderr
   * @param {boolean} [open] whether it goes on in the next piece
   */
  add(raw, time, error, open = false) {
    if (this._last.texts.length >= BLOCK_LINES || this._last.characters >= BLOCK_CHARACTERS) {
      this.blocks.push(newBlock(this.end));
      this._drop();
    }
    const block = this._last;
    block.texts.push("");
    block.times.push(time);
    block.flags.push(error ? ERROR : 0);
    this._write("", raw, open);
  }

  /** Go on with the last line. @param {string} raw @param {boolean} open */
  extend(raw, open) {
    const block = this._last;
    const at = block.texts.length - 1;
    const before = block.texts[at];
    if (block.flags[at] & FULL) {
      this.open = open;
    } else if (before.length + raw.length > LONGEST_LINE) {
      block.flags[at] |= FULL;
      this._write(before, " … the rest of this line is in the download only", open);
    } else {
      this._write(before, raw, open);
    }
  }

  /** Take back the last line: it is to come again. */
  removeLast() {
    const block = this._last;
    const [text] = block.texts.splice(-1);
    block.times.length = block.flags.length = block.texts.length;
    block.styles.delete(block.texts.length);
    this._count(block, -(text?.length ?? 0));
    this._looks.clear();
    this.open = false;
  }

  /** @param {number} line @returns {string} what a terminal would show of it */
  textAt(line) {
    const { block, at } = this._find(line);
    if (!block) return "";
    return block.flags[at] & SPECIAL ? plainText(block.texts[at]) : block.texts[at];
  }

  /** @param {number} line @returns {Look} its text with its colours */
  lookAt(line) {
    const { block, at } = this._find(line);
    if (!block) return { text: "", spans: null };
    if (!(block.flags[at] & SPECIAL)) return { text: block.texts[at], spans: null };
    const known = this._looks.get(line);
    if (known) return known;
    const look = parseLine(block.texts[at], block.styles.get(at) ?? PLAIN);
    if (this._looks.size >= MOST_LOOKS) this._looks.clear();
    this._looks.set(line, look);
    return look;
  }

  /** @param {number} line @returns {number} milliseconds; NaN for a remark of our own */
  timeAt(line) {
    const { block, at } = this._find(line);
    return block ? block.times[at] : NaN;
  }

  /** @param {number} line */
  isError(line) {
    const { block, at } = this._find(line);
    return !!block && (block.flags[at] & ERROR) !== 0;
  }

  get _last() {
    return this.blocks[this.blocks.length - 1];
  }

  /** @param {string} before what there is of the last line @param {string} raw @param {boolean} open */
  _write(before, raw, open) {
    const block = this._last;
    const at = block.texts.length - 1;
    const stream = block.flags[at] & ERROR;
    const piece = open ? raw : raw.replace(/\r+$/, "");
    const begin = before ? (block.styles.get(at) ?? PLAIN) : this._styles[stream];
    const special = isSpecial(piece);
    if (special) this._styles[stream] = styleAfter(piece, this._styles[stream]);
    if (before.length > LONGEST_STYLED) {
      block.texts[at] = special ? (visibleFrom(piece) ? "" : before) + plainText(piece) : before + piece;
    } else if (special || begin !== PLAIN || block.flags[at] & SPECIAL) {
      this._writeStyled(before + piece, begin);
    } else {
      block.texts[at] = before + piece;
    }
    this._count(block, piece.length);
    this._looks.delete(block.first + at);
    this.open = open;
  }

  /** @param {string} whole @param {Style} begin how it begins */
  _writeStyled(whole, begin) {
    const block = this._last;
    const at = block.texts.length - 1;
    const from = visibleFrom(whole);
    const style = from ? styleAfter(whole.slice(0, from), begin) : begin;
    const text = whole.slice(from);
    const styled = text.length <= LONGEST_STYLED;
    block.texts[at] = styled ? text : plainText(text);
    block.flags[at] = (block.flags[at] & ~SPECIAL) | (styled ? SPECIAL : 0);
    if (styled && style !== PLAIN) block.styles.set(at, style);
    else block.styles.delete(at);
  }

  /** @param {Block} block @param {number} characters */
  _count(block, characters) {
    block.characters += characters;
    this._characters += characters;
  }

  _drop() {
    while (this.blocks.length > 1 && (this.end - this.first > this._mostLines || this._characters > this._mostCharacters)) {
      this._characters -= this.blocks[0].characters;
      this.blocks.shift();
      this._looks.clear();
    }
  }

  /** @param {number} line @returns {{ block: Block | null, at: number }} */
  _find(line) {
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
