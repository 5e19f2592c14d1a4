"""The map's geometry: positions in degrees in, drawing coordinates out.

Areas that are far apart get panes of their own, so that none of them shrinks to a dot.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from math import cos, dist, hypot, radians
from statistics import median
from typing import NamedTuple

from ..overview.station_views import Place
from ..planning import geo
from ..planning.geo import areas, point

KM_PER_DEGREE = 111.195
# A smaller area joins the nearest one within JOIN_KM.
FEWEST = 5
JOIN_KM = 15.0
MAX_PANES = 4
WIDTH = 800
MIN_HEIGHT, MAX_HEIGHT = 480, 560
MARGIN = 16


class Point(NamedTuple):
    """Kilometres east and south on a plane, or units from the top left of a pane."""

    x: float
    y: float


@dataclass(frozen=True)
class Pane:
    width: int
    height: int
    units_per_km: float
    points: dict[int, Point]


def panes_of(places: Iterable[Place]) -> list[Pane]:
    """The largest area at full height on the left, the others stacked on the right.

    Areas beyond MAX_PANES are left out.
    """
    known = list(places)
    if not known:
        return []
    plane = project(known)
    first, *others = [{pk: plane[pk] for pk in ids} for ids in areas_of(known)[:MAX_PANES]]
    left, width = WIDTH * 3 // 5 if others else WIDTH, WIDTH
    wanted = max(
        natural_height(first, left), sum(natural_height(area, width - left) for area in others)
    )
    height = min(max(wanted, MIN_HEIGHT), MAX_HEIGHT)
    return [
        fit(first, left, height),
        *(fit(area, width - left, height // len(others)) for area in others),
    ]


def project(places: list[Place]) -> dict[int, Point]:
    """An equirectangular projection, to scale at the median latitude."""
    east = KM_PER_DEGREE * cos(radians(median(place.lat for place in places)))
    return {place.id: Point(place.lon * east, -place.lat * KM_PER_DEGREE) for place in places}


def areas_of(places: list[Place]) -> list[list[int]]:
    """The ids of each area's places, the largest area first."""
    spots = {place.id: point(place.lat, place.lon) for place in places}
    found: dict[int, list[int]] = defaultdict(list)
    for pk, area in zip(spots, areas(list(spots.values())), strict=True):
        found[area].append(pk)
    groups = sorted(found.values(), key=lambda ids: (-len(ids), min(ids)))
    large = [ids for ids in groups if len(ids) >= FEWEST]
    if not large:
        return [list(spots)]
    alone = []
    for ids in groups[len(large) :]:
        gaps = [gap(spots, ids, group) for group in large]
        if min(gaps) <= JOIN_KM:
            large[gaps.index(min(gaps))].extend(ids)
        else:
            alone.append(ids)
    return [*large, *alone]


def gap(spots: dict[int, geo.Point], few: list[int], many: list[int]) -> float:
    """The distance between the two nearest places of two areas, in kilometres."""
    return min(dist(spots[a], spots[b]) for a in few for b in many)


def extent(area: dict[int, Point]) -> tuple[Point, Point]:
    """The top left corner, and the size as a point."""
    left, top = min(p.x for p in area.values()), min(p.y for p in area.values())
    right, bottom = max(p.x for p in area.values()), max(p.y for p in area.values())
    return Point(left, top), Point(right - left, bottom - top)


def natural_height(area: dict[int, Point], width: int) -> int:
    """The height at which the area fills a pane of that width."""
    _, size = extent(area)
    return round((width - 2 * MARGIN) * size.y / max(size.x, 1.0)) + 2 * MARGIN


def fit(area: dict[int, Point], width: int, height: int) -> Pane:
    """Scale the area to the pane and centre it."""
    corner, size = extent(area)
    # At least 1 km across: a single street is not enlarged beyond that.
    scale = min((width - 2 * MARGIN) / max(size.x, 1.0), (height - 2 * MARGIN) / max(size.y, 1.0))
    x0, y0 = (width - size.x * scale) / 2, (height - size.y * scale) / 2
    points = {
        pk: Point(round(x0 + (p.x - corner.x) * scale, 1), round(y0 + (p.y - corner.y) * scale, 1))
        for pk, p in area.items()
    }
    return Pane(width, height, scale, points)


def ruler(pane: Pane) -> tuple[str, float]:
    """A round distance as a label, and its length in the pane."""
    for km in (10, 5, 2, 1, 0.5):
        if km * pane.units_per_km <= pane.width / 3:
            break
    return (f"{km} km" if km >= 1 else "500 m"), round(km * pane.units_per_km, 1)


def arrow(start: Point, end: Point, gap: float = 6.0, head: float = 6.0) -> str:
    """An SVG path between two points, curved so that the opposite move has its own line.

    Empty if the points are too close together.
    """
    dx, dy = end.x - start.x, end.y - start.y
    length = hypot(dx, dy)
    if length <= 2 * gap + head:
        return ""
    ux, uy = dx / length, dy / length
    bend = min(length / 6, 24.0)
    middle = Point(start.x + dx / 2 - uy * bend, start.y + dy / 2 + ux * bend)
    # The arrowhead follows the end of the curve, not the straight line.
    back = hypot(end.x - middle.x, end.y - middle.y)
    vx, vy = (end.x - middle.x) / back, (end.y - middle.y) / back
    tip = Point(end.x - vx * gap, end.y - vy * gap)
    wings = [
        Point(tip.x - head * (vx - side * vy / 2), tip.y - head * (vy + side * vx / 2))
        for side in (1, -1)
    ]
    first = Point(start.x + ux * gap, start.y + uy * gap)
    return (
        f"M{first.x:.1f} {first.y:.1f}Q{middle.x:.1f} {middle.y:.1f} {tip.x:.1f} {tip.y:.1f}"
        f"M{wings[0].x:.1f} {wings[0].y:.1f}L{tip.x:.1f} {tip.y:.1f}"
        f"L{wings[1].x:.1f} {wings[1].y:.1f}"
    )
