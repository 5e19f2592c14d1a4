/* Messages laid over the page, so that none of it moves. Screen readers read them out. */

const SHOWN_MS = 10_000;
const toasts = document.getElementById("toasts");

/* `content` is text or nodes. Errors and warnings stay until they are closed. */
export function toast(content, { level = "success" } = {}) {
  const item = document.createElement("div");
  item.className = `toast ${level}`;
  const text = document.createElement("div");
  text.className = "text";
  text.append(...[content].flat());
  item.append(text);
  item.append(closeButton(item));
  toasts.append(item);
  if (level === "success" || level === "info") closeLater(item);
  return item;
}

export function undoButton(address) {
  const button = document.createElement("button");
  button.className = "undo";
  button.setAttribute("formaction", address);
  button.textContent = "Undo";
  return button;
}

export function closeToasts() {
  toasts.replaceChildren();
}

function closeButton(item) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "close";
  button.setAttribute("aria-label", "Close message");
  button.textContent = "×";
  button.addEventListener("click", () => item.remove());
  return button;
}

/* Keeps a toast that someone is reading, or whose button they are about to press. */
function closeLater(item) {
  setTimeout(() => (item.matches(":hover, :focus-within") ? closeLater(item) : item.remove()), SHOWN_MS);
}
