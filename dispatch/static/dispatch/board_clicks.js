/* Ignores clicks and keys on a control that just moved under the pointer or just got the focus
   automatically: the user cannot have meant it. */

const PAUSE_MS = 700;
const BUTTONS = "button, a, summary, input[type=submit]";
const CONTROLS = `${BUTTONS}, input, select, textarea`;

let at = null;
let under = null;
let userActs = false;

function block(control) {
  control?.setAttribute("data-settling", "");
  setTimeout(() => control?.removeAttribute("data-settling"), PAUSE_MS);
}

function isBlocked(control) {
  return control?.hasAttribute("data-settling");
}

function controlAt({ clientX, clientY }) {
  return document.elementFromPoint(clientX, clientY)?.closest(CONTROLS) ?? null;
}

function look() {
  if (!at) return;
  const now = controlAt(at);
  if (now !== under) block(now);
  under = now;
}

function follow(event) {
  at = event;
  under = event.target.closest?.(CONTROLS) ?? null;
}

function act(event) {
  userActs = true;
  setTimeout(() => (userActs = false));
  if (event.type !== "keydown") follow(event);
}

function refuse(event) {
  event.preventDefault();
  event.stopImmediatePropagation();
}

function onClick(event) {
  const button = event.target.closest?.(BUTTONS);
  // The second click of a double click belongs to the element of the first one.
  if (isBlocked(button) || (event.detail > 1 && button?.matches("button"))) refuse(event);
}

function onKey(event) {
  const control = event.target.closest?.(CONTROLS);
  const isButton = control?.matches(BUTTONS);
  // Enter in a field sends its form.
  if (event.key !== "Enter" && !(event.key === " " && isButton)) return;
  if (isBlocked(control) || (event.repeat && isButton)) refuse(event);
}

export function guardClicks() {
  for (const type of ["pointerdown", "keydown"]) document.addEventListener(type, act, true);
  document.addEventListener("pointermove", follow, true);
  document.addEventListener("scroll", () => at && (under = controlAt(at)), true);
  document.addEventListener("focusin", ({ target }) => userActs || block(target.closest(`${CONTROLS}, .row`)));
  document.addEventListener("click", onClick, true);
  document.addEventListener("keydown", onKey, true);
  new MutationObserver(look).observe(document.body, {
    subtree: true,
    childList: true,
    attributeFilter: ["class", "hidden", "open", "inert", "disabled"],
  });
}
