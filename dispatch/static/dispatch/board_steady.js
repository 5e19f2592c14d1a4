/* Lists whose rows stay in place while someone may press a button in them: while the pointer is over
   the list, and for ten seconds after a decision. Meanwhile, a decided row shows its decision, a row
   that left the board is dimmed, and new rows are only counted. */
import { align, keepFocus, update } from "./board_morph.js";

const DECIDED_MS = 10_000;
const pointer = matchMedia("(hover: hover)");
// The markup that each list will show once its rows may move, and the end of the hold.
const waiting = new WeakMap();
const keptUntil = new WeakMap();

export function watchSteadyLists(board) {
  for (const list of board.querySelectorAll("[data-steady]")) {
    list.addEventListener("pointerleave", () => release(list));
  }
}

/* Ends the hold before a change that the user asked for, such as another filter. */
export function forgetDecisions(board) {
  for (const list of board.querySelectorAll("[data-steady]")) keptUntil.delete(list);
}

export function showList(list, wanted) {
  if (isKept(list)) keepInPlace(list, wanted);
  else settle(list, wanted);
}

/* Shows the result of an operation in its row. */
export function showDecision(row, verdict) {
  const list = row.closest("[data-steady]");
  keptUntil.set(list, Date.now() + DECIDED_MS);
  keepFocus(list, () => {
    for (const each of row.children) each.inert = true;
    for (const box of row.querySelectorAll("input")) box.checked = false;
    row.querySelector(":scope > .verdict")?.remove();
    row.append(verdict);
    row.classList.add("decided");
  });
  setTimeout(() => release(list), DECIDED_MS + 50);
}

/* Shows a restored suggestion at once, unless another decision in its list can still be undone. */
export function releaseUndone(row) {
  const list = row.closest("[data-steady]");
  if (!list.querySelector(".decided .undo")) showWaiting(list);
}

function isKept(list) {
  const isUnderPointer = pointer.matches && list.matches(":hover");
  return isUnderPointer || Date.now() < (keptUntil.get(list) ?? 0);
}

function release(list) {
  if (!isKept(list)) showWaiting(list);
}

function showWaiting(list) {
  const wanted = waiting.get(list);
  if (!wanted) return;
  keptUntil.delete(list);
  settle(list, wanted);
  list.dispatchEvent(new Event("settle", { bubbles: true }));
}

function settle(list, wanted) {
  waiting.delete(list);
  showCount(list, 0);
  update(list, wanted);
}

function keepInPlace(list, wanted) {
  waiting.set(list, wanted.cloneNode(true));
  const rows = new Map([...wanted.children].map((row) => [row.id, row]));
  keepFocus(list, () => {
    for (const row of list.children) {
      const now = rows.get(row.id);
      rows.delete(row.id);
      if (row.matches(".decided")) continue;
      if (now) align(row, now);
      row.classList.toggle("gone", !now);
      row.inert = !now;
    }
  });
  showCount(list, [...rows.keys()].filter((id) => !id.endsWith("-none")).length);
}

function showCount(list, count) {
  const note = list.closest("section").querySelector(".held");
  const text = count ? `${count} new, shown when you leave the list` : "";
  if (note.textContent !== text) note.textContent = text;
}
