/* Settings and help: language, the phone's storage, signing out. */
import { h } from "./dom.js";
import * as engine from "./engine.js";
import { clock, onServer } from "./figures.js";
import { button, panel, screenLink, title } from "./parts.js";
import { gettext, language, languages, ngettext } from "./texts.js";

// True once the browser promised to keep what the page stored; null while it was not asked.
let persisted = null;
let leaving = false;

export async function askStorage() {
  persisted = (await navigator.storage?.persisted?.()) ?? false;
}

export function help(view, choose, redraw, say) {
  return h(
    "main",
    null,
    title(gettext("Settings and help")),
    languageChoice(choose),
    screenLink(gettext("Reports on this phone"), ["outbox"], { style: "quiet" }),
    about(view),
    h(
      "div.actions",
      null,
      button(gettext("Reload the page"), () => location.reload(), { style: "quiet" }),
      !leaving && button(gettext("Sign this phone out"), () => ask(redraw), { style: "quiet", id: "sign-out" }),
    ),
    leaving && farewell(view, redraw, say),
  );
}

function ask(redraw) {
  leaving = true;
  redraw();
  document.getElementById("farewell").scrollIntoView({ block: "end" });
}

function languageChoice(choose) {
  return h(
    "fieldset.chips",
    null,
    h("legend", null, gettext("Language")),
    Object.entries(languages).map(([code, { name }]) =>
      h(
        "button.chip",
        { type: "button", lang: code, "aria-pressed": String(code === language), onclick: () => choose(code) },
        name,
      ),
    ),
  );
}

function about(view) {
  return h(
    "dl",
    null,
    item(gettext("Crew"), `${view.crew.name || view.crew.worker_id} (${view.crew.worker_id})`),
    view.device && item(gettext("Phone"), view.device.label),
    item(gettext("Last answer from dispatch"), view.stateAt ? clock(onServer(view.stateAt)) : gettext("None yet")),
    item(
      gettext("Without a connection"),
      view.canWorkOffline
        ? gettext("This page opens and takes reports.")
        : gettext("This page does not open here. It works online only."),
    ),
    item(
      gettext("Storage"),
      persisted
        ? gettext("The browser keeps reports until they are sent.")
        : gettext("The browser may delete reports if the phone is full. Send them soon, and never clear the browser's data."),
    ),
    view.version && item(gettext("Version"), view.version),
  );
}

function item(name, value) {
  return h("div", null, h("dt", null, name), h("dd", null, value));
}

function farewell(view, redraw, say) {
  const n = view.outbox.filter(({ status }) => status !== "settled").length;
  const warning = n
    ? ngettext(
        "%(n)s report is not sent. It stays on this phone until it joins the same crew again.",
        "%(n)s reports are not sent. They stay on this phone until it joins the same crew again.",
        { n },
      )
    : gettext("To use this phone again, you need a new code from dispatch.");
  const tone = n ? "alarm" : "warning";
  return panel(tone, gettext("Sign out?"), [warning], [
    button(gettext("Sign out"), () => leave(redraw, say), { style: "danger" }),
    button(gettext("Stay"), () => redraw((leaving = false)), { style: "quiet" }),
  ], "farewell");
}

/* The server has to know: it revokes the phone. */
async function leave(redraw, say) {
  redraw((leaving = false));
  try {
    await engine.signOut();
  } catch {
    say(gettext("No connection."));
  }
}
