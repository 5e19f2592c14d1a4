/* The shape of a move's arrow, in pixels. Each direction has its own curve, and a short move swings
   out far enough to be seen. */

// Shorter moves swing out, by more pixels the closer the view.
const SHORT = 30;
const SWING = { zooms: [10, 14], pixels: [14, 34] };
const MOST_ASIDE = 36;
// Room for the circles at the ends.
const GAP = 7;
const HEAD = 7;
const STEPS = 20;

/* Two lines of points: the curve, and its head. */
export function arrow(start, end, zoom) {
  const points = curve(start, end, zoom);
  const tip = points.at(-1);
  const [ux, uy] = direction(points.at(-2), tip);
  const wings = [1, -1].map((side) => [tip[0] - HEAD * (ux - (side * uy) / 2), tip[1] - HEAD * (uy + (side * ux) / 2)]);
  return [points, [wings[0], tip, wings[1]]];
}

function direction(from, to) {
  const [x, y] = [to[0] - from[0], to[1] - from[1]];
  const length = Math.hypot(x, y);
  return length ? [x / length, y / length] : [1, 0];
}

/* A cubic Bezier curve without its ends, which the circles cover. */
function curve(start, end, zoom) {
  const [along, aside] = reach(Math.hypot(end[0] - start[0], end[1] - start[1]), zoom);
  const [ux, uy] = direction(start, end);
  const first = [start[0] + ux * along - uy * aside, start[1] + uy * along + ux * aside];
  const second = [end[0] - ux * along - uy * aside, end[1] - uy * along + ux * aside];
  const hidden = GAP / (3 * Math.hypot(along, aside));
  return Array.from({ length: STEPS + 1 }, (_, step) => {
    const t = hidden + (1 - 2 * hidden) * (step / STEPS);
    const [a, b, c, d] = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t ** 3];
    return [0, 1].map((axis) => a * start[axis] + b * first[axis] + c * second[axis] + d * end[axis]);
  });
}

/* Distances of the curve's control points from its ends, along the move and beside it. */
function reach(length, zoom) {
  if (length >= SHORT) return [length / 3, Math.min(length / 5, MOST_ASIDE)];
  const share = (zoom - SWING.zooms[0]) / (SWING.zooms[1] - SWING.zooms[0]);
  const swing = SWING.pixels[0] + Math.min(Math.max(share, 0), 1) * (SWING.pixels[1] - SWING.pixels[0]);
  return [-swing / 3, swing];
}
