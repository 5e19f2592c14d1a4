/* Calls a dispatcher who is looking elsewhere: a count in the title and, if switched on, a sound and a
   notification for each new call. */
import { announce } from "./board_notify.js";
import { takeNews } from "./board_seen.js";
import { onSettings, setting } from "./board_settings.js";

const board = document.getElementById("board");
const list = document.querySelector("[data-part=calls]");
const title = document.title;
// The calls that came while another window had the focus, the newest first.
let unseen = [];
let audio;

function current() {
  return [...list.children].filter(({ dataset }) => isWanted(dataset)).map(({ dataset, textContent }) => ({
    key: dataset.key,
    text: textContent,
    isPassing: "passing" in dataset,
  }));
}

function isWanted({ kind, priority }) {
  if (kind === "urgent") return Number(priority) >= (Number(setting("urgent")) || Infinity);
  return setting(kind);
}

/* Events count until someone looks at the board, the others until their cause is gone. */
function count(calls = current()) {
  const number = calls.filter(({ isPassing }) => !isPassing).length + unseen.filter(({ isPassing }) => isPassing).length;
  document.title = number ? `(${number}) ${title}` : title;
}

function take(calls) {
  count(calls);
  return takeNews(calls.map(({ key }) => key), Date.parse(board.dataset.now));
}

async function update({ isFirst = false } = {}) {
  const calls = current();
  const { fresh, well } = await take(calls);
  const news = [...calls.filter(({ key }) => fresh.includes(key)), ...well.map(wellAgain)];
  if (!news.length) return;
  if (!document.hasFocus()) unseen.unshift(...news);
  count(calls);
  if (setting("sound") && !isFirst) play();
  announce(news, unseen);
}

function wellAgain(key) {
  return { text: `Station ${key} works again.`, isPassing: true };
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

// Calls that a change of the settings adds are not new.
onSettings(({ target }) => {
  take(current());
  if (target.name === "sound" && setting("sound")) play();
});
window.addEventListener("focus", () => {
  unseen = [];
  count();
});
update({ isFirst: true });
new MutationObserver(() => update()).observe(list, { childList: true, subtree: true, characterData: true });
