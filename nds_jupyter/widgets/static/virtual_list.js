/** Virtual list: only the rows in view are in the document, all of one height, in the order in which they are seen. */

import { h, setAttribute } from "./dom.js";

/** Browsers lose precision, then give up, on taller elements. */
const TALLEST = 15_000_000;
const OVERSCAN = 6;
/** Rows out of the document that are kept for later. */
const MOST_SPARE = 100;

let made = 0;

/**
 * @typedef {object} Row
 * @property {HTMLElement} element
 * @property {(index: number) => void} update
 */

export class VirtualList {
  /**
   * @param {object} options
   * @param {number} options.height of a row, in pixels
   * @param {() => Row} options.make
   * @param {(index: number) => string | number} [options.key] by which a row keeps its element
   * @param {(index: number) => boolean} [options.isActive] whether it is the row that keys act on
   * @param {(atEnd: boolean) => void} [options.onFollow] called when somebody scrolls to the end, or away from it
   * @param {Record<string, any>} [options.props] of the scrolling element
   */
  constructor({ height, make, key, isActive, onFollow, props = {} }) {
    this.height = height;
    this._make = make;
    this._key = key ?? ((index) => index);
    this._isActive = isActive;
    this._onFollow = onFollow;
    this.count = 0;
    /** Whether the end stays in view as rows are added. */
    this.following = false;
    /** @type {Map<string | number, Row>} In the order in which they are seen. */
    this._shown = new Map();
    /** @type {Row[]} */
    this._spare = [];
    this._window = h("div", { class: "nds-rows-window", role: "presentation" });
    this._space = h("div", { class: "nds-rows-space", role: "presentation" }, this._window);
    this.element = h("div", { ...props, class: `nds-rows ${props.class ?? ""}` }, this._space);
    /** @type {HTMLElement} What has the focus while keys go from row to row. */
    this.keyboard = this.element;
    // What the browser laid out is told by its events: to ask for it after a write would lay it out once more.
    this._view = 0;
    this._scrolled = 0;
    this._tall = 0;
    this._frame = 0;
    this.element.addEventListener("scroll", () => this._noticeScroll(), { passive: true });
    this._observer = new ResizeObserver(() => this._resize(this.element.clientHeight));
    this._observer.observe(this.element);
  }

  /**
   * @param {number} count
   * @param {number} [dropped] how many vanished at the beginning: what is in view stays there
   */
  setCount(count, dropped = 0) {
    const real = this._real();
    this.count = count;
    const tall = Math.min(count * this.height, TALLEST);
    if (tall !== this._tall) this._space.style.height = `${(this._tall = tall)}px`;
    if (this.following) this.toEnd();
    else if (dropped) this._scrollTo(this._scrollOf(real - dropped * this.height));
    else this.refresh();
  }

  /** Draw what is in view anew. */
  refresh() {
    this._draw(true);
  }

  /** @param {number} index */
  show(index) {
    const start = index * this.height;
    const real = this._real();
    if (this.count * this.height > TALLEST) this._scrollTo(this._scrollOf(start - this._view / 2));
    else if (start < real) this._scrollTo(start);
    else if (start + this.height > real + this._view) this._scrollTo(start + this.height - this._view);
    else this.refresh();
  }

  toEnd() {
    this._scrollTo(this._tall);
  }

  /** The first row that is in view as a whole. */
  get top() {
    return Math.ceil(this._real() / this.height);
  }

  get page() {
    return Math.max(1, Math.floor(this._view / this.height) - 1);
  }

  dispose() {
    this._observer.disconnect();
    cancelAnimationFrame(this._frame);
  }

  _noticeScroll() {
    const { clientHeight, scrollTop } = this.element;
    // Out of the document, or not yet told of being back in it.
    if (!this._view || !clientHeight || scrollTop === this._scrolled) return;
    if (clientHeight !== this._view) {
      // It is scrolled because it was resized, which says nothing of what somebody wants to see.
      if (!this.following) this._scrolled = scrollTop;
      this._resize(clientHeight);
      return;
    }
    this._scrolled = scrollTop;
    const atEnd = this._scrolled + this._view >= this._tall - 2;
    if (atEnd !== this.following) this._onFollow?.(atEnd);
    // Other listeners may ask for the layout still, so nothing is written before they have.
    this._frame ||= requestAnimationFrame(() => {
      this._frame = 0;
      this._draw(false);
    });
  }

