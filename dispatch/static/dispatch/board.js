/* Keeps the board up to date: polls the server, updates the parts that changed, and shows a notice
   while that fails. */
import { guardClicks } from "./board_clicks.js";
import { watchFilters } from "./board_filters.js";
import { watchForms } from "./board_forms.js";
import { watchMap } from "./board_map.js";
import { watchMenus } from "./board_menus.js";
import { update } from "./board_morph.js";
import { watchSelection } from "./board_selection.js";
import { forgetDecisions, showList, watchSteadyLists } from "./board_steady.js";
import { watchTabs } from "./board_tabs.js";

const board = document.getElementById("board");
const notice = document.getElementById("notice");
const fresh = document.getElementById("fresh");
const INTERVAL = Number(board.dataset.refreshSeconds) * 1000;
const HIDDEN_INTERVAL = 60_000;
const MAX_INTERVAL = 120_000;
const TIMEOUT = 10_000;

let version = `"${board.dataset.version}"`;
let lastReply = Date.now();
// Milliseconds by which this clock is ahead of the server's.
let clockOffset = lastReply - Date.parse(board.dataset.now);
let failures = 0;
let timer;
let pending;
// Counts form responses and new addresses: a poll sent before one of them is stale.
let formResponses = 0;
const shown = new Map();
const listeners = [];

function age(seconds) {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1) return "<1 min";
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(minutes / 1440)} days`;
}

function showAges() {
  const now = Date.now() - clockOffset;
  for (const time of document.querySelectorAll("time.age")) {
    time.title ||= time.dateTime.replace("T", " ");
    const { before = "", after = "" } = time.dataset;
    const text = before + age((now - Date.parse(time.dateTime)) / 1000) + after;
    if (time.textContent !== text) time.textContent = text;
    time.classList.toggle("behind", now - Date.parse(time.dateTime) > Number(time.dataset.limit) * 1000);
  }
  const seconds = Math.round((Date.now() - lastReply) / 1000);
  fresh.textContent = seconds < 90 ? "" : `As of ${age(seconds)} ago`;
}

/* `parts` maps names to markup. Only parts that changed are updated. */
function show({ now, parts }) {
  board.dataset.now = now;
  for (const [name, html] of Object.entries(parts)) {
    if (shown.get(name) === html) continue;
    shown.set(name, html);
    const template = document.createElement("template");
    template.innerHTML = html;
    const part = board.querySelector(`[data-part="${name}"]`);
    ("steady" in part.dataset ? showList : update)(part, template.content);
  }
  afterChange();
}

function afterChange() {
  for (const listen of listeners) listen();
  showAges();
}

function showNotice(text, link) {
  if (notice.textContent !== text) {
    notice.replaceChildren(text);
    if (link) notice.append(" ", link);
  }
  notice.hidden = false;
  board.classList.add("stale");
}

function clearNotice() {
  failures = 0;
  lastReply = Date.now();
  notice.hidden = true;
  notice.replaceChildren();
  board.classList.remove("stale");
}

function showSignedOut() {
  const link = document.createElement("a");
  link.href = location.href;
  link.textContent = "Sign in again";
  showNotice("You are signed out. This page is no longer updated.", link);
}

async function poll() {
  const responsesBefore = formResponses;
  const response = await fetch(board.dataset.state, {
    headers: { "If-None-Match": version },
    redirect: "manual",
    cache: "no-store",
    signal: AbortSignal.timeout(TIMEOUT),
  });
  if (response.type === "opaqueredirect" || response.status === 403) return showSignedOut();
  if (response.status !== 304) {
    if (!response.ok) throw new Error(`The server returned an error (${response.status}).`);
    const state = await response.json();
    if (formResponses !== responsesBefore) return;
    clockOffset = Date.now() - Date.parse(state.now);
    show(state);
    version = response.headers.get("ETag");
  }
  clearNotice();
}

function wait() {
  clearTimeout(timer);
  const pause = document.hidden ? HIDDEN_INTERVAL : INTERVAL;
  timer = setTimeout(refresh, failures ? Math.min(pause * 2 ** (failures - 1), MAX_INTERVAL) : pause);
}

/* One poll at a time: callers share the pending one. */
function refresh() {
  pending ??= poll()
    .catch((error) => {
      failures += 1;
      const why = error.message.startsWith("The server") ? error.message : "No connection to the server.";
      showNotice(`${why} This page may be out of date. Reconnecting…`);
    })
    .finally(() => {
      pending = undefined;
      showAges();
      wait();
    });
  return pending;
}

/* Shows the state of a new address. A pending poll is for the former one. */
async function reload() {
  formResponses += 1;
  forgetDecisions(board);
  await pending;
  await refresh();
}

/* Shows the state that answers a form. */
function showState(state) {
  formResponses += 1;
  show(state);
  version = state.version;
  clearNotice();
}

const button = document.getElementById("refresh");
button.hidden = false;
button.addEventListener("click", refresh);
window.addEventListener("online", refresh);
document.addEventListener("visibilitychange", () => (document.hidden ? wait() : refresh()));
guardClicks();
watchSteadyLists(board);
board.addEventListener("settle", afterChange);
watchMenus(board);
watchTabs(board);
watchForms(board, showState);
listeners.push(watchFilters(board, reload), watchMap(board, showAges), watchSelection(board.querySelector(".review")));
setInterval(showAges, 5000);
showAges();
wait();
