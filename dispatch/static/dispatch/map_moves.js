/* The moves as curved arrows, one for each row of the lists. */
import { arrow } from "./map_arrows.js";

export class Moves {
  /* `onHover(row or undefined)` and `onPick(row, point)` report the pointer. */
  constructor(map, { onHover, onPick }) {
    this.map = map;
    this.onHover = onHover;
    this.onPick = onPick;
    this.drawn = new Map();
    map.createPane("moves");
    this.renderer = L.svg({ pane: "moves", padding: 1 });
    this.group = L.layerGroup().addTo(map);
    map.on("zoomend", () => this.redraw());
  }

  /* `moves`: objects with row, from, to, state and label. */
  set(moves) {
    this.group.clearLayers();
    this.drawn.clear();
    for (const move of moves) this.drawn.set(move.row, { move, ...this.lines(move) });
    this.mark(this.marked);
  }

  lines(move) {
    const path = placesOf(this.map, move);
    const base = { renderer: this.renderer, smoothFactor: 0, fill: false };
    const line = L.polyline(path, { ...base, className: `move ${move.state}`, interactive: false });
    const target = L.polyline(path, { ...base, className: "move-target", weight: 14, opacity: 0 });
    target.bindTooltip(move.label, { sticky: true });
    target.on("mouseover", () => this.onHover(move.row));
    target.on("mouseout", () => this.onHover());
    target.on("click", ({ containerPoint }) => this.onPick(move.row, containerPoint));
    this.group.addLayer(line).addLayer(target);
    line.getElement().dataset.row = move.row;
    return { line, target };
  }

  redraw() {
    for (const { move, line, target } of this.drawn.values()) {
      const path = placesOf(this.map, move);
      line.setLatLngs(path);
      target.setLatLngs(path);
    }
  }

  mark(row) {
    this.drawn.get(this.marked)?.line.getElement()?.classList.remove("marked");
    this.marked = row;
    const line = this.drawn.get(row)?.line;
    line?.getElement()?.classList.add("marked");
    line?.bringToFront();
  }
}

/* The arrow as lines of places: its size on the screen is the same at each zoom. */
function placesOf(map, { from, to }) {
  const [start, end] = [from, to].map((at) => map.latLngToLayerPoint(at)).map(({ x, y }) => [x, y]);
  return arrow(start, end, map.getZoom()).map((line) => line.map((point) => map.layerPointToLatLng(point)));
}