  /** @param {number} view */
  _resize(view) {
    const back = this._view === 0;
    this._view = view;
    if (!view) return;
    if (this.following) this.toEnd();
    // An element that was out of the document comes back at its beginning.
    else if (back && this._scrolled) this._scrollTo(this._scrolled);
    else this.refresh();
  }

  /** How far the view is from the first row, in pixels of rows. */
  _real() {
    const all = this.count * this.height;
    if (all <= TALLEST) return this._scrolled;
    // So many rows that the scrollbar stands for more than its pixels.
    return (this._scrolled / (TALLEST - this._view)) * (all - this._view);
  }

  /** @param {number} real @returns {number} where to scroll to for it */
  _scrollOf(real) {
    const all = this.count * this.height;
    return all <= TALLEST ? real : (real / (all - this._view)) * (TALLEST - this._view);
  }

  /** @param {number} top */
  _scrollTo(top) {
    this._scrolled = Math.max(0, Math.min(top, this._tall - this._view));
    this._draw(true);
    // The last write: it makes the browser lay out what was written before.
    if (this._view) this.element.scrollTop = this._scrolled;
  }

  /** @param {boolean} anew whether rows that stay in view may have changed */
  _draw(anew) {
    if (!this._view) return;
    this._scrolled = Math.max(0, Math.min(this._scrolled, this._tall - this._view));
    const real = this._real();
    const top = Math.floor(real / this.height);
    const first = Math.max(0, top - OVERSCAN);
    const last = Math.min(this.count, top + Math.ceil(this._view / this.height) + 1 + OVERSCAN);
    this._show(first, last, anew);
    const transform = `translateY(${this._scrolled - real + first * this.height}px)`;
    if (this._window.style.transform !== transform) this._window.style.transform = transform;
  }

  /** @param {number} first @param {number} last @param {boolean} anew */
  _show(first, last, anew) {
    /** @type {(string | number)[]} */
    const keys = [];
    for (let index = first; index < last; index += 1) keys.push(this._key(index));
    const wanted = new Set(keys);
    /** @type {Row[]} */
    let leaving = [];
    this._shown.forEach((row, key) => void (wanted.has(key) || leaving.push(row)));
    const focused = this._focused();
    const astray = focused !== null && leaving.some((row) => row.element.contains(focused));
    // Where most leave, as after a jump, all rows change in place: to move them costs the browser more.
    const inPlace = leaving.length > this._shown.size / 2 && (astray || !focused);
    /** @type {Map<string | number, Row>} */
    const before = inPlace ? new Map() : this._shown;
    if (inPlace) leaving = [...this._shown.values()];
    else for (const row of leaving) row.element.remove();
    const free = [...leaving, ...this._spare].reverse();
    this._shown = new Map();
    let active = "";
    keys.forEach((key, at) => {
      const kept = before.get(key);
      const row = kept ?? free.pop() ?? this._make();
      if (anew || !kept) row.update(first + at);
      this._shown.set(key, row);
      row.element.id ||= `nds-row-${(made += 1)}`;
      if (this._isActive?.(first + at)) active = row.element.id;
    });
    for (const row of free) row.element.remove();
    this._spare = free.slice(0, MOST_SPARE);
    this._place();
    if (active) setAttribute(this.keyboard, "aria-activedescendant", active);
    else if (this._isActive) this.keyboard.removeAttribute("aria-activedescendant");
    // Keys go on from where they were when the row that had the focus has left.
    if (astray) this.keyboard.focus({ preventScroll: true });
  }

  /** @returns {Element | null} what has the focus in a row */
  _focused() {
    const { activeElement } = document;
    return activeElement && this._window.contains(activeElement) ? activeElement : null;
  }

  /** Put the rows in order; the one that has the focus would lose it if it were moved. */
  _place() {
    const focused = this._focused();
    /** @type {Node | null} */
    let next = null;
    for (const { element } of [...this._shown.values()].reverse()) {
      const right = element.parentNode === this._window && element.nextSibling === next;
      if (!right && !(focused && element.contains(focused))) this._window.insertBefore(element, next);
      next = element;
    }
  }
}

/**
 * Which row has the keyboard: arrows, page, home and end move it.
 *
 * @param {KeyboardEvent} event
 * @param {number} at
 * @param {VirtualList} rows
 * @returns {number | null} The row to go to; null where the key is another's.
 */
export function rowAfterKey(event, at, rows) {
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
