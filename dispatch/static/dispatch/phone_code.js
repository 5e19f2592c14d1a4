// The page with a code for a phone: shows when a phone has joined, or the code has expired.

const POLL_MS = 2000;
const page = document.getElementById("phone-code");

async function askForProgress() {
  const response = await fetch(page.dataset.url, { redirect: "error" });
  if (!response.ok) {
    throw new Error(`HTTP ${response.status}`);
  }
  return response.json();
}

function show({ state, text }) {
  const isWaiting = state === "waiting";
  const line = document.getElementById(isWaiting ? "code-left" : "code-end");
  if (line.textContent !== text) {
    line.textContent = text;
  }
  page.dataset.state = state;
  return isWaiting;
}

async function follow() {
  let goesOn = true;
  try {
    goesOn = document.hidden || show(await askForProgress());
  } catch {
    // The network may return.
  }
  if (goesOn) {
    setTimeout(follow, POLL_MS);
  }
}

setTimeout(follow, POLL_MS);
