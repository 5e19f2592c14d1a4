/* Sends the board's forms without leaving the page. The answer is either the changed board with
   messages, or a form to fill in first, which is shown as a dialog. */
import { releaseUndone, showDecision } from "./board_steady.js";
import { closeToasts, toast, undoButton } from "./board_toasts.js";

const NO_REPLY = "No reply from the server. It may have gone through: check before you try again.";
const SIGNED_OUT = "You are signed out. Nothing was changed. Sign in and try again.";
const REFUSED = "The server refused the request.";

export function watchForms(board, showState) {
  const dialog = document.getElementById("confirm");
  const title = document.getElementById("confirm-title");
  const body = dialog.querySelector("div");
  // Forms are sent one after another, so that an older state never replaces a newer one.
  let last = Promise.resolve();

  async function send(form, button) {
    const address = button?.getAttribute("formaction") || form.getAttribute("action") || location.href;
    const answer = await fetch(address, {
      method: "POST",
      body: new URLSearchParams(new FormData(form, button)),
      headers: { Accept: "application/json, text/html;q=0.9" },
    });
    // After a proxy timeout or a server error the change may still have been made.
    if (answer.status >= 500) throw new Error(answer.statusText);
    if (answer.headers.get("Content-Type")?.startsWith("application/json")) {
      showAnswer(await answer.json(), address);
    } else {
      showPage(new DOMParser().parseFromString(await answer.text(), "text/html"), address);
    }
  }

  function showAnswer(state, address) {
    const undone = board.querySelector(`.row.decided:has(.undo[formaction="${CSS.escape(address)}"])`);
    dialog.close();
    closeToasts();
    const messages = state.messages.map(({ level, html }) => [level, nodesOf(html)]);
    for (const [, nodes] of messages) markRows(nodes, Object.values(state.parts).join());
    if (undone && messages.length) showDecision(undone, verdictOf(messages[0][1].textContent));
    showState(state);
    if (undone && messages[0]?.[0] === "success") releaseUndone(undone);
    showMessages(messages.map(([level, nodes]) => [level, withUndo(nodes)]));
  }

  /* One toast for each level. */
  function showMessages(messages) {
    for (const [level, group] of Map.groupBy(messages, ([level]) => level)) {
      toast(group.map(([, nodes]) => paragraph(nodes)), { level });
    }
  }

  function paragraph(nodes) {
    const block = document.createElement("div");
    block.append(nodes);
    return block;
  }

  function nodesOf(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content;
  }

  /* Rows that stay on the board, such as a task of another priority, can be acted on at once. */
  function markRows(nodes, remaining) {
    for (const result of nodes.querySelectorAll("[data-result]")) {
      const move = `data-move="${result.dataset.result}"`;
      const row = board.querySelector(`[${move}]`);
      const { verb, undo } = result.dataset;
      if (row && !remaining.includes(move)) showDecision(row, verdictOf(verb, result.cloneNode(true), undo));
    }
  }

  function verdictOf(verb, result = "", undo = "") {
    const verdict = document.createElement("p");
    verdict.className = "verdict";
    verdict.append(verb, result);
    if (undo) verdict.append(" · ", undoButton(undo));
    return verdict;
  }

  function withUndo(nodes) {
    for (const result of nodes.querySelectorAll("[data-undo]:not([data-undo=''])")) {
      const end = result.nextSibling?.textContent === "." ? result.nextSibling : result;
      end.after(" ", undoButton(result.dataset.undo));
    }
    return nodes;
  }

  function showPage(page, address) {
    const question = page.querySelector("form.confirm");
    if (question) ask(question, page.querySelector("#content h1"), address);
    else if (page.getElementById("login-form")) fail(SIGNED_OUT);
    else fail(page.querySelector("main p, body p")?.textContent.trim() || REFUSED);
  }

  function ask(question, heading, address) {
    question.setAttribute("action", address);
    title.textContent = heading?.textContent ?? "";
    body.replaceChildren(document.importNode(question, true));
    if (!dialog.open) dialog.showModal();
    dialog.querySelector("[aria-invalid=true], [autofocus]")?.focus();
  }

  /* Shows the problem in an open dialog, so that nothing typed is lost. */
  function fail(text) {
    if (!dialog.open) return toast(text, { level: "error" });
    const problem = dialog.querySelector(".errornote") ?? document.createElement("p");
    problem.className = "errornote";
    problem.setAttribute("role", "alert");
    problem.textContent = text;
    body.prepend(problem);
  }

  document.addEventListener("submit", (event) => {
    const { target: form, submitter } = event;
    if (!board.contains(form) || form.method !== "post") return;
    event.preventDefault();
    const pressed = submitter ?? form;
    if (pressed.ariaBusy === "true") return;
    pressed.ariaBusy = "true";
    last = last
      .then(() => send(form, submitter))
      .catch(() => fail(NO_REPLY))
      .finally(() => pressed.removeAttribute("aria-busy"));
  });
  board.addEventListener("click", (event) => {
    if (!event.target.closest("dialog .closelink")) return;
    event.preventDefault();
    dialog.close();
  });
  // Enter in a checkbox would press the form's first enabled button.
  board.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches("input[type=checkbox]")) event.preventDefault();
  });
  // Messages of a page that was opened without this script.
  showMessages([...document.querySelectorAll(".messagelist li")].map((each) => [each.className, nodesOf(each.innerHTML)]));
  document.querySelector(".messagelist")?.remove();
}
