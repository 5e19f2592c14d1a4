/* The map, the station list and the station's card, kept in step with the board's rows. */
import { Cursor } from "./map_cursor.js";
import { Moves } from "./map_moves.js";
import { Stations, isolate } from "./map_stations.js";
import { createMap, fit, restore, show } from "./map_view.js";
import { StationCard } from "./station_card.js";
import { StationList } from "./station_list.js";

const CLOSE_UP = 14;

export function watchMap(board, showAges) {
  const element = document.getElementById("map");
  const areas = document.getElementById("areas");
  const legend = board.querySelector(".legend");
  const labels = new Map([...document.getElementById("state").options].slice(1).map((each) => [each.value, each.text]));
  const map = createMap(element);
  const stations = new Stations(map, legend, [...labels.keys()]);
  const moves = new Moves(map, { onHover: markRow, onPick: goToRow });
  const cursor = new Cursor(map, stations, { describe, onOpen: (station, button) => card.open(station.id, button) });
  const list = new StationList(stations, labels);
  const card = new StationCard(board, showAges, showSelected);
  const tip = L.tooltip({ direction: "top", offset: [0, -8] });
  let placesRead = false;

  // What the server says

  async function readPlaces() {
    const response = await fetch(board.dataset.places, { redirect: "manual" });
    if (!response.ok) return;
    stations.place((await response.json()).features);
    placesRead = true;
    if (map.getZoom() === undefined) setView();
    refresh();
    showAreas();
    if (card.number) showSelected(card.number);
  }

  function refresh() {
    const complete = stations.setStates(JSON.parse(document.getElementById("station-states").textContent));
    moves.set([...board.querySelectorAll(".row[data-from]:not(.gone)")].map(moveOf).filter(Boolean));
    cursor.refresh();
    list.refresh();
    return complete;
  }

  function moveOf(row) {
    const from = stations.byId.get(row.dataset.from);
    const to = stations.byId.get(row.dataset.to);
    if (!from || !to) return null;
    const label = document.createElement("span");
    label.append(`${row.dataset.state}: ${row.querySelector(".qty").textContent}, `, isolate(from.name), " → ", isolate(to.name));
    return { row: row.id, from: from.at, to: to.at, state: row.dataset.state, label };
  }

  function describe({ name, level, bikes, docks }) {
    const counts = bikes === null ? "" : `, ${bikes} bike${bikes === 1 ? "" : "s"}`;
    const free = docks === null ? "" : ` · ${docks} dock${docks === 1 ? "" : "s"} free`;
    return `\u2068${name}\u2069: ${labels.get(level)}${counts}${free}`;
  }

  // The view

  function byArea() {
    const groups = new Map();
    for (const { area, at } of stations.byId.values()) groups.set(area, [...(groups.get(area) ?? []), at]);
    return [...groups].sort(([, a], [, b]) => b.length - a.length);
  }

  function setView() {
    if (!restore(map)) fit(map, byArea()[0]?.[1] ?? [L.latLng(0, 0)]);
  }

  function showAreas() {
    const groups = byArea().filter(([name]) => name);
    const everything = [...stations.byId.values()].map(({ at }) => at);
    const shown = groups.length > 1 ? [["All areas", everything], ...groups] : [["All stations", everything]];
    areas.replaceChildren(
      ...shown.map(([name, points]) => {
        const button = document.createElement("button");
        button.type = "button";
        button.append(isolate(name));
        button.addEventListener("click", () => fit(map, points));
        return button;
      }),
    );
  }

  function showSelected(number) {
    const station = stations.byId.get(number);
    if (station) {
      cursor.moveTo(station);
      // The card takes room from the map.
      map.invalidateSize({ pan: false });
      show(map, station.at, CLOSE_UP);
    }
    cursor.select(number);
  }

  // Rows and arrows

  function markRow(id) {
    for (const row of board.querySelectorAll(".row.marked")) row.classList.remove("marked");
    if (id) document.getElementById(id)?.classList.add("marked");
    moves.mark(id);
  }

  function goToRow(id, point) {
    if (stations.near(point)) return;
    const row = document.getElementById(id);
    row?.scrollIntoView({ block: "nearest" });
    row?.focus({ preventScroll: true });
  }

  const rowOf = (target) => target.closest?.(".row[data-from]");
  board.addEventListener("pointerover", (event) => {
    if (!element.contains(event.target)) markRow((rowOf(event.target) ?? rowOf(document.activeElement))?.id);
  });
  board.addEventListener("focusin", (event) => markRow(rowOf(event.target)?.id));

  // Pointers on the map

  map.on("mousemove", ({ containerPoint }) => {
    const station = stations.near(containerPoint);
    element.classList.toggle("on-station", Boolean(station));
    if (station) map.openTooltip(tip.setLatLng(station.at).setContent(isolate(describe(station))));
    else tip.close();
  });
  map.on("mouseout", () => tip.close());
  map.on("preclick", () => tip.close());
  map.on("click", ({ containerPoint }) => {
    const station = stations.near(containerPoint);
    if (!station) return;
    cursor.moveTo(station);
    card.open(station.id, cursor.button);
  });

  board.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    const link = event.target.closest("a[href^='?station=']");
    const summary = event.target.closest("a[data-list]");
    if (!link && !summary) return;
    event.preventDefault();
    if (link) card.open(new URLSearchParams(link.getAttribute("href")).get("station"), link);
    else list.show(summary.dataset.list);
  });

  function restyle() {
    stations.draw();
  }
  new MutationObserver(restyle).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle);

  function afterRefresh() {
    if (!placesRead || !refresh()) readPlaces().catch(() => undefined);
    card.refresh();
  }

  readPlaces().catch(() => undefined);
  return afterRefresh;
}
