/* The stations as circles on one canvas, with names at street level. Circles take no events: a
   pointer selects the nearest station, even where circles overlap. */
import { coarse } from "./map_view.js";

const REACH = coarse ? 24 : 12;
const NAMES_FROM = 15.5;
const NAMED_FROM = { empty: 14, full: 14 };
const NAME = {
  width: 120,
  height: 16,
  options: { pane: "names", permanent: true, direction: "right", offset: [6, 0], className: "station-name" },
};
// Radii in pixels, for a view of the whole city and for street level. Less urgent stations are smaller
// in the view of the city: hundreds of calm ones would hide the others.
const RADII = { empty: [4.2, 7], full: [4.2, 7], low: [2.4, 5.5], high: [2.4, 5.5] };
const CALM = [1.2, 4];
const ZOOMS = [11, 15];

function radiusOf(level, zoom) {
  const [far, near] = RADII[level] ?? CALM;
  return far + (near - far) * Math.min(Math.max((zoom - ZOOMS[0]) / (ZOOMS[1] - ZOOMS[0]), 0), 1.4);
}

export class Stations {
  /* `levels`: from the most to the least urgent. `legend`: shows a circle of each level. */
  constructor(map, legend, levels) {
    this.map = map;
    this.legend = legend;
    this.levels = levels;
    this.byId = new Map();
    this.names = L.layerGroup().addTo(map);
    map.createPane("stations");
    // The list and the cursor name the stations for screen readers.
    map.createPane("names").ariaHidden = "true";
    this.renderer = L.canvas({ pane: "stations", padding: 0.5 });
    map.on("zoomend", () => this.draw());
    map.on("moveend", () => this.showNames());
  }

  /* Replaces all stations with these features. */
  place(features) {
    const known = this.byId;
    this.byId = new Map();
    for (const { id, geometry, properties } of features) {
      const at = L.latLng(geometry.coordinates[1], geometry.coordinates[0]);
      const circle = L.circleMarker(at, { renderer: this.renderer, interactive: false });
      this.byId.set(String(id), { id: String(id), at, circle, ...properties });
    }
    for (const { circle } of known.values()) circle.remove();
  }

  /* `rows`: as the server lists them. Returns false if some stations have no place yet. */
  setStates(rows) {
    const listed = new Set();
    let complete = true;
    for (const [id, level, bikes, docks] of rows) {
      listed.add(String(id));
      const station = this.byId.get(String(id));
      if (station) Object.assign(station, { level, bikes, docks });
      else complete = false;
    }
    for (const [id, station] of this.byId) {
      if (listed.has(id)) continue;
      station.circle.remove();
      this.byId.delete(id);
    }
    this.draw();
    return complete;
  }

  /* Least urgent first, so that urgent stations are on top. */
  inOrder() {
    return [...this.byId.values()].sort((a, b) => this.levels.indexOf(b.level) - this.levels.indexOf(a.level));
  }

  draw() {
    const zoom = this.map.getZoom();
    if (zoom === undefined) return;
    const styles = Object.fromEntries(this.levels.map((level) => [level, this.styleOf(level)]));
    for (const { circle, level } of this.inOrder()) {
      const outlined = zoom >= 12 || RADII[level];
      circle.setStyle({ ...styles[level], stroke: Boolean(outlined) });
      circle.setRadius(radiusOf(level, zoom));
      if (!this.map.hasLayer(circle)) circle.addTo(this.map);
      circle.bringToFront();
    }
    this.showNames();
  }

  /* Reads a level's colours, light or dark, from the legend's circle: CSS alone defines them. */
  styleOf(level) {
    const style = getComputedStyle(this.legend.querySelector(`circle.${level}`));
    return {
      fillColor: style.fill,
      fillOpacity: 1,
      color: style.stroke,
      weight: parseFloat(style.strokeWidth),
      dashArray: style.strokeDasharray === "none" ? null : style.strokeDasharray.replaceAll("px", ""),
    };
  }

  /* Shows names where there is room: those of empty and full stations first, others at street level. */
  showNames() {
    this.names.clearLayers();
    const zoom = this.map.getZoom();
    const view = this.map.getBounds();
    const taken = [];
    for (const station of this.inOrder().reverse()) {
      if (zoom < (NAMED_FROM[station.level] ?? NAMES_FROM) || !view.contains(station.at)) continue;
      const place = this.map.latLngToLayerPoint(station.at);
      if (taken.some(({ x, y }) => Math.abs(x - place.x) < NAME.width && Math.abs(y - place.y) < NAME.height)) continue;
      taken.push(place);
      this.names.addLayer(L.tooltip(station.at, { ...NAME.options, content: isolate(station.name) }));
    }
  }

  /* The station under a pointer, or undefined. */
  near(point) {
    let found;
    let least = REACH;
    const corners = [-2, 2].map((side) => this.map.containerPointToLatLng(L.point(point).add([side * REACH, side * REACH])));
    const around = L.latLngBounds(corners);
    for (const station of this.byId.values()) {
      if (!around.contains(station.at)) continue;
      const gap = this.map.latLngToContainerPoint(station.at).distanceTo(point) - station.circle.getRadius();
      if (gap < least) [found, least] = [station, gap];
    }
    return found;
  }

  /* The next station in a direction, preferring one straight ahead. */
  next(from, [dx, dy]) {
    const start = this.map.latLngToContainerPoint(from.at);
    let found;
    let lowest = Infinity;
    for (const station of this.byId.values()) {
      const { x, y } = this.map.latLngToContainerPoint(station.at).subtract(start);
      const along = x * dx + y * dy;
      const across = Math.abs(x * dy - y * dx);
      const cost = along + 2 * across;
      if (along > 0 && across <= 2 * along && cost < lowest) [found, lowest] = [station, cost];
    }
    return found;
  }
}

/* Wraps a text in an element: Leaflet would read a plain text as markup. */
export function isolate(text) {
  const element = document.createElement("bdi");
  element.textContent = text;
  return element;
}
