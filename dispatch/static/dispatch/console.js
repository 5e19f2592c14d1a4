/* A row's button reloads the list: stay where one was reading. */
"use strict";

const PLACE = `place ${location.pathname}`;

document.addEventListener("click", (event) => {
  if (event.target.closest("#result_list .row-action")) {
    sessionStorage.setItem(PLACE, String(window.scrollY));
  }
});

window.addEventListener("load", () => {
  const place = sessionStorage.getItem(PLACE);
  if (place !== null && document.getElementById("result_list")) {
    sessionStorage.removeItem(PLACE);
    window.scrollTo(0, Number(place));
  }
});
