/* Every report that is still on this phone, with its state and the server's answer. */
import { answerTo, problemName, reportName, statusName } from "./answers.js";
import { h } from "./dom.js";
import * as engine from "./engine.js";
import { ago, clock, onServer, route } from "./figures.js";
import { button, quoted, title } from "./parts.js";
import { gettext } from "./texts.js";

// The report whose removal is to be confirmed.
let doomed = null;

export function outbox(view, redraw, say) {
  const entries = [...view.outbox].reverse();
  return h(
    "main",
    null,
    title(gettext("Reports on this phone")),
    entries.length === 0 && h("p", null, gettext("Everything is sent.")),
    entries.length > 0 && [
      h(
        "div.actions",
        null,
        button(gettext("Send now"), () => engine.sendNow(), { style: "primary", picture: "up" }),
        button(gettext("Copy as text"), () => copy(say, redraw), { style: "quiet", id: "copy-text" }),
      ),
      shown && h("pre.copy", { tabindex: "0" }, engine.outboxText()),
      h("ul.entries", null, entries.map((entry) => row(entry, redraw))),
    ],
  );
}

// True once the clipboard refused the text: it can be selected by hand then.
let shown = false;

async function copy(say, redraw) {
  try {
    await navigator.clipboard.writeText(engine.outboxText());
    say(gettext("Copied. You can paste it into a message to dispatch."));
  } catch {
    redraw((shown = true));
    say(gettext("Select the text below and copy it."));
  }
}

function row(entry, redraw) {
  return h(
    "li.entry",
    { class: `entry ${entry.status}`, id: `entry-${entry.id}` },
    h("h2", null, reportName(entry)),
    h("p", null, route(entry.task)),
    h("p.detail", null, detail(entry)),
    h("p.status", null, `${statusName(entry.status)} · ${clock(onServer(entry.tappedAt))} (${ago(onServer(entry.tappedAt))})`),
    entry.answer && h("p.answer", null, answerTo(entry)),
    actions(entry, redraw),
  );
}

function detail({ values }) {
  const text = values.note || values.reason;
  return [...(values.problems ?? []).map(problemName), text && quoted(text)].filter(Boolean).join(" · ");
}

/* A refused report can be sent as a note, or removed after a second tap. One that waits cannot be
   removed: it would be lost. */
function actions({ id, status, answer }, redraw) {
  if (status === "settled") {
    return button(gettext("OK"), () => engine.dismiss(id), { style: "small" });
  }
  if (status !== "refused") return null;
  if (doomed === id) return removal(id, redraw);
  return h(
    "div.actions",
    null,
    // There would be no task to keep the note with.
    answer.code !== "unknown_task" &&
      button(gettext("Send as a note to dispatch"), () => engine.sendAsNote(id), { style: "small", id: `note-${id}` }),
    button(gettext("Remove"), () => redraw((doomed = id)), { style: "small" }),
  );
}

function removal(id, redraw) {
  return h(
    "div.actions",
    null,
    h("p", null, gettext("Dispatch will never get this report.")),
    button(gettext("Remove it"), () => engine.dismiss(id), { style: "danger" }),
    button(gettext("Keep it"), () => redraw((doomed = null)), { style: "quiet" }),
  );
}
