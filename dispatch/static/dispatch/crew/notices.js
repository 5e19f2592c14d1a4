/* Notices above every screen until the crew dismisses them: changes and messages of the dispatcher,
   unexpected answers to reports, and the last report, which can still be undone. */
import { answerTo, endOf, isSurprising, reportName } from "./answers.js";
import * as engine from "./engine.js";
import { clock, instant, route } from "./figures.js";
import { dismissNotice, draftName, keepDraft, markRead, memory, unread } from "./memory.js";
import { button, panel, quoted, screenLink } from "./parts.js";
import { current, go } from "./routes.js";
import { gettext } from "./texts.js";

/* `redraw` shows the page again after a change that the engine does not see. */
export function notices(view, redraw) {
  const reports = current().name === "outbox" ? [] : view.outbox;
  return [
    ...reports.filter(({ status }) => status === "held").map(saved),
    ...reports.filter(isSurprising).map(answered),
    ...view.ended.filter((end) => !reports.some((entry) => explains(entry, end))).map(ended),
    ...changes(view, redraw),
    ...view.tasks.filter((task) => unread(task).length > 0).map((task) => message(task, redraw)),
  ];
}

function saved(entry) {
  const undo = button(gettext("Undo"), () => takeBack(entry), { style: "quiet" });
  const lines = [`${reportName(entry)} · ${route(entry.task)}`];
  return panel("info", gettext("Saved on this phone"), lines, [undo], `saved-${entry.id}`);
}

/* The form opens again as it was, unless the report has been sent meanwhile. */
async function takeBack({ id, kind, task, values }) {
  if (!(await engine.undo(id))) return;
  keepDraft(draftName(kind, task), values);
  go(kind, task.id);
}

function answered(entry) {
  const refused = entry.status === "refused";
  const lines = [`${reportName(entry)} · ${route(entry.task)}`, answerTo(entry)];
  const heading = refused ? gettext("Report refused") : gettext("Answer to your report");
  const action = refused
    ? screenLink(gettext("See the report"), ["outbox"], { style: "quiet" })
    : button(gettext("OK"), () => engine.dismiss(entry.id), { style: "quiet" });
  return panel(refused ? "alarm" : "warning", heading, lines, [action], `answer-${entry.id}`);
}

/* The answer to a report says what became of its task. */
function explains(entry, { task_id, task }) {
  const isAbout = entry.task_id === task_id && (!task || task.attempt === entry.task?.attempt);
  return isAbout && entry.status === "settled" && isSurprising(entry);
}

function ended(end) {
  const { task_id, task, reason } = end;
  const lines = [
    task && route(task),
    endOf(end),
    reason && gettext("Reason: %(text)s", { text: quoted(reason) }),
  ];
  const actions = [
    button(gettext("OK"), () => engine.dismiss(task_id), { style: "quiet" }),
    task && end.code !== "done" && current().name !== "done" &&
      screenLink(gettext("I moved bikes"), ["done", task_id], { style: "quiet" }),
  ];
  const tone = end.code === "done" ? "info" : "alarm";
  return panel(tone, endName(end), lines, actions.filter(Boolean), `ended-${task_id}`);
}

function endName({ code }) {
  switch (code) {
    case "cancelled": return gettext("Task cancelled");
    case "done": return gettext("Task completed");
    default: return gettext("No longer your task");
  }
}

function changes(view, redraw) {
  return memory.notices.map((notice) => {
    const task = view.tasks.find(({ id }) => id === notice.task_id);
    const done = button(gettext("OK"), () => redraw(dismissNotice(notice.id)), { style: "quiet" });
    return panel("warning", changeName(notice), [route(task)], [done], `change-${notice.id}`);
  });
}

function changeName({ kind }) {
  switch (kind) {
    case "raised": return gettext("Dispatch made this task more urgent");
    case "lowered": return gettext("Dispatch made this task less urgent");
    default: return gettext("Dispatch gave you a task");
  }
}

function message(task, redraw) {
  const lines = unread(task).map(({ text, at }) => `${clock(instant(at))} ${quoted(text)}`);
  const read = button(gettext("OK, read"), () => redraw(markRead(task)), { style: "quiet" });
  const heading = gettext("Message from dispatch");
  return panel("warning message", heading, [route(task), ...lines], [read], `message-${task.id}`);
}
