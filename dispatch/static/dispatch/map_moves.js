/* The moves as curved arrows, one for each row of the lists. */

const SHORT = 30;
const GAP = 7;
const HEAD = 7;
const STEPS = 20;

export class Moves {
  /* `onHover(row or undefined)`, `onPick(row, point)`: what the pointer does. */
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
    const path = arrow(this.map, move);
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
      const path = arrow(this.map, move);
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

/* A curve and its head, as places. Each way has a curve of its own, and a short move swings out far
   enough to be seen. */
function arrow(map, { from, to }) {
  const start = map.latLngToLayerPoint(from);
  const end = map.latLngToLayerPoint(to);
  const points = trimmed(curve(start, end), start, end);
  const tip = points.at(-1);
  const before = points.at(-2);
  const [ux, uy] = unit(before, tip);
  const wings = [1, -1].map((side) => L.point(tip.x - HEAD * (ux - (side * uy) / 2), tip.y - HEAD * (uy + (side * ux) / 2)));
  return [points, [wings[0], tip, wings[1]]].map((line) => line.map((point) => map.layerPointToLatLng(point)));
}

function unit(from, to) {
  const length = from.distanceTo(to) || 1;
  return [(to.x - from.x) / length, (to.y - from.y) / length];
}

function curve(start, end) {
  const length = start.distanceTo(end);
  const [ux, uy] = length ? unit(start, end) : [1, 0];
  const short = length < SHORT;
  const along = short ? -12 : length / 3;
  const aside = short ? 34 : Math.min(length / 5, 36);
  const control = (from, direction) => L.point(from.x + direction * ux * along - uy * aside, from.y + direction * uy * along + ux * aside);
  const [first, second] = [control(start, 1), control(end, -1)];
  const points = [];
  for (let step = 0; step <= STEPS; step += 1) {
    const t = step / STEPS;
    const [a, b, c, d] = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t ** 3];
    points.push(
      L.point(
        a * start.x + b * first.x + c * second.x + d * end.x,
        a * start.y + b * first.y + c * second.y + d * end.y,
      ),
    );
  }
  return points;
}

/* Without what would lie under the two circles. */
function trimmed(points, start, end) {
  const first = points.findIndex((point) => point.distanceTo(start) > GAP);
  const last = points.findLastIndex((point) => point.distanceTo(end) > GAP);
  return points.slice(first, last + 1);
}
