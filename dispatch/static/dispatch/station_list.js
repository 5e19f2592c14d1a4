/* The list of all stations, an equivalent of the map. Its rows are made when it is opened. */
import { reveal } from "./board_tabs.js";
import { isolate } from "./map_stations.js";

export class StationList {
  /* `labels`: the words for levels, from the most to the least urgent. */
  constructor(stations, labels) {
    this.stations = stations;
    this.labels = labels;
    this.element = document.getElementById("station-list");
    this.find = document.getElementById("find");
    this.state = document.getElementById("state");
    this.body = this.element.querySelector("tbody");
    this.sorting = { column: "urgency", down: true };
    this.element.hidden = false;
    this.element.addEventListener("toggle", () => this.refresh());
    this.element.querySelector("thead").addEventListener("click", (event) => this.sortBy(event.target.closest("th")));
    this.find.addEventListener("input", () => this.filter());
    this.state.addEventListener("input", () => this.filter());
  }

  show(level) {
    this.element.open = true;
    reveal(this.find);
    this.state.value = level;
    this.refresh();
    this.element.scrollIntoView({ block: "nearest" });
    this.find.focus({ preventScroll: true });
  }

  refresh() {
    if (!this.element.open) return;
    const rows = new Map([...this.body.rows].map((row) => [row.id, row]));
    const wanted = this.sorted().map((station) => this.fill(rows.get(`s${station.id}`) ?? this.row(station), station));
    const active = document.activeElement;
    this.body.replaceChildren(...wanted);
    if (this.body.contains(active)) active.focus({ preventScroll: true });
    this.filter();
  }

  sorted() {
    const levels = [...this.labels.keys()];
    const size = ({ bikes, docks }) => bikes + docks;
    const values = {
      name: (station) => station.name.toLowerCase(),
      urgency: (station) => -levels.indexOf(station.level),
      bikes: (station) => station.bikes ?? -1,
      docks: (station) => station.docks ?? -1,
      percent: (station) => (station.docks === null || !size(station) ? -1 : station.bikes / size(station)),
    };
    const value = values[this.sorting.column];
    const up = [...this.stations.byId.values()].map((station) => [value(station), station]);
    up.sort(([a, one], [b, other]) => (a < b ? -1 : a > b ? 1 : 0) * (this.sorting.down ? -1 : 1) || one.name.localeCompare(other.name));
    return up.map(([, station]) => station);
  }

  row({ id, name }) {
    const row = document.createElement("tr");
    row.id = `s${id}`;
    const head = document.createElement("th");
    head.scope = "row";
    const link = document.createElement("a");
    link.href = `?station=${id}`;
    link.append(isolate(name));
    head.append(link);
    row.append(head);
    for (let cell = 0; cell < 4; cell += 1) row.insertCell();
    return row;
  }

  fill(row, { level, bikes, docks }) {
    const size = bikes + docks;
    const percent = bikes === null || docks === null ? "" : size ? Math.round((100 * bikes) / size) : 0;
    const texts = [this.labels.get(level), bikes ?? "", docks ?? (bikes === null ? "" : "unknown"), percent];
    row.className = level;
    texts.forEach((text, index) => (row.cells[index + 1].textContent = text));
    return row;
  }

  filter() {
    const words = this.find.value.toLowerCase().split(/\s+/);
    let count = 0;
    for (const row of this.body.rows) {
      const text = row.cells[0].textContent.toLowerCase();
      const matches = words.every((word) => text.includes(word)) && (!this.state.value || row.className === this.state.value);
      row.hidden = !matches;
      count += matches;
    }
    document.getElementById("found").textContent = `${count} of ${this.body.rows.length}`;
  }

  sortBy(head) {
    if (!head) return;
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const each of head.parentNode.cells) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    this.sorting = { column: head.dataset.sort, down };
    this.refresh();
  }
}
