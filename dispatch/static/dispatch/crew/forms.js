/* Done, give back and problem. Typed text survives a reload. */
import { PROBLEMS, problemName } from "./answers.js";
import { h } from "./dom.js";
import * as engine from "./engine.js";
import { bikes, route } from "./figures.js";
import { draft, draftName, dropDraft, keepDraft } from "./memory.js";
import { button, chips, noteField, panel, title } from "./parts.js";
import { goHome } from "./routes.js";
import { stepper } from "./stepper.js";
import { gettext, ngettext } from "./texts.js";

/* The form of a kind of report. `redraw` shows it again after each change. */
export function form(kind, task, redraw) {
  const name = draftName(kind, task);
  const values = draft(name, { moved_qty: task.qty, note: "", problems: [], reason: "" });
  const set = (change) => redraw(keepDraft(name, { ...values, asked: false, ...change }));
  const save = (report) => send(kind, task, report, name);
  const parts = { done, give_back: giveBack, problem }[kind](task, values, set, save);
  return h("main.form", null, parts);
}

// A second tap before the first report is saved must not make another one.
let saving = false;

async function send(kind, task, report, name) {
  if (saving) return;
  saving = true;
  try {
    await engine.report(kind, task, report);
    dropDraft(name);
    goHome();
  } finally {
    saving = false;
  }
}

function done(task, values, set, save) {
  const { moved_qty, note, problems } = values;
  const more = moved_qty > task.qty;
  const report = () => save({ moved_qty, note, problems });
  return [
    title(gettext("How many bikes did you move?")),
    h("p.route", null, route(task)),
    stepper(moved_qty, task, (n) => set({ moved_qty: n })),
    problemChips(gettext("Was there a problem?"), problems, set),
    noteField(gettext("Note for dispatch"), note, (text) => set({ note: text })),
    more && values.asked
      ? moreThanAsked(task, moved_qty, report, () => set({ asked: false }))
      : saveButton(gettext("Save: %(bikes)s", { bikes: bikes(moved_qty) }), () =>
          more ? set({ asked: true }) : report(),
        ),
  ];
}

function moreThanAsked(task, moved, report, change) {
  const words = ngettext(
    "The task asks for %(n)s bike. Did you really move %(moved)s?",
    "The task asks for %(n)s bikes. Did you really move %(moved)s?",
    { n: task.qty, moved },
  );
  const question = panel("warning", gettext("More than asked"), [words], [
    button(gettext("Yes, %(bikes)s", { bikes: bikes(moved) }), report, { style: "primary", id: "yes" }),
    button(gettext("Change"), change, { style: "quiet" }),
  ]);
  return h("div.dock", null, question);
}

function problem(_task, { note, problems }, set, save) {
  const ready = problems.length > 0 || note.trim() !== "";
  return [
    title(gettext("What is the problem?")),
    h("p.route", null, gettext("You keep the task. Dispatch sees the problem and decides.")),
    problemChips(gettext("Problem"), problems, set),
    noteField(gettext("Note for dispatch"), note, (text) => set({ note: text })),
    saveButton(gettext("Report the problem"), () => save({ note, problems }), ready ? null : gettext("Choose a problem or write a note first.")),
  ];
}

// Dispatch reads reasons in the console's language.
const REASONS = ["End of shift", "Van is full", "Van broke down", "Too far away"];

function reasonName(reason) {
  switch (reason) {
    case "End of shift": return gettext("End of shift");
    case "Van is full": return gettext("Van is full");
    case "Van broke down": return gettext("Van broke down");
    default: return gettext("Too far away");
  }
}

function giveBack(_task, { problems, reasons = [], reason }, set, save) {
  const toggleReason = (code) => set({ reasons: toggled(reasons, code) });
  const text = [...reasons, reason.trim()].filter(Boolean).join("; ");
  return [
    title(gettext("Why do you give the task back?")),
    h("p.route", null, gettext("It goes back into the queue, for any crew.")),
    chips(gettext("Reason"), REASONS.map((code) => [code, reasonName(code)]), reasons, toggleReason),
    problemChips(gettext("Problem"), problems, set),
    noteField(gettext("In your words"), reason, (words) => set({ reason: words })),
    saveButton(gettext("Give the task back"), () => save({ reason: text, problems }), text || problems.length ? null : gettext("Choose or write a reason first.")),
  ];
}

function problemChips(label, chosen, set) {
  const options = PROBLEMS.map((code) => [code, problemName(code)]);
  return chips(label, options, chosen, (code) => set({ problems: toggled(chosen, code) }));
}

function toggled(list, item) {
  return list.includes(item) ? list.filter((other) => other !== item) : [...list, item];
}

/* `missing`: a sentence about what must be filled in first. */
function saveButton(label, save, missing = null) {
  return h(
    "div.dock",
    null,
    missing && h("p.answer", null, missing),
    button(label, save, { style: "primary", busy: Boolean(missing), id: "save" }),
  );
}
