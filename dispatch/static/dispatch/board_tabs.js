/* On a phone, the board shows one section at a time, and only the first rows of a long list. */

/* Opens the tab of an element's section, if another one is open. */
export function reveal(element) {
  if (!element.checkVisibility()) document.querySelector(`.tabs a[href="#${element.closest("section").id}"]`)?.click();
}

export function watchTabs(board) {
  const tabs = board.querySelector(".tabs");

  function open(link) {
    for (const each of tabs.querySelectorAll("a")) each.removeAttribute("aria-current");
    link.setAttribute("aria-current", "true");
    board.dataset.tab = link.hash.slice(1);
    scrollTo(0, 0);
  }

  tabs.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link) return;
    event.preventDefault();
    open(link);
  });
  board.addEventListener("click", (event) => {
    const more = event.target.closest(".more");
    if (more) more.closest("section").classList.add("all");
  });
  const wanted = [...tabs.querySelectorAll("a")].find((link) => link.hash === location.hash);
  open(wanted ?? tabs.querySelector("a"));
}
