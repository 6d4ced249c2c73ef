/** Pick a path of the data root in a dialog. */

/** @import { Host } from "./types.js" */
/** @import { Store } from "./store.js" */
import { DataBrowser } from "./data.js";
import { ask } from "./dialog.js";
import { h } from "./dom.js";

/**
 * @param {Store} store
 * @param {Host} host
 * @param {HTMLElement} near
 * @returns {Promise<string | null>}
 */
export async function pickData(store, host, near) {
  const browser = new DataBrowser(store, host, "", { picking: true });
  const place = h("div", { class: "nds-pick" }, browser.element);
  const said = await ask(near, "Pick data", [place], { accept: "Pick" });
  browser.dispose();
  return said ? browser.chosenPath : null;
}
