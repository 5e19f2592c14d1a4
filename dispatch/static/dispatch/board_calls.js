/* Alerts a dispatcher who is looking elsewhere: a count in the title and, if enabled, a sound and a
   notification for each new call. */
import { onSettings, set, setting } from "./board_settings.js";

const list = document.querySelector("[data-part=calls]");
const refused = document.getElementById("notify-refused");
const title = document.title;
let known;
let audio;

function current() {
  const least = Number(setting("urgent")) || Infinity;
  return [...list.children].filter(({ dataset }) => !dataset.priority || Number(dataset.priority) >= least);
}

/* Calls that are already there when the page opens, or when a setting changes, are not new. */
function start() {
  known = new Set(current().map((call) => call.dataset.key));
  count();
}

function count() {
  const calls = current();
  document.title = calls.length ? `(${calls.length}) ${title}` : title;
  return calls;
}

function update() {
  const calls = count();
  const news = calls.filter((call) => !known.has(call.dataset.key)).map((call) => call.textContent);
  known = new Set(calls.map((call) => call.dataset.key));
  if (!news.length) return;
  if (setting("sound")) play();
  if (setting("notify") && !document.hasFocus()) notify(news);
}

function notify(news) {
  try {
    const shown = new Notification(title, { body: news.join("\n"), tag: "board" });
    shown.onclick = () => {
      window.focus();
      shown.close();
    };
  } catch {
    // Android's browsers leave notifications to service workers.
  }
}

/* Two short notes. Browsers are silent until the first click or key on the page. */
function play() {
  audio ??= new AudioContext();
  audio.resume();
  for (const [at, frequency] of [[0, 660], [0.18, 880]]) {
    const note = audio.createOscillator();
    const volume = audio.createGain();
    const from = audio.currentTime + at;
    note.frequency.value = frequency;
    volume.gain.setValueAtTime(0.2, from);
    volume.gain.exponentialRampToValueAtTime(0.001, from + 0.16);
    note.connect(volume).connect(audio.destination);
    note.start(from);
    note.stop(from + 0.16);
  }
}

async function askPermission() {
  const answer = "Notification" in window ? await Notification.requestPermission() : "denied";
  refused.textContent = answer === "granted" ? "" : "This browser does not allow notifications from this page.";
  set("notify", answer === "granted");
}

onSettings((event) => {
  if (event.target.name === "urgent") start();
  if (event.target.name === "sound" && setting("sound")) play();
  if (event.target.name === "notify" && setting("notify")) askPermission();
});
start();
new MutationObserver(update).observe(list, { childList: true, subtree: true, characterData: true });
