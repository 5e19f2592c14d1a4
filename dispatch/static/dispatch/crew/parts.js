/* Pieces that several screens share. */
import { h, icon } from "./dom.js";
import { address } from "./routes.js";
import { gettext } from "./texts.js";

export function button(label, onclick, { style = "", picture = null, busy = false, id = null } = {}) {
  const classes = style && `.${style.replaceAll(" ", ".")}`;
  return h(
    `button.button${classes}`,
    { type: "button", id, onclick: busy ? null : onclick, "aria-disabled": busy && "true" },
    picture && icon(picture),
    h("span", null, label),
  );
}

/* A link that looks like a button and leads to a screen. */
export function screenLink(label, [name, id], { style = "", picture = null } = {}) {
  const classes = style && `.${style.replaceAll(" ", ".")}`;
  return h(
    `a.button${classes}`,
    { href: address(name, id) },
    picture && icon(picture),
    h("span", null, label),
  );
}

/* The screen's title, which gets the focus when the screen opens. */
export function title(text, { hidden = false } = {}) {
  return h(hidden ? "h1.visually-hidden" : "h1", { tabindex: "-1", id: "title" }, text);
}

/* Something to know and to act on. `tone`: "info", "warning" or "alarm". */
export function panel(tone, heading, lines, actions = [], id = null) {
  return h(
    `section.panel.${tone}`,
    { id },
    h("h2", null, icon(tone === "info" ? "message" : "alert"), h("span", null, heading)),
    lines.filter(Boolean).map((line) => h("p", null, line)),
    actions.length > 0 && h("div.actions", null, actions),
  );
}

export function chips(label, options, chosen, toggle) {
  return h(
    "fieldset.chips",
    null,
    h("legend", null, label),
    options.map(([code, name]) =>
      h(
        "button.chip",
        {
          type: "button",
          "aria-pressed": String(chosen.includes(code)),
          onclick: () => toggle(code),
        },
        chosen.includes(code) && icon("check"),
        h("span", null, name),
      ),
    ),
  );
}

export function noteField(label, value, oninput) {
  return h(
    "label.field",
    null,
    h("span", null, label),
    h("textarea", { rows: "3", maxlength: "500", oninput: (event) => oninput(event.target.value) }, value),
  );
}

export function quoted(text) {
  return gettext("“%(text)s”", { text });
}
