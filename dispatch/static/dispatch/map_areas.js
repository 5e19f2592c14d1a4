/* What the map shows first, and the buttons that zoom to an area. */
import { fit, restore } from "./map_view.js";
import { isolate } from "./map_stations.js";

export class Areas {
  constructor(map, stations, element) {
    this.map = map;
    this.stations = stations;
    this.element = element;
  }

  /* Pairs of a name and points, the largest area first. The name may be empty: unknown. */
  groups() {
    const groups = new Map();
    for (const { area, at } of this.stations.byId.values()) {
      if (!groups.has(area)) groups.set(area, []);
      groups.get(area).push(at);
    }
    return [...groups].sort(([, some], [, others]) => others.length - some.length);
  }

  /* The area that the board is filtered by, else this tab's last view, else the largest area. */
  setView() {
    const filtered = new URLSearchParams(location.search).get("area");
    if (this.zoomTo(filtered) || restore(this.map)) return;
    fit(this.map, this.groups()[0]?.[1] ?? [[0, 0]]);
  }

  /* Returns whether there is such an area. */
  zoomTo(area) {
    const [, points] = this.groups().find(([name]) => name && name === area) ?? [];
    if (points) fit(this.map, points);
    return Boolean(points);
  }

  showButtons() {
    const named = this.groups().filter(([name]) => name);
    const everything = [...this.stations.byId.values()].map(({ at }) => at);
    const buttons = [[named.length > 1 ? "All areas" : "All stations", everything], ...(named.length > 1 ? named : [])];
    this.element.hidden = !everything.length;
    this.element.replaceChildren(...buttons.map(([name, points]) => this.button(name, points)));
  }

  button(name, points) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(isolate(name));
    button.addEventListener("click", () => fit(this.map, points));
    return button;
  }
}
