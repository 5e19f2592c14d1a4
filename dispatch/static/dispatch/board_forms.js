/* The board's buttons, without leaving it: each form goes to where it would go anyway, and what
   comes back, the board with messages or the page that asks first, is shown here. */

export function watchForms(board, showPage) {
  const dialog = document.getElementById("ask");
  const tickAll = document.getElementById("tick-all");
  const ticked = document.getElementById("ticked");
  const decide = board.querySelector(".decide");
  const boxes = () => [...decide.querySelectorAll(".row:not(.gone) > input[type=checkbox]")];

  function countTicks() {
    if (!tickAll) return;
    const all = boxes();
    const count = all.filter((box) => box.checked).length;
    tickAll.checked = count > 0 && count === all.length;
    tickAll.indeterminate = count > 0 && count < all.length;
    ticked.textContent = count ? `${count} ticked` : "all";
    for (const button of decide.querySelectorAll(".bulk button")) button.disabled = !count;
  }

  async function send(form, button) {
    const address = button?.getAttribute("formaction") || form.getAttribute("action") || location.href;
    const body = new URLSearchParams(new FormData(form, button));
    form.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(address, { method: "POST", body });
      // A proxy that stopped waiting, or a service that failed: it may be done all the same.
      if (answer.status >= 500) throw new Error(answer.statusText);
      receive(new DOMParser().parseFromString(await answer.text(), "text/html"), address);
    } catch {
      say([["error", "No answer came: whether it was done is not known. Look here again before you repeat it."]]);
    } finally {
      form.removeAttribute("aria-busy");
    }
  }

  function receive(page, address) {
    const question = page.querySelector("form.ask");
    if (page.getElementById("board")) {
      dialog.close();
      showPage(page);
      say([...page.querySelectorAll(".messagelist li")].map((each) => [each.className, each.textContent]));
    } else if (question) {
      question.setAttribute("action", address);
      document.getElementById("ask-title").textContent = page.querySelector("#content h1")?.textContent ?? "";
      dialog.querySelector("div").replaceChildren(document.importNode(question, true));
      if (!dialog.open) dialog.showModal();
      dialog.querySelector("[autofocus]")?.focus();
    } else if (page.getElementById("login-form")) {
      say([["error", "You are signed out: nothing was done. Reload this page and sign in."]]);
    } else {
      const text = page.querySelector("main p, body p")?.textContent ?? "That was refused.";
      say([["error", text.trim()]]);
    }
  }

  function say(messages) {
    const list = document.getElementById("said") ?? document.createElement("ul");
    list.id = "said";
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
  // A double click, or a key that is held, must not hit what has come in its place.
  board.addEventListener("click", (event) => {
    if (event.detail > 1 && event.target.closest("button")) event.preventDefault();
    if (event.target.closest("dialog .closelink")) {
      event.preventDefault();
      dialog.close();
    }
    const menu = event.target.closest("details.do");
    for (const open of board.querySelectorAll("details.do[open]")) if (open !== menu) open.open = false;
  });
  board.addEventListener("keydown", (event) => {
    // It would press the form's first button that can be pressed.
    if (event.key === "Enter" && event.target.matches("input[type=checkbox]")) event.preventDefault();
    if (event.repeat && event.key === "Enter" && event.target.closest("button")) event.preventDefault();
    const menu = event.target.closest("details.do[open]");
    if (event.key === "Escape" && menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
  decide.addEventListener("change", (event) => {
    if (event.target === tickAll) for (const box of boxes()) box.checked = tickAll.checked;
    countTicks();
  });
  if (tickAll) tickAll.hidden = false;
  const said = document.querySelector(".messagelist:not(#said)");
  if (said) said.id = "said";
  countTicks();
  return countTicks;
}
