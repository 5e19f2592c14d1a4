/* Single-key shortcuts. They can be switched off, and do nothing while someone types. */
import { setting } from "./board_settings.js";

const settings = document.getElementById("settings");
const suggestions = document.querySelector("[data-part=suggestions]");

function step(by) {
  const active = document.activeElement.closest(".row");
  const list = active?.parentNode ?? suggestions;
  const rows = [...list.querySelectorAll(":scope > .row")];
  let at = active ? rows.indexOf(active) + by : by > 0 ? 0 : rows.length - 1;
  while (rows[at]?.matches("[inert], .decided")) at += by;
  rows[at]?.focus();
  rows[at]?.scrollIntoView({ block: "nearest" });
}

/* Skips a row that just got the focus automatically, because the row before it was decided. */
function press(selector) {
  const row = document.activeElement.closest(".row:not([data-settling])");
  row?.querySelector(`${selector}:not([inert] *)`)?.click();
}

const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  a: () => press(".approve"),
  f: () => press(".fit"),
  s: () => press(":is(.assign, .reassign)"),
  r: () => press(".reject"),
  u: () => press(".undo"),
  "/": () => document.getElementById("search")?.focus(),
  "?": () => settings.showModal(),
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]");
  const busy = typing || document.querySelector("dialog[open]");
  if (busy || event.ctrlKey || event.metaKey || event.altKey || event.repeat || !setting("keys")) return;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});
