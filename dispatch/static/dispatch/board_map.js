/* The map, the station list and the station's card, kept in step with the board's rows. */
import { reveal } from "./board_tabs.js";
import { Areas } from "./map_areas.js";
import { Cursor } from "./map_cursor.js";
import { Moves } from "./map_moves.js";
import { Rows } from "./map_rows.js";
import { Stations, isolate } from "./map_stations.js";
import { createMap, show } from "./map_view.js";
import { StationCard } from "./station_card.js";
import { StationList } from "./station_list.js";

const CLOSE_UP = 14;

export function watchMap(board, showAges) {
  const city = new CityMap(board, showAges);
  city.readPlaces();
  return () => city.afterRefresh();
}

class CityMap {
  constructor(board, showAges) {
    const options = [...document.getElementById("state").options].slice(1);
    this.labels = new Map(options.map(({ value, text }) => [value, text]));
    this.board = board;
    this.element = document.getElementById("map");
    this.map = createMap(this.element, () => this.onShown());
    this.stations = new Stations(this.map, board.querySelector(".legend"), [...this.labels.keys()]);
    this.areas = new Areas(this.map, this.stations, document.getElementById("areas"));
    this.list = new StationList(this.stations, this.labels);
    this.card = new StationCard(board, showAges, (number) => this.showSelected(number));
    this.cursor = new Cursor(this.map, this.stations, {
      describe: (station) => this.describe(station),
      onOpen: (station, button) => this.card.open(station.id, button),
    });
    this.linkRows();
    this.watchPointer();
    board.addEventListener("click", (event) => this.followLink(event));
    board.addEventListener("change", ({ target }) => target.name === "area" && this.areas.zoomTo(target.value));
    this.watchColors();
  }

  linkRows() {
    this.rows = new Rows(this.board, this.stations);
    this.moves = new Moves(this.map, {
      onHover: (row) => (row ? this.rows.mark(document.getElementById(row)) : this.rows.markCurrent()),
      onPick: (row, point) => this.stations.near(point) || this.rows.goTo(row),
    });
    this.rows.moves = this.moves;
  }

  // Data from the server

  async readPlaces() {
    const response = await fetch(this.board.dataset.places, { redirect: "manual" }).catch(() => null);
    if (!response?.ok) return;
    this.stations.place((await response.json()).features);
    const isFirst = !this.placesAreKnown;
    this.placesAreKnown = true;
    if (this.map.getZoom() === undefined) this.areas.setView();
    this.refresh();
    this.areas.showButtons();
    if (isFirst && this.card.number) this.showSelected(this.card.number);
  }

  /* Returns false if a station is new. */
  refresh() {
    const complete = this.stations.setStates(JSON.parse(document.getElementById("station-states").textContent));
    this.moves.set(this.rows.read());
    this.cursor.refresh();
    this.list.refresh();
    return complete;
  }

  afterRefresh() {
    if (!this.placesAreKnown || !this.refresh()) this.readPlaces();
    this.card.refresh();
  }

  describe({ name, level, bikes, docks }) {
    const counts = bikes === null ? "" : `, ${bikes} bike${bikes === 1 ? "" : "s"}`;
    const free = docks === null ? "" : ` · ${docks} dock${docks === 1 ? "" : "s"} free`;
    return `\u2068${name}\u2069: ${this.labels.get(level)}${counts}${free}`;
  }

  // The view

  onShown() {
    if (!this.placesAreKnown) return;
    this.areas.setView();
    if (this.card.number) this.showSelected(this.card.number);
  }

  showSelected(number) {
    if (number) reveal(this.element);
    const station = this.stations.byId.get(number);
    if (station) {
      this.cursor.moveTo(station);
      // The card takes room from the map.
      this.map.invalidateSize({ pan: false });
      show(this.map, station.at, CLOSE_UP);
    }
    this.cursor.select(number);
  }

  watchColors() {
    const draw = () => this.stations.draw();
    new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  }

  // Pointers and links

  watchPointer() {
    const tip = L.tooltip({ direction: "top", offset: [0, -8] });
    this.map.on("mousemove", ({ containerPoint }) => {
      const station = this.stations.near(containerPoint);
      this.element.classList.toggle("on-station", Boolean(station));
      if (station) this.map.openTooltip(tip.setLatLng(station.at).setContent(isolate(this.describe(station))));
      else tip.close();
    });
    this.map.on("mouseout preclick", () => tip.close());
    this.map.on("click", ({ containerPoint }) => {
      const station = this.stations.near(containerPoint);
      if (!station) return;
      this.cursor.moveTo(station);
      this.card.open(station.id, this.cursor.button);
    });
  }

  followLink(event) {
    const link = event.target.closest("a[href^='?station='], a[data-list]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if ("list" in link.dataset) this.list.show(link.dataset.list);
    else this.card.open(new URLSearchParams(link.getAttribute("href")).get("station"), link);
  }
}
