/* The first screen: the oldest task of the crew, or the button for the next one. */
import { h } from "./dom.js";
import * as engine from "./engine.js";
import { clock, duration, onServer } from "./figures.js";
import { button, screenLink, title } from "./parts.js";
import { otherTasks, taskActions, taskCard } from "./tasks.js";
import { gettext, ngettext } from "./texts.js";

// The server counts no further.
const MOST_WAITING = 100;

/* Tasks that the crew has still to do: a task disappears with the report that ends it. */
export function openTasks({ tasks }) {
  return tasks.filter(({ report }) => !report || report.kind === "problem");
}

/* `chosen`: the id of a task, or null for the oldest. */
export function home(view, chosen, iAmHere) {
  const open = openTasks(view);
  const task = open.find(({ id }) => id === chosen) ?? open[0];
  return task ? busy(task, open.filter((other) => other !== task), iAmHere) : free(view);
}

function busy(task, others, iAmHere) {
  return h(
    "main",
    null,
    title(gettext("Your task"), { hidden: true }),
    taskCard(task, iAmHere),
    h("p.aside", null, screenLink(gettext("Give the task back"), ["give_back", task.id], { style: "text" })),
    otherTasks(others),
    taskActions(task),
  );
}

function free(view) {
  return h(
    "main.free",
    null,
    title(gettext("You are free")),
    waiting(view),
    day(view),
    h("div.dock", null, claimAnswer(view), nextButton(view)),
  );
}

function waiting({ waiting: n }) {
  if (n === null || n === undefined) return null;
  if (n === 0) return h("p", null, gettext("No task waits for you."));
  if (n >= MOST_WAITING) return h("p", null, gettext("%(n)s tasks wait, or more.", { n }));
  return h("p", null, ngettext("%(n)s task waits.", "%(n)s tasks wait.", { n }));
}

function day({ day: done, crew }) {
  if (!done) return null;
  return h(
    "section.day",
    { "aria-label": gettext("Today") },
    figure(done.tasks, ngettext("task done today", "tasks done today", { n: done.tasks })),
    figure(done.bikes, ngettext("bike moved today", "bikes moved today", { n: done.bikes })),
    crew?.areas?.length > 0 &&
      h("p.areas", null, gettext("Your areas: %(names)s", { names: crew.areas.join(", ") })),
  );
}

function figure(number, label) {
  return h("p.figure", null, h("strong", null, String(number)), " ", h("span", null, label));
}

function nextButton({ claim, signedIn }) {
  if (signedIn === false) return screenLink(gettext("Join"), ["join"], { style: "primary huge" });
  if (claim === "asking") {
    return button(gettext("Asking for a task …"), null, { style: "primary huge", busy: true });
  }
  const label = claim === "lost" ? gettext("Ask again") : gettext("Next task");
  return button(label, () => engine.claimNext(), { style: "primary huge", id: "next" });
}

function claimAnswer(view) {
  const words = claimWords(view);
  return words && h("p.answer", null, words);
}

function claimWords({ claim, retryAt, unsent: n, connection, crew }) {
  switch (claim) {
    case "none": return noTask(retryAt);
    case "lost":
      return gettext("No answer. Ask again when there is a connection: you will not get two tasks.");
    case "inactive": return gettext("Your crew is not active. Call dispatch.");
    default:
      if (n > 0 && connection === "lost" && crew) {
        return gettext("Your reports are sent first, as soon as there is a connection.");
      }
      return null;
  }
}

function noTask(retryAt) {
  const left = (retryAt ?? 0) - Date.now();
  if (left <= 0) return gettext("No task for you now. Ask again.");
  if (left < 90_000) {
    return gettext("No task for you now. Ask again in %(time)s.", { time: duration(left) });
  }
  return gettext("No task for you now. Ask again at %(time)s.", { time: clock(onServer(retryAt)) });
}

