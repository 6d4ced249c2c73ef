/** Modal dialogs on the browser's own `dialog` element: a confirmation and a prompt for one text. */

import { button, h } from "./dom.js";

/**
 * Ask for a confirmation.
 *
 * @param {HTMLElement} near whose document and theme the dialog belongs to
 * @param {string} title
 * @param {(string | Node)[]} body
 * @param {{ accept: string, danger?: boolean }} options
 * @returns {Promise<boolean>} whether it was accepted
 */
export function confirmDialog(near, title, body, { accept, danger = false }) {
  return new Promise((resolve) => {
    const close = (/** @type {boolean} */ answer) => {
      dialog.close();
      dialog.remove();
      resolve(answer);
    };
    const dialog = h(
      "dialog",
      { class: "nds nds-dialog", "aria-label": title, onclose: () => close(false) },
      h("h2", {}, title),
      h("div", { class: "nds-dialog-body" }, ...body),
      h(
        "div",
        { class: "nds-dialog-buttons" },
        button("Cancel", () => close(false)),
        button(accept, () => close(true), { class: `nds-button ${danger ? "nds-danger" : "nds-accept"}` }),
      ),
    );
    dialog.addEventListener("keydown", (event) => {
      // Otherwise JupyterLab takes the keys for its own shortcuts.
      event.stopPropagation();
      const field = event.target instanceof HTMLInputElement;
      if (event.key !== "Enter" || !field) return;
      // The focus goes back to the button that asked, which the same key would press again.
      event.preventDefault();
      close(true);
    });
    near.ownerDocument.body.append(dialog);
    dialog.showModal();
  });
}

/**
 * Ask for a text.
 *
 * @param {HTMLElement} near
 * @param {string} title
 * @param {string} label
 * @param {string} value
 * @param {string} accept
 * @returns {Promise<string | null>} null where it was cancelled
 */
export async function promptDialog(near, title, label, value, accept) {
  const field = h("input", { type: "text", value, class: "nds-input" });
  const accepted = await confirmDialog(near, title, [h("label", { class: "nds-field" }, label, field)], { accept });
  return accepted ? field.value.trim() : null;
}
