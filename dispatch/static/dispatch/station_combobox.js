/* Makes a text field an editable combobox (WAI-ARIA) that offers stations while the user types. The
   text stays as typed until an option is chosen. */

const WAIT = 150;

export function makeCombobox(input) {
  const list = document.createElement("ul");
  const status = document.createElement("span");
  let timer;
  let request;
  let active = null;

  function open(choices) {
    list.replaceChildren(...choices.map(option));
    list.hidden = !choices.length;
    input.setAttribute("aria-expanded", String(!list.hidden));
    status.textContent = choices.length ? `${choices.length} station${choices.length === 1 ? "" : "s"}` : "No stations";
    activate(null);
  }

  function close() {
    clearTimeout(timer);
    request?.abort();
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    status.textContent = "";
    activate(null);
  }

  function option(choice, index) {
    const item = document.createElement("li");
    item.id = `${list.id}-${index}`;
    item.setAttribute("role", "option");
    item.dataset.text = choice.text;
    const name = document.createElement("bdi");
    name.textContent = choice.name;
    const detail = document.createElement("span");
    detail.className = `detail ${choice.level}`;
    detail.textContent = choice.detail;
    item.append(name, " ", detail);
    return item;
  }

  function activate(item) {
    active?.removeAttribute("aria-selected");
    active = item;
    if (item) {
      item.setAttribute("aria-selected", "true");
      item.scrollIntoView({ block: "nearest" });
      input.setAttribute("aria-activedescendant", item.id);
    } else {
      input.removeAttribute("aria-activedescendant");
    }
  }

  function move(step) {
    const items = [...list.children];
    const index = active ? items.indexOf(active) + step : step > 0 ? 0 : items.length - 1;
    activate(items.at(index % items.length));
  }

  function choose(item) {
    input.value = item.dataset.text;
    close();
    input.dispatchEvent(new Event("input", { bubbles: true }));
    close();
  }

  async function offer() {
    request?.abort();
    request = new AbortController();
    try {
      const query = new URLSearchParams({ q: input.value });
      const response = await fetch(`${input.dataset.choices}?${query}`, { signal: request.signal, redirect: "manual" });
      if (response.ok && document.activeElement === input) open((await response.json()).choices);
    } catch {
      // Aborted, or offline: the field still takes a number.
    }
  }

  input.addEventListener("input", () => {
    clearTimeout(timer);
    if (input.value.trim()) timer = setTimeout(offer, WAIT);
    else close();
  });
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      if (list.hidden) offer();
      else move(step);
    } else if (event.key === "Enter" && active) {
      event.preventDefault();
      choose(active);
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      close();
    }
  });
  input.addEventListener("blur", close);
  // Pressing the mouse on an option must not take the focus from the field.
  list.addEventListener("pointerdown", (event) => event.preventDefault());
  list.addEventListener("pointermove", (event) => activate(event.target.closest("[role=option]")));
  list.addEventListener("click", ({ target }) => {
    const option = target.closest("[role=option]");
    if (option) choose(option);
  });

  list.id = `${input.id}-choices`;
  list.className = "choices";
  list.hidden = true;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Stations");
  status.className = "out-of-sight";
  status.setAttribute("role", "status");
  for (const [name, value] of Object.entries({
    role: "combobox",
    autocomplete: "off",
    "aria-autocomplete": "list",
    "aria-controls": list.id,
    "aria-expanded": "false",
  })) input.setAttribute(name, value);
  input.after(list, status);
}
