"""Positions, distances in kilometres, and areas of near points."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

EARTH_RADIUS = 6371.0
# Twice the walk between neighbouring stations of one town. A bay or a motorway is wider.
AREA_GAP = 2.0

Point = tuple[float, float, float]
Cell = tuple[int, int, int]


def point(lat: float, lon: float) -> Point:
    """A position in space, with the earth's centre as origin.

    `math.dist` of two points is the straight line between them: a millimetre shorter than the way
    along the ground in 10 km, and correct at the date line and near the poles.
    """
    north, east = math.radians(lat), math.radians(lon)
    across = EARTH_RADIUS * math.cos(north)
    return across * math.cos(east), across * math.sin(east), EARTH_RADIUS * math.sin(north)


def kilometres(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """The distance between two positions in degrees."""
    return math.dist(point(lat, lon), point(other_lat, other_lon))


def in_words(km: float) -> str:
    return f"{km:.1f} km" if km < 9.95 else f"{km:.0f} km"


class Grid:
    """Points sorted into cubes, to find the near ones without looking at all of them."""

    def __init__(self, points: Sequence[Point], within: float) -> None:
        self.points = points
        self.within = within
        self.cells: dict[Cell, set[int]] = defaultdict(set)
        for index, place in enumerate(points):
            self.cells[self.cell(place)].add(index)

    def cell(self, place: Point) -> Cell:
        x, y, z = place
        return math.floor(x / self.within), math.floor(y / self.within), math.floor(z / self.within)

    def near(self, place: Point) -> Iterator[tuple[int, float]]:
        """The index and distance of each point at most `within` from a place."""
        x, y, z = self.cell(place)
        for cell in (
            (x + dx, y + dy, z + dz) for dx in (-1, 0, 1) for dy in (-1, 0, 1) for dz in (-1, 0, 1)
        ):
            for index in self.cells.get(cell, ()):
                distance = math.dist(place, self.points[index])
                if distance <= self.within:
                    yield index, distance

    def remove(self, index: int) -> None:
        self.cells[self.cell(self.points[index])].discard(index)


def areas(points: Sequence[Point], gap: float = AREA_GAP) -> list[int]:
    """The area of each point. Within an area, every point has a neighbour at most `gap` away.

    Areas are numbered from 0 in the order of their first points.
    """
    unvisited = Grid(points, gap)
    found = [-1] * len(points)
    number = -1
    for start in range(len(points)):
        if found[start] >= 0:
            continue
        number += 1
        found[start], edge = number, [start]
        unvisited.remove(start)
        while edge:
            for index, _ in list(unvisited.near(points[edge.pop()])):
                found[index] = number
                unvisited.remove(index)
                edge.append(index)
    return found
