/* The dispatcher's settings for the board, kept in this browser. */

const form = document.querySelector("#settings form");
const STORE = "board settings";

function read() {
  try {
    return JSON.parse(localStorage.getItem(STORE)) ?? {};
  } catch {
    return {};
  }
}

/* Another tab may have changed them. */
function load() {
  for (const [name, value] of Object.entries(read())) {
    const field = form.elements[name];
    if (field?.type === "checkbox") field.checked = value;
    else if (field) field.value = value;
  }
}

/* Returns the chosen value, or the page's default. */
export function setting(name) {
  const field = form.elements[name];
  return field.type === "checkbox" ? field.checked : field.value;
}

/* Not for checkboxes. */
export function set(name, value) {
  form.elements[name].value = value;
  save();
}

function save() {
  const fields = [...form.elements].filter((field) => field.name);
  localStorage.setItem(STORE, JSON.stringify(Object.fromEntries(fields.map(({ name }) => [name, setting(name)]))));
}

export function onSettings(listen) {
  form.addEventListener("change", listen);
}

load();
onSettings(save);
window.addEventListener("storage", ({ key }) => {
  if (key !== STORE) return;
  load();
  form.dispatchEvent(new Event("change"));
});
const button = document.getElementById("open-settings");
button.hidden = false;
button.addEventListener("click", () => form.parentNode.showModal());
