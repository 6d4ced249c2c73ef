/** The metadata of one path: attribute, value, unit; add and remove. */

/** @import { Avu } from "./types.js" */
/** @import { Api } from "./api.js" */
import { metadata, setMetadata } from "./dataapi.js";
import { button, h, iconButton, setText } from "./dom.js";
import { icon } from "./icons.js";

/** @param {Api} api @param {string} path */
export function makeAvus(api, path) {
  /** @type {Avu[]} */
  let avus = [];
  const body = h("tbody", {});
  const status = h("p", { class: "nds-preview-note", role: "status" }, "loading …");
  const inputs = ["Attribute", "Value", "Unit"].map((label) =>
    h("input", { type: "text", class: "nds-input", placeholder: label, title: label, "aria-label": label, onkeydown: key }),
  );
  const form = h("div", { class: "nds-avu-form" }, ...inputs, button("Add", add));
  const element = h(
    "section",
    { class: "nds-avus", "aria-label": "Metadata" },
    h("h3", {}, "Metadata"),
    h("table", { class: "nds-avu-table" }, body),
    status,
    form,
  );

  /** @param {KeyboardEvent} event */
  function key(event) {
    event.stopPropagation();
    if (event.key === "Enter") add();
  }

  function draw() {
    setText(status, avus.length ? "" : "none");
    body.replaceChildren(
      ...avus.map((avu) =>
        h(
          "tr",
          {},
          ...[avu.name, avu.value, avu.unit ?? ""].map((text) => h("td", {}, text)),
          h("td", {}, iconButton(icon("close"), `Remove ${avu.name}`, () => put(avus.filter((each) => each !== avu)))),
        ),
      ),
    );
  }

  function add() {
    const [name, value, unit] = inputs.map((input) => input.value.trim());
    if (!name || !value) {
      setText(status, "Attribute and value are needed.");
      return;
    }
    put([...avus, { name, value, unit }]).then((done) => {
      if (done) for (const input of inputs) input.value = "";
    });
  }

  /** @param {Avu[]} wanted */
  async function put(wanted) {
    try {
      avus = (await setMetadata(api, path, wanted)) ?? wanted;
      draw();
      return true;
    } catch (error) {
      setText(status, /** @type {Error} */ (error).message);
      return false;
    }
  }

  metadata(api, path).then(
    (found) => {
      avus = found;
      draw();
    },
    (error) => {
      setText(status, error.message);
      form.hidden = true;
    },
  );
  return element;
}
