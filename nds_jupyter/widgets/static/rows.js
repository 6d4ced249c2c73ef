/** A list that draws only the rows in view: every row is of one height. */

import { h } from "./dom.js";

/** Browsers lose precision, then give up, on taller elements. */
const TALLEST = 15_000_000;
const OVERSCAN = 6;

/**
 * @typedef {object} Row
 * @property {HTMLElement} element
 * @property {(index: number) => void} update
 */

export class Rows {
  /**
   * @param {object} options
   * @param {number} options.height of a row, in pixels
   * @param {() => Row} options.make
   * @param {(index: number) => string | number} [options.key] by which a row keeps its element
   * @param {Record<string, any>} [options.props] of the scrolling element
   */
  constructor({ height, make, key, props = {} }) {
    this.height = height;
    this._make = make;
    this._key = key ?? ((index) => index);
    this.count = 0;
    /** @type {Map<string | number, Row>} */
    this._shown = new Map();
    /** @type {Row[]} */
    this._spare = [];
    this._space = h("div", { class: "nds-rows-space", role: "presentation" });
    this.element = h("div", { ...props, class: `nds-rows ${props.class ?? ""}` }, this._space);
    this.element.addEventListener("scroll", () => this._schedule(), { passive: true });
    this._observer = new ResizeObserver(() => this._schedule());
    this._observer.observe(this.element);
    this._frame = 0;
  }

  /** @param {number} count */
  setCount(count) {
    this.count = count;
    const height = `${Math.min(count * this.height, TALLEST)}px`;
    if (this._space.style.height !== height) this._space.style.height = height;
    this.refresh();
  }

  /** Draw what is in view anew. */
  refresh() {
    const view = this.element.clientHeight;
    const { top, offset } = this._top(view);
    const first = Math.max(0, top - OVERSCAN);
    const last = Math.min(this.count, top + Math.ceil(view / this.height) + OVERSCAN);
    const kept = new Map();
    for (let index = first; index < last; index += 1) {
      const key = this._key(index);
      const row = this._shown.get(key);
      if (row) kept.set(key, row);
    }
    for (const [key, row] of this._shown) if (!kept.has(key)) this._spare.push(row);
    this._shown = new Map();
    for (let index = first; index < last; index += 1) {
      const key = this._key(index);
      const row = kept.get(key) ?? this._spare.pop() ?? this._make();
      this._shown.set(key, row);
      row.update(index);
      row.element.style.transform = `translateY(${offset + (index - top) * this.height}px)`;
      if (row.element.parentNode !== this._space) this._space.append(row.element);
    }
    for (const row of this._spare) row.element.remove();
    this._spare.length = Math.min(this._spare.length, 100);
  }

  /** @param {number} view height of the visible part @returns {{ top: number, offset: number }} */
  _top(view) {
    const { scrollTop } = this.element;
    const all = this.count * this.height;
    if (all <= TALLEST) {
      const top = Math.floor(scrollTop / this.height);
      return { top, offset: top * this.height };
    }
    // So many rows that the scrollbar stands for more than its pixels.
    const real = (scrollTop / (TALLEST - view)) * (all - view);
    const top = Math.floor(real / this.height);
    return { top, offset: scrollTop - (real - top * this.height) };
  }

  /** @param {number} index */
  show(index) {
    const view = this.element.clientHeight;
    const all = this.count * this.height;
    const start = index * this.height;
    if (all > TALLEST) {
      this.element.scrollTop = (Math.max(0, start - view / 2) / (all - view)) * (TALLEST - view);
    } else if (start < this.element.scrollTop) {
      this.element.scrollTop = start;
    } else if (start + this.height > this.element.scrollTop + view) {
      this.element.scrollTop = start + this.height - view;
    }
    this.refresh();
  }

  toEnd() {
    this.element.scrollTop = this.element.scrollHeight;
  }

  get atEnd() {
    const { scrollTop, clientHeight, scrollHeight } = this.element;
    return scrollTop + clientHeight >= scrollHeight - this.height;
  }

  get page() {
    return Math.max(1, Math.floor(this.element.clientHeight / this.height) - 1);
  }

  dispose() {
    this._observer.disconnect();
    cancelAnimationFrame(this._frame);
  }

  _schedule() {
    if (this._frame) return;
    this._frame = requestAnimationFrame(() => {
      this._frame = 0;
      this.refresh();
    });
  }
}

/**
 * Which row has the keyboard: arrows, page, home and end move it.
 *
 * @param {KeyboardEvent} event
 * @param {number} at
 * @param {Rows} rows
 * @returns {number | null} The row to go to; null where the key is another's.
 */
export function movedBy(event, at, rows) {
  const last = rows.count - 1;
  const to = /** @type {Record<string, number>} */ ({
    ArrowDown: at + 1,
    ArrowUp: at - 1,
    PageDown: at + rows.page,
    PageUp: at - rows.page,
    Home: 0,
    End: last,
  })[event.key];
  if (to === undefined || last < 0) return null;
  return Math.max(0, Math.min(last, to));
}
