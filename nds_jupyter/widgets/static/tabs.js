/** ARIA tabs: arrow keys move, a panel is made when it is first shown. */

import { h, setAttribute } from "./dom.js";

/**
 * @typedef {object} Tab
 * @property {string} id
 * @property {string} label
 * @property {() => Panel} make
 *
 * @typedef {object} Panel content of a tab
 * @property {HTMLElement} element
 * @property {() => void} dispose
 * @property {(visible: boolean) => void} [onVisibility]
 */

let lastTabsId = 0;

/** Tab bar with the panel of the chosen tab below it. */
export class Tabs {
  /** @param {string} label @param {Tab[]} tabs */
  constructor(label, tabs) {
    const prefix = `nds-tabs-${(lastTabsId += 1)}`;
    this._tabs = tabs;
    /** @type {Map<string, Panel>} */
    this._panels = new Map();
    this._buttons = tabs.map((tab) =>
      h(
        "button",
        {
          type: "button",
          class: "nds-tab",
          role: "tab",
          id: `${prefix}-${tab.id}`,
          "aria-controls": `${prefix}-panel`,
          "data-tab": tab.id,
          onclick: () => this.select(tab.id),
        },
        tab.label,
      ),
    );
    this._body = h("div", { class: "nds-tab-body", role: "tabpanel", id: `${prefix}-panel` });
    const bar = h("div", { class: "nds-tab-bar", role: "tablist", "aria-label": label }, ...this._buttons);
    bar.addEventListener("keydown", (event) => this._onKey(event));
    this.element = h("div", { class: "nds-tabs" }, bar, this._body);
    this.selected = "";
    this.select(tabs[0].id);
  }

  /** @param {string} id */
  select(id) {
    const tab = this._tabs.find((each) => each.id === id);
    if (!tab || id === this.selected) return;
    this._panels.get(this.selected)?.onVisibility?.(false);
    this.selected = id;
    for (const button of this._buttons) {
      const chosen = button.dataset.tab === id;
      setAttribute(button, "aria-selected", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
      if (chosen) setAttribute(this._body, "aria-labelledby", button.id);
    }
    let panel = this._panels.get(id);
    if (!panel) this._panels.set(id, (panel = tab.make()));
    this._body.replaceChildren(panel.element);
    panel.onVisibility?.(true);
  }

  dispose() {
    for (const panel of this._panels.values()) panel.dispose();
  }

  /** @param {KeyboardEvent} event */
  _onKey(event) {
    const at = this._tabs.findIndex(({ id }) => id === this.selected);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const to = (at + step + this._tabs.length) % this._tabs.length;
    this.select(this._tabs[to].id);
    this._buttons[to].focus();
    event.preventDefault();
    event.stopPropagation();
  }
}
