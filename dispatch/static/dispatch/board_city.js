/* The map and its equal, the list: going from station to station, finding, sorting, the card. */
import { update } from "./board_morph.js";

const AHEAD = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function watchCity(board, tellAges) {
  const map = board.querySelector(".map");
  const card = document.getElementById("card");
  const noAnswer = document.getElementById("no-answer");
  const list = document.getElementById("station-list");
  const body = list.querySelector("tbody");
  const find = document.getElementById("find");
  const state = document.getElementById("state");
  let opened = null;
  let cameFrom = null;
  let sorting = null;

  // The card

  async function fill() {
    const number = opened;
    const template = document.createElement("template");
    template.innerHTML = await read(number).catch(() => "");
    if (number !== opened) return;
    if (template.innerHTML) update(card, template.content);
    // One that shows the station already stays as it is: it says of when it is.
    else if (!card.hasChildNodes()) card.append(noAnswer.content.cloneNode(true));
    tellAges();
  }

  async function read(number) {
    const answer = await fetch(`${board.dataset.stations}${number}/`, { redirect: "manual" });
    return answer.ok || answer.status === 404 ? answer.text() : "";
  }

  async function open(number, from) {
    if (number !== opened) card.replaceChildren();
    opened = number;
    cameFrom = from;
    await fill();
    if (number !== opened) return;
    mark();
    card.hidden = false;
    card.focus();
  }

  function close() {
    opened = null;
    card.hidden = true;
    card.replaceChildren();
    mark();
    if (cameFrom?.isConnected) cameFrom.focus();
  }

  function mark() {
    for (const circle of map.querySelectorAll(".chosen")) circle.classList.remove("chosen");
    if (opened) document.getElementById(`s${opened}`)?.classList.add("chosen");
  }

  // The map: one stop for the Tab key in each pane, arrow keys within it

  function enter(circle) {
    for (const each of circle.parentNode.querySelectorAll("[tabindex='0']")) each.setAttribute("tabindex", "-1");
    circle.setAttribute("tabindex", "0");
    return circle;
  }

  function makeReachable() {
    for (const circles of map.querySelectorAll(".circles")) {
      const last = circles.querySelector("[tabindex='0']") ?? circles.lastElementChild;
      if (last) enter(last);
    }
  }

  function towards(circle, [dx, dy]) {
    const at = (each) => [each.cx.baseVal.value, each.cy.baseVal.value];
    const [x0, y0] = at(circle);
    let best = null;
    let least = Infinity;
    for (const each of circle.parentNode.children) {
      const [x, y] = at(each);
      const along = (x - x0) * dx + (y - y0) * dy;
      const across = Math.abs((x - x0) * dy - (y - y0) * dx);
      const cost = along + 2 * across;
      if (each !== circle && along > 0 && across <= 2 * along && cost < least) [best, least] = [each, cost];
    }
    return best;
  }

  map.addEventListener("keydown", (event) => {
    const circle = event.target.closest("circle");
    if (!circle) return;
    if (event.key === "Enter" || event.key === " ") open(circle.id.slice(1), circle);
    else if (event.key in AHEAD) {
      const next = towards(circle, AHEAD[event.key]);
      if (next) {
        enter(next);
        next.focus();
      }
    } else return;
    event.preventDefault();
  });

  // The list

  function filter() {
    const words = find.value.toLowerCase().split(/\s+/);
    let count = 0;
    for (const row of body.rows) {
      const text = row.cells[0].textContent.toLowerCase();
      const fits = words.every((word) => text.includes(word)) && (!state.value || row.classList.contains(state.value));
      row.hidden = !fits;
      count += fits;
    }
    document.getElementById("found").textContent = `${count} of ${body.rows.length}`;
  }

  const needs = [...state.options].map((option) => option.value);
  const values = {
    text: (row, column) => row.cells[column].textContent.toLowerCase(),
    number: (row, column) => Number(row.cells[column].textContent || -1),
    need: (row) => needs.indexOf(row.classList[0]),
  };

  function sort() {
    if (!sorting) return;
    const { column, kind, down } = sorting;
    const keyed = [...body.rows].map((row) => [values[kind](row, column), row]);
    keyed.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1));
    const active = document.activeElement;
    body.append(...keyed.map(([, row]) => row));
    if (body.contains(active)) active.focus({ preventScroll: true });
  }

  list.querySelector("thead").addEventListener("click", (event) => {
    const head = event.target.closest("th");
    if (!head) return;
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const each of head.parentNode.cells) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    sorting = { column: head.cellIndex, kind: head.dataset.sort, down };
    sort();
  });
  find.addEventListener("input", filter);
  state.addEventListener("input", filter);

  board.addEventListener("click", (event) => {
    const circle = event.target.closest(".circles circle");
    const link = event.target.closest("a[href^='?station=']");
    const numbers = event.target.closest("a[data-list]");
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (circle) open(circle.id.slice(1), enter(circle));
    else if (link) {
      event.preventDefault();
      open(new URLSearchParams(link.getAttribute("href")).get("station"), link);
    } else if (event.target.closest("#card .close")) {
      event.preventDefault();
      close();
    } else if (numbers) {
      event.preventDefault();
      list.open = true;
      state.value = numbers.dataset.list;
      filter();
      list.scrollIntoView({ block: "nearest" });
      find.focus({ preventScroll: true });
    }
  });
  card.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
  });

  function afterRefresh() {
    makeReachable();
    sort();
    filter();
    mark();
    if (opened) fill();
  }

  const asked = new URLSearchParams(location.search).get("station");
  if (!card.hidden) opened = asked;
  makeReachable();
  filter();
  mark();
  return afterRefresh;
}
