/* Sends the board's forms without leaving the page. The response is either the board with messages
   or a form to fill in first; both are shown here. */

export function watchForms(board, showPage) {
  const dialog = document.getElementById("confirm");
  const selectAll = document.getElementById("select-all");
  const selected = document.getElementById("selected");
  const review = board.querySelector(".review");
  const boxes = () => [...review.querySelectorAll(".row:not(.gone) > input[type=checkbox]")];

  function countSelected() {
    if (!selectAll) return;
    const all = boxes();
    const count = all.filter((box) => box.checked).length;
    selectAll.checked = count > 0 && count === all.length;
    selectAll.indeterminate = count > 0 && count < all.length;
    selectAll.ariaLabel = `Select all ${all.length}`;
    selected.textContent = count ? `${count} selected` : selectAll.ariaLabel;
    for (const button of review.querySelectorAll(".bulk button")) button.disabled = !count;
  }

  async function send(form, button) {
    const address = button?.getAttribute("formaction") || form.getAttribute("action") || location.href;
    const body = new URLSearchParams(new FormData(form, button));
    form.setAttribute("aria-busy", "true");
    try {
      const response = await fetch(address, { method: "POST", body });
      // After a proxy timeout or a server error the change may still have been made.
      if (response.status >= 500) throw new Error(response.statusText);
      receive(new DOMParser().parseFromString(await response.text(), "text/html"), address);
    } catch {
      showMessages([["error", "No reply from the server. It may have gone through: check before you try again."]]);
    } finally {
      form.removeAttribute("aria-busy");
    }
  }

  function receive(page, address) {
    const question = page.querySelector("form.confirm");
    if (page.getElementById("board")) {
      dialog.close();
      showPage(page);
      showMessages([...page.querySelectorAll(".messagelist li")].map((each) => [each.className, each.textContent]));
    } else if (question) {
      question.setAttribute("action", address);
      document.getElementById("confirm-title").textContent = page.querySelector("#content h1")?.textContent ?? "";
      dialog.querySelector("div").replaceChildren(document.importNode(question, true));
      if (!dialog.open) dialog.showModal();
      dialog.querySelector("[autofocus]")?.focus();
    } else if (page.getElementById("login-form")) {
      showMessages([["error", "You are signed out. Nothing was changed. Sign in and try again."]]);
    } else {
      const text = page.querySelector("main p, body p")?.textContent ?? "The server refused the request.";
      showMessages([["error", text.trim()]]);
    }
  }

  function showMessages(messages) {
    const list = document.getElementById("messages") ?? document.createElement("ul");
    list.id = "messages";
    list.className = "messagelist";
    list.setAttribute("role", "status");
    if (!list.isConnected) board.prepend(list);
    list.replaceChildren(
      ...messages.map(([kind, text]) => {
        const item = document.createElement("li");
        item.className = kind;
        item.append(text);
        return item;
      }),
    );
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!board.contains(form) || form.method !== "post") return;
    event.preventDefault();
    if (form.getAttribute("aria-busy") !== "true") send(form, event.submitter);
  });
  // A double click or a held key must not press the button that took this one's place.
  board.addEventListener("click", (event) => {
    if (event.detail > 1 && event.target.closest("button")) event.preventDefault();
    if (event.target.closest("dialog .closelink")) {
      event.preventDefault();
      dialog.close();
    }
    const menu = event.target.closest("details.actions");
    for (const open of board.querySelectorAll("details.actions[open]")) if (open !== menu) open.open = false;
  });
  board.addEventListener("keydown", (event) => {
    // Otherwise Enter presses the form's first enabled button.
    if (event.key === "Enter" && event.target.matches("input[type=checkbox]")) event.preventDefault();
    if (event.repeat && event.key === "Enter" && event.target.closest("button")) event.preventDefault();
    const menu = event.target.closest("details.actions[open]");
    if (event.key === "Escape" && menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
  review.addEventListener("change", (event) => {
    if (event.target === selectAll) for (const box of boxes()) box.checked = selectAll.checked;
    countSelected();
  });
  if (selectAll) selectAll.hidden = false;
  const messages = document.querySelector(".messagelist:not(#messages)");
  if (messages) messages.id = "messages";
  countSelected();
  return countSelected;
}
