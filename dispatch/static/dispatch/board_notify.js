/* Announces new calls once a dispatcher has switched notifications on: as a notification of the system
   while another window has the focus, else as a message on the board. */
import { onSettings, set, setting } from "./board_settings.js";
import { reveal } from "./board_tabs.js";
import { toast } from "./board_toasts.js";

const MOST_LINES = 5;
const button = document.getElementById("notify");
const list = document.querySelector("[data-part=calls]");
const title = document.title;
let message;

/* `news`: the new calls. `unseen`: those since the board last had the focus, the newest first. */
export function announce(news, unseen) {
  if (!setting("notify")) return;
  if (document.hasFocus()) show(news, "info");
  else if (!notify(unseen)) show(unseen, "warning");
}

/* One notification, which replaces the last one. Returns false if the browser does not show any. */
function notify(calls) {
  if (!("Notification" in window) || Notification.permission !== "granted") return false;
  try {
    const body = lines(calls, ({ text }) => text).join("\n");
    const shown = new Notification(title, { body, tag: "board", renotify: true });
    shown.onclick = () => {
      window.focus();
      shown.close();
      openCall(calls[0]);
    };
    return true;
  } catch {
    // Android's browsers leave notifications to service workers.
    return false;
  }
}

function show(calls, level) {
  if (level === "warning") message?.remove();
  message = toast(lines(calls, line), { level });
}

function lines(calls, lineOf) {
  const rest = calls.length - MOST_LINES;
  const more = rest > 0 ? [lineOf({ text: `and ${rest} more` })] : [];
  return [...calls.slice(0, MOST_LINES).map(lineOf), ...more];
}

function line({ text, key }) {
  const block = document.createElement("div");
  const link = linkTo(key)?.cloneNode(true);
  link?.addEventListener("click", (event) => openRow(link.dataset.row) && event.preventDefault());
  block.append(link ?? text);
  return block;
}

function linkTo(key) {
  return key && list.querySelector(`[data-key="${CSS.escape(key)}"] a`);
}

function openCall({ key }) {
  const link = linkTo(key);
  if (link && !openRow(link.dataset.row)) link.click();
}

/* Returns false if the board does not show the row now. */
function openRow(id) {
  const row = id && document.getElementById(id);
  if (!row || row.inert) return false;
  reveal(row);
  row.scrollIntoView({ block: "center" });
  row.focus({ preventScroll: true });
  return true;
}

async function toggle() {
  set("notify", setting("notify") ? "" : "on");
  showState();
  if (!setting("notify")) return;
  const answer = "Notification" in window ? await Notification.requestPermission() : "denied";
  const refused = "This browser does not allow notifications from this page: new calls appear here.";
  toast(answer === "granted" ? "Notifications are on." : refused, { level: "info" });
}

function showState() {
  button.setAttribute("aria-pressed", Boolean(setting("notify")));
}

button.hidden = false;
button.addEventListener("click", toggle);
onSettings(showState);
showState();
