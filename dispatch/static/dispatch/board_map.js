/* The map, the station list and the station panel: moving between stations, filtering, sorting. */
import { update } from "./board_morph.js";

const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function watchMap(board, showAges) {
  const map = board.querySelector(".map");
  const panel = document.getElementById("station-panel");
  const noReply = document.getElementById("no-reply");
  const list = document.getElementById("station-list");
  const body = list.querySelector("tbody");
  const find = document.getElementById("find");
  const state = document.getElementById("state");
  let opened = null;
  let opener = null;
  let sorting = null;

  // The panel

  async function fill() {
    const number = opened;
    const template = document.createElement("template");
    template.innerHTML = await read(number).catch(() => "");
    if (number !== opened) return;
    if (template.innerHTML) update(panel, template.content);
    // A panel that already shows the station stays: it shows its own age.
    else if (!panel.hasChildNodes()) panel.append(noReply.content.cloneNode(true));
    showAges();
  }

  async function read(number) {
    const response = await fetch(`${board.dataset.stations}${number}/`, { redirect: "manual" });
    return response.ok || response.status === 404 ? response.text() : "";
  }

  async function open(number, from) {
    if (number !== opened) panel.replaceChildren();
    opened = number;
    opener = from;
    await fill();
    if (number !== opened) return;
    highlight();
    panel.hidden = false;
    panel.focus();
  }

  function close() {
    opened = null;
    panel.hidden = true;
    panel.replaceChildren();
    highlight();
    if (opener?.isConnected) opener.focus();
  }

  function highlight() {
    for (const circle of map.querySelectorAll(".selected")) circle.classList.remove("selected");
    if (opened) document.getElementById(`s${opened}`)?.classList.add("selected");
  }

  // The map: one Tab stop for each pane, arrow keys within it

  function makeTabStop(circle) {
    for (const each of circle.parentNode.querySelectorAll("[tabindex='0']")) each.setAttribute("tabindex", "-1");
    circle.setAttribute("tabindex", "0");
    return circle;
  }

  function ensureTabStops() {
    for (const circles of map.querySelectorAll(".circles")) {
      const last = circles.querySelector("[tabindex='0']") ?? circles.lastElementChild;
      if (last) makeTabStop(last);
    }
  }

  function nearest(circle, [dx, dy]) {
    const at = (each) => [each.cx.baseVal.value, each.cy.baseVal.value];
    const [x0, y0] = at(circle);
    let best = null;
    let lowest = Infinity;
    for (const each of circle.parentNode.children) {
      const [x, y] = at(each);
      const along = (x - x0) * dx + (y - y0) * dy;
      const across = Math.abs((x - x0) * dy - (y - y0) * dx);
      const cost = along + 2 * across;
      if (each !== circle && along > 0 && across <= 2 * along && cost < lowest) [best, lowest] = [each, cost];
    }
    return best;
  }

  map.addEventListener("keydown", (event) => {
    const circle = event.target.closest("circle");
    if (!circle) return;
    if (event.key === "Enter" || event.key === " ") open(circle.id.slice(1), circle);
    else if (event.key in DIRECTIONS) {
      const next = nearest(circle, DIRECTIONS[event.key]);
      if (next) {
        makeTabStop(next);
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
      const matches = words.every((word) => text.includes(word)) && (!state.value || row.classList.contains(state.value));
      row.hidden = !matches;
      count += matches;
    }
    document.getElementById("found").textContent = `${count} of ${body.rows.length}`;
  }

  const urgencies = [...state.options].map((option) => option.value);
  const values = {
    text: (row, column) => row.cells[column].textContent.toLowerCase(),
    number: (row, column) => Number(row.cells[column].textContent || -1),
    urgency: (row) => urgencies.indexOf(row.classList[0]),
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
    const summary = event.target.closest("a[data-list]");
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (circle) open(circle.id.slice(1), makeTabStop(circle));
    else if (link) {
      event.preventDefault();
      open(new URLSearchParams(link.getAttribute("href")).get("station"), link);
    } else if (event.target.closest("#station-panel .close")) {
      event.preventDefault();
      close();
    } else if (summary) {
      event.preventDefault();
      list.open = true;
      state.value = summary.dataset.list;
      filter();
      list.scrollIntoView({ block: "nearest" });
      find.focus({ preventScroll: true });
    }
  });
  panel.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
  });

  function afterRefresh() {
    ensureTabStops();
    sort();
    filter();
    highlight();
    if (opened) fill();
  }

  const requested = new URLSearchParams(location.search).get("station");
  if (!panel.hidden) opened = requested;
  ensureTabStops();
  filter();
  highlight();
  return afterRefresh;
}
