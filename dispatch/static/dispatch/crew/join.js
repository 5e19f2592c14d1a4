/* Joining a crew with a code. Only the last tap spends it. */
import { joinError } from "./answers.js";
import { h, icon } from "./dom.js";
import * as engine from "./engine.js";
import { button, panel, title } from "./parts.js";
import { goHome, readCode } from "./routes.js";
import { gettext } from "./texts.js";

const APPLE = /iPhone|iPad|iPod/.test(navigator.userAgent) ||
  (navigator.userAgent.includes("Macintosh") && navigator.maxTouchPoints > 1);
const INSTALLED = navigator.standalone === true || matchMedia("(display-mode: standalone)").matches;

// `crew`: whose code it is, once the server has said so. `here`: join in this browser, although an
// iPhone keeps the installed page apart from it.
const state = { code: null, typed: "", crew: null, error: null, busy: false, here: !APPLE || INSTALLED };

let redraw;

/* `code`: that of the link that opened the page, or null. */
export function prepareJoining(code, redrawPage) {
  redraw = redrawPage;
  state.code = code;
  if (code && state.here && !isCrippled()) check();
}

/* Browsers inside of other apps have no service worker, and forget what they store. */
function isCrippled() {
  return isSecureContext && !("serviceWorker" in navigator);
}

export function join(view) {
  if (isCrippled()) return h("main", null, elsewhere());
  if (!state.here) return h("main", null, installFirst());
  return h("main", null, state.crew ? confirmation(view) : entry());
}

function elsewhere() {
  return [
    title(gettext("Open this page in Safari or Chrome")),
    h("p", null, gettext("The app that opened this link cannot keep your reports. Open the page in Safari or Chrome and type the code there.")),
    h("p.address", null, location.origin + location.pathname),
    code(),
  ];
}

function installFirst() {
  return [
    title(gettext("First put this page on your home screen")),
    h(
      "ol.steps",
      null,
      h("li", null, h("p", null, gettext("Tap Share"), " ", icon("share"), " ", gettext("and then “Add to Home Screen”."))),
      h("li", null, h("p", null, gettext("Open “Crew” from the home screen."))),
      h("li", null, h("p", null, state.code ? gettext("Type this code there:") : gettext("Type the code from dispatch there.")), code()),
    ),
    button(gettext("Use this browser instead"), useHere, { style: "quiet" }),
  ];
}

function code() {
  return state.code && h("p.code", null, state.code);
}

function useHere() {
  state.here = true;
  if (state.code) check();
  redraw();
}

function entry() {
  return h(
    "form",
    { onsubmit: submit },
    title(gettext("Join your crew")),
    h("p", null, gettext("Scan the QR code that dispatch shows, or type its code.")),
    h(
      "label.field",
      null,
      h("span", null, gettext("Code")),
      h("input.code", {
        id: "code",
        value: state.typed,
        oninput: type,
        maxlength: "12",
        placeholder: "BCDF-GHJK",
        autocapitalize: "characters",
        autocomplete: "off",
        spellcheck: "false",
        "aria-describedby": state.error && "join-error",
        "aria-invalid": state.error && "true",
      }),
    ),
    error(),
    h("button.button.primary", { type: "submit", "aria-disabled": state.busy && "true" }, state.busy ? gettext("Checking …") : gettext("Continue")),
  );
}

function type({ target }) {
  state.typed = target.value;
}

function submit(event) {
  event.preventDefault();
  state.code = readCode(state.typed);
  if (state.code) check();
  else fail({ code: "malformed" });
}

function error() {
  if (!state.error) return null;
  const words = state.error.code === "malformed"
    ? gettext("A code has eight letters, such as BCDF-GHJK.")
    : joinError(state.error);
  return h("p.caution", { id: "join-error", role: "alert" }, icon("alert"), words);
}

function fail(refusal) {
  Object.assign(state, { error: refusal, busy: false, typed: state.code ?? state.typed });
  if (refusal.code === "wrong_code") Object.assign(state, { code: null, crew: null });
  redraw();
}

async function check() {
  await attempt(async () => {
    state.crew = (await engine.checkCode(state.code)).crew;
  });
}

async function joinCrew() {
  const joined = await attempt(() => engine.join(state.code));
  if (!joined) return;
  Object.assign(state, { code: null, typed: "", crew: null });
  goHome();
}

/* True if it went well. */
async function attempt(work) {
  if (state.busy) return false;
  Object.assign(state, { busy: true, error: null });
  redraw();
  try {
    await work();
  } catch (refusal) {
    fail(refusal);
    return false;
  }
  state.busy = false;
  redraw();
  return true;
}

function confirmation(view) {
  const { name, worker_id } = state.crew;
  return [
    title(gettext("Join as %(crew)s?", { crew: name || worker_id })),
    h("p", null, gettext("This phone then gets the tasks of %(crew)s. The code works once.", { crew: worker_id })),
    view.crew && view.crew.worker_id !== worker_id &&
      panel("warning", gettext("This phone belongs to %(crew)s now", { crew: view.crew.worker_id }), [
        gettext("Unsent reports wait until the phone joins %(crew)s again.", { crew: view.crew.worker_id }),
      ]),
    error(),
    button(state.busy ? gettext("Joining …") : gettext("Join as %(crew)s", { crew: worker_id }), joinCrew, {
      style: "primary",
      busy: state.busy,
    }),
    button(gettext("Another code"), startAgain, { style: "quiet" }),
  ];
}

function startAgain() {
  Object.assign(state, { code: null, typed: "", crew: null, error: null });
  redraw();
}
