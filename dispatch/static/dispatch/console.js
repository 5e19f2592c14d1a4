/* Row buttons reload the list: restore the scroll position. */
"use strict";

const POSITION = `scroll ${location.pathname}`;

document.addEventListener("click", (event) => {
  if (event.target.closest("#result_list .row-action")) {
    sessionStorage.setItem(POSITION, String(window.scrollY));
  }
});

window.addEventListener("load", () => {
  const position = sessionStorage.getItem(POSITION);
  if (position !== null && document.getElementById("result_list")) {
    sessionStorage.removeItem(POSITION);
    window.scrollTo(0, Number(position));
  }
});
