/* A task on the screen: the bikes to move, both stations, and all that is known about it. */
import { problemName } from "./answers.js";
import { h, icon } from "./dom.js";
import { ago, bikes, clock, distance, duration, instant, now, route, stationName } from "./figures.js";
import { mapLinks } from "./maps.js";
import { unread } from "./memory.js";
import { button, quoted, screenLink } from "./parts.js";
import { address } from "./routes.js";
import { gettext, ngettext } from "./texts.js";

// The crew is warned this long before its time for the task ends.
const LEASE_WARNING = 30 * 60_000;

export function taskCard(task, iAmHere) {
  return h(
    "article.task",
    { id: `task-${task.id}` },
    quantity(task),
    h("ol.stops", null, origin(task), destination(task)),
    task.reason && h("p.reason", null, task.reason),
    h("p.facts", null, facts(task).join(" · ")),
    lease(task, iAmHere),
    readMessages(task),
    reported(task),
  );
}

function quantity({ qty: n, priority }) {
  const unit = ngettext("bike to move", "bikes to move", { n });
  return h(
    "p.quantity",
    null,
    h("strong", null, String(n)),
    " ",
    h("span", null, unit),
    priority > 0 && h("em.badge", null, gettext("Urgent")),
  );
}

function origin({ from: station, qty }) {
  return stop(gettext("From"), station, station.bikes < qty && fewBikes(station.bikes));
}

function destination({ to: station, qty }) {
  return stop(gettext("To"), station, station.docks < qty && fewDocks(station.docks));
}

function fewBikes(n) {
  if (n === null) return null;
  if (n === 0) return gettext("No bike is there.");
  return ngettext("Only %(n)s bike is there.", "Only %(n)s bikes are there.", { n });
}

function fewDocks(n) {
  if (n === null) return null;
  if (n === 0) return gettext("No dock is free.");
  return ngettext("Only %(n)s dock is free.", "Only %(n)s docks are free.", { n });
}

function stop(label, station, warning) {
  return h(
    "li.stop",
    null,
    h("p.end", null, label),
    h("h2", null, stationName(station)),
    !station.name && station.lat !== null && h("p.position", null, `${station.lat}, ${station.lon}`),
    h("p", null, counts(station)),
    station.closed
      ? h("p.caution", null, icon("alert"), gettext("The station is closed."))
      : warning && h("p.caution", null, icon("alert"), warning),
    mapLinks(station),
  );
}

function counts({ bikes: n, docks, counted_at }) {
  if (n === null || docks === null || !counted_at) return gettext("No count of bikes and docks");
  const free = ngettext("%(n)s free dock", "%(n)s free docks", { n: docks });
  return [`${bikes(n)}, ${free} `, h("span.whole", null, `(${ago(instant(counted_at))})`)];
}

function facts(task) {
  return [
    task.km !== null && distance(task.km),
    gettext("Waiting since %(time)s", { time: clock(instant(task.created_at)) }),
    gettext("Task %(id)s", { id: task.id }),
  ].filter(Boolean);
}

/* The end of the task's lease, in words. */
function lease({ lease_expires_at }, iAmHere) {
  if (!lease_expires_at) return null;
  const end = instant(lease_expires_at);
  const left = end - now();
  const time = clock(end);
  const soon = left < LEASE_WARNING;
  const words =
    left > 0
      ? gettext("Kept for you until %(time)s", { time })
      : gettext("Kept for you until %(time)s. It may have been given to another crew: report it all the same.", { time });
  return h(
    "div.lease",
    { class: soon ? "lease caution" : "lease" },
    h("p", null, soon && left > 0 ? `${words} (${duration(left)})` : words),
    button(gettext("I am here"), iAmHere, { style: "small" }),
  );
}

/* Messages that the crew has read. */
function readMessages(task) {
  const open = unread(task);
  const read = (task.messages ?? []).filter((message) => !open.includes(message));
  if (read.length === 0) return null;
  return h(
    "section.log",
    null,
    h("h3", null, gettext("Messages from dispatch")),
    read.map(({ text, at }) => h("p", null, `${clock(instant(at))} ${quoted(text)}`)),
  );
}

function reported(task) {
  if (!task.problems?.length) return null;
  return h(
    "section.log",
    null,
    h("h3", null, gettext("Problems you reported")),
    task.problems.map(({ problems, note, at }) =>
      h("p", null, [clock(instant(at)), ...problems.map(problemName), note && quoted(note)].filter(Boolean).join(" · ")),
    ),
  );
}

/* The buttons below a task. */
export function taskActions(task) {
  return h(
    "div.dock",
    null,
    screenLink(gettext("Problem"), ["problem", task.id], { style: "quiet" }),
    screenLink(gettext("Done"), ["done", task.id], { style: "primary", picture: "check" }),
  );
}

/* The other tasks that the crew holds, each with a link to it. */
export function otherTasks(tasks) {
  if (tasks.length === 0) return null;
  const heading = ngettext("%(n)s more task is yours", "%(n)s more tasks are yours", { n: tasks.length });
  return h("section.others", null, h("h2", null, heading), h("ul", null, tasks.map(otherTask)));
}

function otherTask(task) {
  return h(
    "li",
    null,
    h(
      "a.row",
      { href: address("task", task.id) },
      h("strong", null, bikes(task.qty)),
      h("span", null, route(task)),
      unread(task).length > 0 && h("em", null, gettext("New message")),
    ),
  );
}
