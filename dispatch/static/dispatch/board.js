/* Keeps the board as it is on the server: asks every few seconds, puts in what has changed, and
   says so when it cannot. */
import { watchCity } from "./board_city.js";
import { watchForms } from "./board_forms.js";
import { releaseHeld, update } from "./board_morph.js";

const board = document.getElementById("board");
const notice = document.getElementById("notice");
const fresh = document.getElementById("fresh");
const EVERY = Number(board.dataset.every) * 1000;
const LONGEST = 120_000;
const PATIENCE = 10_000;

let version = `"${board.dataset.version}"`;
let heard = Date.now();
// How far this machine's clock is off the server's.
let ahead = heard - Date.parse(board.dataset.now);
let failures = 0;
let timer;
let asking;
// How many answers to forms were shown.
let turn = 0;
const shown = new Map();
const listeners = [];

function age(seconds) {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1) return "<1 min";
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(minutes / 1440)} days`;
}

function tellAges() {
  const now = Date.now() - ahead;
  for (const time of document.querySelectorAll("time.age")) {
    time.title ||= time.dateTime.replace("T", " ");
    const text = age((now - Date.parse(time.dateTime)) / 1000) + (time.dataset.after ?? "");
    if (time.textContent !== text) time.textContent = text;
  }
  const seconds = Math.round((Date.now() - heard) / 1000);
  fresh.textContent = seconds < 90 ? "" : `As of ${age(seconds)} ago`;
}

/* Of `parts`, by name, the markup: only those that differ are touched. */
function show(parts) {
  for (const [name, html] of Object.entries(parts)) {
    if (shown.get(name) === html) continue;
    shown.set(name, html);
    const template = document.createElement("template");
    template.innerHTML = html;
    update(board.querySelector(`[data-part="${name}"]`), template.content);
  }
  for (const listen of listeners) listen();
  tellAges();
}

function complain(text, link) {
  const said = notice.textContent;
  if (said !== text) {
    notice.replaceChildren(text);
    if (link) notice.append(" ", link);
  }
  notice.hidden = false;
  board.classList.add("stale");
}

function settle() {
  failures = 0;
  heard = Date.now();
  notice.hidden = true;
  notice.replaceChildren();
  board.classList.remove("stale");
}

function complainOfSignIn() {
  const link = document.createElement("a");
  link.href = location.href;
  link.textContent = "Sign in again";
  complain("You are signed out: what you see is no longer kept up to date.", link);
}

async function ask() {
  const asked = turn;
  const answer = await fetch(board.dataset.state, {
    headers: { "If-None-Match": version },
    redirect: "manual",
    cache: "no-store",
    signal: AbortSignal.timeout(PATIENCE),
  });
  if (answer.type === "opaqueredirect" || answer.status === 403) return complainOfSignIn();
  if (answer.status !== 304) {
    if (!answer.ok) throw new Error(`The service answers ${answer.status}.`);
    const state = await answer.json();
    // A form was answered meanwhile: this may have been read before what it did.
    if (turn !== asked) return;
    ahead = Date.now() - Date.parse(state.now);
    show(state.parts);
    version = answer.headers.get("ETag");
  }
  settle();
}

function wait() {
  clearTimeout(timer);
  const pause = failures ? Math.min(EVERY * 2 ** (failures - 1), LONGEST) : EVERY;
  if (!document.hidden) timer = setTimeout(refresh, pause);
}

/* One at a time; who asks meanwhile waits for the same answer. */
function refresh() {
  asking ??= ask()
    .catch((error) => {
      failures += 1;
      const why = error.message.startsWith("The service") ? error.message : "No connection to the service.";
      complain(`${why} What you see may have changed; it is tried again by itself.`);
    })
    .finally(() => {
      asking = undefined;
      tellAges();
      wait();
    });
  return asking;
}

/* The board as the answer to a form shows it. */
function showPage(page) {
  turn += 1;
  const parts = {};
  for (const part of page.querySelectorAll("#board [data-part]")) {
    parts[part.dataset.part] = part.innerHTML;
  }
  show(parts);
  version = `"${page.getElementById("board").dataset.version}"`;
  settle();
}

for (const part of board.querySelectorAll("[data-part]")) {
  part.addEventListener("pointerleave", () => releaseHeld(part));
}
const button = document.getElementById("refresh");
button.hidden = false;
button.addEventListener("click", refresh);
window.addEventListener("online", refresh);
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : refresh()));
listeners.push(watchCity(board, tellAges), watchForms(board, showPage));
setInterval(tellAges, 5000);
tellAges();
wait();
