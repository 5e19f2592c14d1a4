/* The reports of the crew. Each is saved at the tap, and leaves the phone only once it is settled and
   dismissed: never because of its age or the number of tries. */
import { change, changeState, crewId, phone, tab, uuid } from "./model.js";

const VERSION = 1;
const HOLD_MS = 6_000;
// Shown for a moment, before the next answer about the crew's tasks takes their place.
const SETTLED_MS = 60_000;
// The server's limit.
const NOTE_LENGTH = 2000;
const ENDS_TASK = ["done", "give_back"];

/* Saves a report. Resolves to its id once it is on the disk. A second tap saves nothing more. */
export function add(kind, task, values) {
  const report = {
    id: uuid(),
    v: VERSION,
    crew: crewId(),
    kind,
    task_id: task.id,
    attempt: task.attempt,
    task: withoutReport(task),
    values,
    tappedAt: Date.now(),
    held: true,
    tries: 0,
    state: "waiting",
    answer: null,
  };
  return change(async (rows) => {
    const reports = await rows.all("reports");
    const same = reports.find((other) => isRepeated(other, report));
    if (same) return same.id;
    const seq = 1 + Math.max(0, ...reports.map((other) => other.seq));
    await rows.put("reports", { ...report, seq });
    return report.id;
  });
}

function isRepeated(other, report) {
  if (other.id === report.id) return true;
  return ENDS_TASK.includes(report.kind) && other.state === "waiting" && isAbout(other, report);
}

function isAbout(other, { crew, kind, task_id, attempt }) {
  return other.crew === crew && other.kind === kind && other.task_id === task_id && other.attempt === attempt;
}

function withoutReport({ report, ...task }) {
  return task;
}

/* False if the report has been sent, or may have been. */
export function undo(id) {
  return change(async (rows) => {
    const report = await rows.get("reports", id);
    const canUndo = report?.state === "waiting" && !report.tries;
    if (canUndo) await rows.remove("reports", id);
    return canUndo;
  });
}

/* Ends the time in which reports can be undone. */
export async function releaseHeld() {
  if (!phone.reports.some(isHeld)) return;
  await change(async (rows) => {
    for (const report of await rows.all("reports")) {
      if (report.held) await rows.put("reports", { ...report, held: false });
    }
  });
}

/* Drops a settled or refused report, or the notice that a task has ended. */
export function dismiss(id) {
  return change(async (rows) => {
    const report = await rows.get("reports", String(id));
    if (report && report.state !== "waiting") await rows.remove("reports", report.id);
    const isDismissed = (end) => (report ? isAboutEnd(report, end) : end.task_id === id);
    await changeState(rows, (state) => ({ ...state, ended: state.ended.filter((end) => !isDismissed(end)) }));
  });
}

/* The crew may have got the task again since its report. */
export function isAboutEnd(report, { task_id, task }) {
  return report.task_id === task_id && (!task || task.attempt === report.task.attempt);
}

/* A clock that was set back must not hold a report. */
export function isHeld({ held, state, tries, tappedAt }) {
  const age = Date.now() - tappedAt;
  return held && state === "waiting" && !tries && age >= 0 && age < HOLD_MS;
}

export function untilReleased({ tappedAt }) {
  return HOLD_MS - (Date.now() - tappedAt);
}

export function isUnsent(report) {
  return report.state === "waiting" && report.crew === crewId();
}

/* The oldest report that may be sent now. Reports about one task keep their order; those of `skipped`
   ids wait, and so do later ones about their tasks. */
export function nextToSend(skipped) {
  const blocked = new Set();
  return phone.reports.filter(isUnsent).find((report) => {
    if (skipped.has(report.id) || isHeld(report)) blocked.add(report.task_id);
    return !blocked.has(report.task_id);
  });
}

/* Notes a try before it happens: from now on the server may have the report. Returns the request's
   body, or null if the report was undone or settled meanwhile. */
export function begin(id) {
  return change(async (rows) => {
    const report = await rows.get("reports", id);
    if (report?.state !== "waiting") return null;
    await rows.put("reports", { ...report, tries: report.tries + 1 });
    return body(report);
  });
}

/* The age is of the phone's one clock, so its error cancels out. */
function body({ id, v, kind, task_id, attempt, tappedAt, values }) {
  const age = (Date.now() - tappedAt) / 1000;
  return { v, id, kind, task_id, attempt, age, tapped_at: new Date(tappedAt).toISOString(), ...values };
}

/* `state`: "settled" or "refused". The task is no longer the crew's if the report ended it. */
export function finish(id, state, status, answer) {
  return change(async (rows) => {
    const report = await rows.get("reports", id);
    if (!report) return;
    await rows.put("reports", { ...report, state, status, answer, settledAt: Date.now() });
    const isOver = state === "settled" && (status === 409 || ENDS_TASK.includes(report.kind));
    await changeState(rows, (known) => (isOver ? withoutTask(known, report, status) : known));
  });
}

function withoutTask(state, { task_id, attempt }, status) {
  const isOther = (task) => task.id !== task_id || task.attempt !== attempt;
  const ended = status === 200 ? state.ended.filter((end) => end.task_id !== task_id) : state.ended;
  return { ...state, tasks: state.tasks.filter(isOther), missing: state.missing.filter(isOther), ended };
}

/* In a transaction: drops reports that the server has taken, once its own answer shows their effect. */
export async function dropTaken(rows) {
  for (const report of await rows.all("reports")) {
    const isTaken = report.state === "settled" && report.status === 200;
    if (isTaken && Math.abs(Date.now() - report.settledAt) > SETTLED_MS) await rows.remove("reports", report.id);
  }
}

/* As the screen shows it. */
export function shown(report) {
  const { id, kind, task_id, task, values, tappedAt, answer, crew, state } = report;
  let status = state;
  if (tab.sending === id) status = "sending";
  else if (isHeld(report)) status = "held";
  return { id, kind, task_id, task, values, tappedAt, status, answer, crew };
}

/* All reports as text, to be passed on by hand. */
export function asText() {
  return phone.reports.map((report) => [...words(report), report.state, report.id].join("; ")).join("\n");
}

/* A refused report as a note that the server takes: no odd characters, and not too long. */
export function asNote(report) {
  const text = ["Refused report", ...words(report)].join("; ");
  return text.slice(0, NOTE_LENGTH).replace(/\p{C}/gu, " ");
}

function words({ tappedAt, crew, kind, task_id, values }) {
  const details = Object.entries(values).filter(([, value]) => value !== null && value !== "");
  const said = details.map(([name, value]) => `${name}: ${value}`);
  return [new Date(tappedAt).toISOString(), crew, kind, `task ${task_id}`, ...said];
}

export function endsTask({ kind }) {
  return ENDS_TASK.includes(kind);
}
