/* The crews' page: draws what the engine knows, and passes taps on to it. */
import { noteChanges } from "./changes.js";
import { h, redraw } from "./dom.js";
import * as engine from "./engine.js";
import { setClock } from "./figures.js";
import { form } from "./forms.js";
import { header } from "./header.js";
import { askStorage, help } from "./help.js";
import { home, openTasks } from "./home.js";
import { join, prepareJoining } from "./join.js";
import { keep, loadMemory, memory } from "./memory.js";
import { notices } from "./notices.js";
import { outbox } from "./outbox.js";
import { title } from "./parts.js";
import { current, isForm, takeCode } from "./routes.js";
import { gettext, languageOfBrowser, languages, speak } from "./texts.js";

// Ages on the screen are renewed this often; seconds only while something counts them.
const TICK_MS = 1000;
const TICKS = 15;
const SAID_MS = 6000;

const page = document.getElementById("page");
const said = document.getElementById("said");
let view = null;

async function show(next) {
  view = next;
  setClock(view);
  const code = memory.language ?? view.crew?.language;
  await speak(languages[code] ? code : languageOfBrowser());
  if (noteChanges(view)) announce(gettext("There is news from dispatch."));
  for (const task of openTasks(view)) tellShown(task);
  draw();
}

/* Dispatch sees that the crew has the task and its messages before its eyes. */
function tellShown(task) {
  if (document.visibilityState === "visible" && view.signedIn) engine.shown(task);
}

function draw() {
  if (!view) return;
  const active = document.activeElement;
  const wanted = h("div", null, header(view), h("section.notices", { "aria-label": gettext("Notices") }, notices(view, draw)), screen());
  redraw(page, wanted);
  // The button of a dismissed panel is gone.
  if (!active.isConnected) document.getElementById("title")?.focus({ preventScroll: true });
}

function screen() {
  const { name, id } = current();
  if (name === "join" || (!view.crew && view.signedIn !== null)) return join(view);
  if (!view.crew) return h("main", null, title(gettext("Opening …")));
  if (name === "outbox") return outbox(view, draw, say);
  if (name === "help") return help(view, choose, draw, say);
  const task = taskWith(id);
  if (task && isForm(name)) return form(name, task, draw);
  return home(view, id, iAmHere);
}

/* A task that dispatch took from the crew can still be reported. */
function taskWith(id) {
  const ended = view.ended.find(({ task_id }) => task_id === id);
  return view.tasks.find((task) => task.id === id) ?? ended?.task;
}

async function choose(code) {
  keep({ language: code });
  await speak(code);
  draw();
}

async function iAmHere() {
  try {
    await engine.here();
    say(gettext("Dispatch knows that you are here."));
  } catch {
    say(gettext("No connection."));
  }
}

/* Shows a short message, and lets screen readers say it. */
function say(words) {
  announce(words, "shown");
}

/* For screen readers alone: the page shows it already. */
function announce(words, look = "visually-hidden") {
  said.className = look;
  said.textContent = words;
  clearTimeout(said.timer);
  said.timer = setTimeout(() => (said.textContent = ""), SAID_MS);
}

/* A new screen begins at its title. */
function enter() {
  draw();
  scrollTo(0, 0);
  document.getElementById("title")?.focus({ preventScroll: true });
}

function tick(count) {
  if (document.visibilityState === "hidden") return;
  if (count % TICKS === 0 || view?.retryAt > Date.now() - 2 * TICK_MS) draw();
}

/* Nothing sticks to the bottom while the keyboard is open. */
function watchKeyboard() {
  const isField = ({ target }) => target.matches("input, textarea");
  addEventListener("focusin", (event) => document.body.classList.toggle("typing", isField(event)));
  addEventListener("focusout", () => document.body.classList.remove("typing"));
}

const code = takeCode();
await loadMemory();
await speak(memory.language ?? languageOfBrowser());
prepareJoining(code, draw);
await engine.start(show);
addEventListener("hashchange", enter);
addEventListener("visibilitychange", () => view && openTasks(view).forEach(tellShown));
let count = 0;
setInterval(() => tick((count += 1)), TICK_MS);
watchKeyboard();
askStorage().then(draw);
