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
    removal(entry, redraw),
  );
}

function detail({ values }) {
  const text = values.note || values.reason;
  return [...(values.problems ?? []).map(problemName), text && quoted(text)].filter(Boolean).join(" · ");
}

/* A refused report can be removed, after a second tap. One that waits cannot: it would be lost. */
function removal({ id, status }, redraw) {
  if (status === "settled") {
    return button(gettext("OK"), () => engine.dismiss(id), { style: "small" });
  }
  if (status !== "refused") return null;
  if (doomed !== id) {
    return button(gettext("Remove"), () => redraw((doomed = id)), { style: "small" });
  }
  return h(
    "div.actions",
    null,
    h("p", null, gettext("Dispatch will never get this report.")),
    button(gettext("Remove it"), () => engine.dismiss(id), { style: "danger" }),
    button(gettext("Keep it"), () => redraw((doomed = null)), { style: "quiet" }),
  );
}
