/** Virtual list: only the rows in view are in the document, all of one height, in the order in which they are seen. */

import { h, setAttribute } from "./dom.js";

/** Pixels. Browsers lose precision, then give up, on taller elements. */
const TALLEST_ELEMENT = 15_000_000;
/** Rows that are drawn beyond each end of the view. */
const OVERSCAN = 6;
/** Rows out of the document that are kept for later. */
const MOST_SPARE_ROWS = 100;

let lastRowId = 0;

/**
 * @typedef {object} Row an element that is used for one item after the other
 * @property {HTMLElement} element
 * @property {(index: number) => void} update show the item with this index
 */

/** Scrolling list that keeps its rows' elements, the focus in them, and its place when items come and go. */
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
    /** @type {Map<string | number, Row>} The rows in the document by their keys, in the order in which they are seen. */
    this._rows = new Map();
    /** @type {Row[]} */
    this._spareRows = [];
    this._window = h("div", { class: "nds-rows-window", role: "presentation" });
    this._spacer = h("div", { class: "nds-rows-space", role: "presentation" }, this._window);
    this.element = h("div", { ...props, class: `nds-rows ${props.class ?? ""}` }, this._spacer);
    /** @type {HTMLElement} What has the focus while keys go from row to row. */
    this.keyboard = this.element;
    // What the browser laid out is told by its events: to ask for it after a write would lay it out once more.
    this._viewHeight = 0;
    this._scrollTop = 0;
    this._spacerHeight = 0;
    this._frame = 0;
    this.element.addEventListener("scroll", () => this._onScroll(), { passive: true });
    this._observer = new ResizeObserver(() => this._onResize(this.element.clientHeight));
    this._observer.observe(this.element);
  }

  /**
   * @param {number} count
   * @param {number} [dropped] how many vanished at the beginning: what is in view stays there
   */
  setCount(count, dropped = 0) {
    const offset = this._rowOffset();
    this.count = count;
    const height = Math.min(count * this.height, TALLEST_ELEMENT);
    if (height !== this._spacerHeight) this._spacer.style.height = `${(this._spacerHeight = height)}px`;
    if (this.following) this.scrollToEnd();
    else if (dropped) this._scrollTo(this._scrollTopOf(offset - dropped * this.height));
    else this.refresh();
  }

  /** Draw what is in view anew. */
  refresh() {
    this._render(true);
  }

  /** @param {number} index */
  scrollToRow(index) {
    const start = index * this.height;
    const offset = this._rowOffset();
    if (this.count * this.height > TALLEST_ELEMENT) this._scrollTo(this._scrollTopOf(start - this._viewHeight / 2));
    else if (start < offset) this._scrollTo(start);
    else if (start + this.height > offset + this._viewHeight) this._scrollTo(start + this.height - this._viewHeight);
    else this.refresh();
  }

  scrollToEnd() {
    this._scrollTo(this._spacerHeight);
  }

  /** Index of the first row that is in view as a whole. */
  get firstVisible() {
    return Math.ceil(this._rowOffset() / this.height);
  }

  /** Rows by which Page Up and Page Down move. */
  get pageLength() {
    return Math.max(1, Math.floor(this._viewHeight / this.height) - 1);
  }

  dispose() {
    this._observer.disconnect();
    cancelAnimationFrame(this._frame);
  }

  _onScroll() {
    const { clientHeight, scrollTop } = this.element;
    // Out of the document, or not yet told of being back in it.
    if (!this._viewHeight || !clientHeight || scrollTop === this._scrollTop) return;
    if (clientHeight !== this._viewHeight) {
      // It is scrolled because it was resized, which says nothing of what somebody wants to see.
      if (!this.following) this._scrollTop = scrollTop;
      this._onResize(clientHeight);
      return;
    }
    this._scrollTop = scrollTop;
    const atEnd = this._scrollTop + this._viewHeight >= this._spacerHeight - 2;
    if (atEnd !== this.following) this._onFollow?.(atEnd);
    // Other listeners may ask for the layout still, so nothing is written before they have.
    this._frame ||= requestAnimationFrame(() => {
      this._frame = 0;
      this._render(false);
    });
  }

  /** @param {number} viewHeight 0 when it is out of the document */
  _onResize(viewHeight) {
    const isBack = this._viewHeight === 0;
    this._viewHeight = viewHeight;
    if (!viewHeight) return;
    if (this.following) this.scrollToEnd();
    // An element that was out of the document comes back at its beginning.
    else if (isBack && this._scrollTop) this._scrollTo(this._scrollTop);
    else this.refresh();
  }

  /** How far the view is from the first row, in pixels of rows. */
  _rowOffset() {
    const all = this.count * this.height;
    if (all <= TALLEST_ELEMENT) return this._scrollTop;
    // So many rows that the scrollbar stands for more than its pixels.
    return (this._scrollTop / (TALLEST_ELEMENT - this._viewHeight)) * (all - this._viewHeight);
  }

  /** @param {number} offset in pixels of rows @returns {number} where to scroll to for it */
  _scrollTopOf(offset) {
    const all = this.count * this.height;
    if (all <= TALLEST_ELEMENT) return offset;
    return (offset / (all - this._viewHeight)) * (TALLEST_ELEMENT - this._viewHeight);
  }

  /** @param {number} scrollTop */
  _scrollTo(scrollTop) {
    this._scrollTop = Math.max(0, Math.min(scrollTop, this._spacerHeight - this._viewHeight));
    this._render(true);
    // The last write: it makes the browser lay out what was written before.
    if (this._viewHeight) this.element.scrollTop = this._scrollTop;
  }

  /** @param {boolean} updateAll whether rows that stay in view may have changed */
  _render(updateAll) {
    if (!this._viewHeight) return;
    this._scrollTop = Math.max(0, Math.min(this._scrollTop, this._spacerHeight - this._viewHeight));
    const offset = this._rowOffset();
    const top = Math.floor(offset / this.height);
    const first = Math.max(0, top - OVERSCAN);
    const last = Math.min(this.count, top + Math.ceil(this._viewHeight / this.height) + 1 + OVERSCAN);
    this._renderRows(first, last, updateAll);
    const transform = `translateY(${this._scrollTop - offset + first * this.height}px)`;
    if (this._window.style.transform !== transform) this._window.style.transform = transform;
  }

  /** @param {number} first @param {number} last @param {boolean} updateAll */
  _renderRows(first, last, updateAll) {
    const keys = Array.from({ length: Math.max(0, last - first) }, (_none, at) => this._key(first + at));
    const focused = this._focusedElement();
    const { kept, free, losesFocus } = this._recycle(new Set(keys), focused);
    this._rows = new Map();
    let active = "";
    keys.forEach((key, at) => {
      const same = kept.get(key);
      const row = same ?? free.pop() ?? this._make();
      if (updateAll || !same) row.update(first + at);
      this._rows.set(key, row);
      row.element.id ||= `nds-row-${(lastRowId += 1)}`;
      if (this._isActive?.(first + at)) active = row.element.id;
    });
    for (const row of free) row.element.remove();
    this._spareRows = free.slice(0, MOST_SPARE_ROWS);
    this._orderElements();
    if (active) setAttribute(this.keyboard, "aria-activedescendant", active);
    else if (this._isActive) this.keyboard.removeAttribute("aria-activedescendant");
    // Keys go on from where they were when the row that had the focus has left.
    if (losesFocus) this.keyboard.focus({ preventScroll: true });
  }

  /**
   * Find the rows that stay, and those that are free for other items.
   *
   * @param {ReadonlySet<string | number>} wanted keys
   * @param {Element | null} focused
   * @returns {{ kept: Map<string | number, Row>, free: Row[], losesFocus: boolean }}
   */
  _recycle(wanted, focused) {
    /** @type {Row[]} */
    const leaving = [];
    this._rows.forEach((row, key) => void (wanted.has(key) || leaving.push(row)));
    const losesFocus = focused !== null && leaving.some((row) => row.element.contains(focused));
    // Where most leave, as after a jump, all rows change in place: to move them costs the browser more.
    if (leaving.length > this._rows.size / 2 && (losesFocus || !focused)) {
      return { kept: new Map(), free: [...this._rows.values(), ...this._spareRows].reverse(), losesFocus };
    }
    for (const row of leaving) row.element.remove();
    return { kept: this._rows, free: [...leaving, ...this._spareRows].reverse(), losesFocus };
  }

  /** @returns {Element | null} what has the focus in a row */
  _focusedElement() {
    const { activeElement } = document;
    return activeElement && this._window.contains(activeElement) ? activeElement : null;
  }

  /** Put the rows in order; the one that has the focus would lose it if it were moved. */
  _orderElements() {
    const focused = this._focusedElement();
    /** @type {Node | null} */
    let next = null;
    for (const { element } of [...this._rows.values()].reverse()) {
      const inPlace = element.parentNode === this._window && element.nextSibling === next;
      if (!inPlace && !(focused && element.contains(focused))) this._window.insertBefore(element, next);
      next = element;
    }
  }
}

/**
 * Find the row that a key leads to: arrows, Page Up and Down, Home and End.
 *
 * @param {KeyboardEvent} event
 * @param {number} at
 * @param {VirtualList} list
 * @returns {number | null} null where the key is another's
 */
export function rowAfterKey(event, at, list) {
  const last = list.count - 1;
  const to = /** @type {Record<string, number>} */ ({
    ArrowDown: at + 1,
    ArrowUp: at - 1,
    PageDown: at + list.pageLength,
    PageUp: at - list.pageLength,
    Home: 0,
    End: last,
  })[event.key];
  if (to === undefined || last < 0) return null;
  return Math.max(0, Math.min(last, to));
}
