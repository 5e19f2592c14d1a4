/* The form of a new move: fetches the guard's verdict while the form is filled in. */
import { makeCombobox } from "./station_combobox.js";

const WAIT = 250;
const FIELDS = ["from_station_id", "to_station_id", "qty"];
const verdict = document.getElementById("move-verdict");
const form = verdict.closest("form");
let timer;
let request;

async function judge() {
  request?.abort();
  request = new AbortController();
  const query = new URLSearchParams(FIELDS.map((name) => [name, form.elements[name].value]));
  try {
    const response = await fetch(`${verdict.dataset.url}?${query}`, { signal: request.signal, redirect: "manual" });
    if (!response.ok) return;
    const html = await response.text();
    // Screen readers read a region again whenever it is set.
    if (verdict.innerHTML !== html) verdict.innerHTML = html;
  } catch {
    // Aborted, or offline: the form works without a verdict.
  }
}

form.addEventListener("input", (event) => {
  if (!FIELDS.includes(event.target.name)) return;
  clearTimeout(timer);
  timer = setTimeout(judge, WAIT);
});
for (const input of form.querySelectorAll("input[data-choices]")) makeCombobox(input);
judge();
