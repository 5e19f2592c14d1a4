/* Sentences for the codes in the server's answers. */
import { bikes, clock, instant, now } from "./figures.js";
import { gettext } from "./texts.js";

/* The order in which forms offer them. */
export const PROBLEMS = [
  "station_full",
  "station_empty",
  "station_closed",
  "broken_bikes",
  "blocked",
  "other",
];

export function problemName(code) {
  switch (code) {
    case "station_full": return gettext("Station full");
    case "station_empty": return gettext("Station empty");
    case "station_closed": return gettext("Station closed");
    case "broken_bikes": return gettext("Broken bikes");
    case "blocked": return gettext("Blocked");
    default: return gettext("Something else");
  }
}

/* The end of a task that the crew no longer holds, in words. */
export function endOf({ code, at, worker_id }) {
  const values = { crew: worker_id, time: at ? clock(instant(at)) : "" };
  switch (code) {
    case "reassigned": return gettext("Dispatch gave this task to %(crew)s at %(time)s.", values);
    case "cancelled": return gettext("Dispatch cancelled this task at %(time)s.", values);
    case "released": return gettext("This task went back to the queue at %(time)s.", values);
    case "done_by_other": return gettext("%(crew)s completed this task at %(time)s.", values);
    case "done": return gettext("Your crew completed this task at %(time)s.", values);
    default: return gettext("Dispatch no longer has this task.");
  }
}

const ENDS = ["reassigned", "cancelled", "released", "done_by_other"];

/* The server's answer to a report. */
export function answerTo({ answer }) {
  if (ENDS.includes(answer.code)) {
    const kept = answer.kept
      ? gettext("Your report was kept.")
      : gettext("Your report changed nothing.");
    return `${endOf(answer)} ${kept}`;
  }
  switch (answer.code) {
    case "done": return gettext("Dispatch has your report.");
    case "given_back": return gettext("The task went back to the queue.");
    case "problem_noted": return gettext("Dispatch knows about the problem.");
    case "already_done": return gettext("You had already reported this task as done.");
    case "unknown_task": return gettext("Dispatch has no such task of your crew.");
    case "update": return gettext("This page is too old for this report. Update the page: the report stays here.");
    default: return gettext("Dispatch cannot accept this report. Send it as a note.");
  }
}

/* True if the crew should read the answer: it is not the usual one. */
export function isSurprising({ answer }) {
  return answer !== null && !["done", "given_back", "problem_noted"].includes(answer.code);
}

/* "6 bikes moved" */
export function reportName({ kind, task, values }) {
  if (kind === "give_back") return gettext("Task given back");
  if (kind === "problem") return gettext("Problem reported");
  const moved = values.moved_qty ?? task?.qty;
  return moved === undefined
    ? gettext("Task done")
    : gettext("Done: %(bikes)s", { bikes: bikes(moved) });
}

export function statusName(status) {
  switch (status) {
    case "held": return gettext("Saved on this phone");
    case "sending": return gettext("Sending …");
    case "settled": return gettext("Sent");
    case "refused": return gettext("Refused");
    default: return gettext("Not sent yet");
  }
}

/* Why a code could not be checked or used. */
export function joinError({ code, retryAfter }) {
  switch (code) {
    case "wrong_code":
      return gettext("This code is wrong, has expired or was used before. Ask dispatch for a new one.");
    case "too_many_tries":
      return gettext("Too many wrong codes. Try again at %(time)s.", {
        time: clock(now() + 1000 * (retryAfter ?? 60)),
      });
    case "no_network":
      return gettext("No answer. Check the connection and try again at once. After a minute you may need a new code.");
    default: return gettext("Dispatch cannot take the code now. Try again later.");
  }
}
