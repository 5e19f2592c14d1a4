/* The map's first view, and the buttons that zoom to an area. */
import { fit, holds, restore } from "./map_view.js";
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

  everything() {
    return [...this.stations.byId.values()].map(({ at }) => at);
  }

  /* Shows the area that the board is filtered by, else this tab's last view, else all stations if
     they fit, else the largest area. */
  setView() {
    const filtered = new URLSearchParams(location.search).get("area");
    if (this.zoomTo(filtered) || restore(this.map)) return;
    const all = this.everything();
    if (!all.length) fit(this.map, [[0, 0]]);
    else fit(this.map, holds(this.map, all) ? all : this.groups()[0][1]);
  }

  /* Returns false if there is no such area. */
  zoomTo(area) {
    const [, points] = this.groups().find(([name]) => name && name === area) ?? [];
    if (points) fit(this.map, points);
    return Boolean(points);
  }

  showButtons() {
    const named = this.groups().filter(([name]) => name);
    const everything = this.everything();
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
