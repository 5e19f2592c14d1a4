/* Applies the filters without leaving the page. The address keeps them for reloads and links. */

export function watchFilters(board, reload) {
  const form = document.getElementById("filters");
  const [state] = board.dataset.state.split("?");

  function apply(query) {
    history.replaceState(null, "", query ? `?${query}` : location.pathname);
    board.dataset.state = `${state}?${query}`;
    // Forms lead back to the board with these filters.
    for (const input of board.querySelectorAll("input[name=board]")) input.value = query || "1";
    reload();
  }

  /* An update moves texts between options, so the browser's choice may no longer match its text. */
  function showChoices() {
    for (const select of form.querySelectorAll("select")) {
      select.value = select.querySelector("[selected]")?.value ?? "";
    }
  }

  form.addEventListener("change", () => {
    const chosen = [...new FormData(form)].filter(([, value]) => value);
    apply(new URLSearchParams(chosen).toString());
  });
  board.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-filters]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    apply(new URL(link.href).search.slice(1));
  });
  return showChoices;
}
