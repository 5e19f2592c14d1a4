"""Where things are, how far apart, and which belong together. Kilometres throughout."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

EARTH_RADIUS = 6371.0
# Twice the walk that joins two stations of one town; a bay or a motorway's length is wider.
AREA_GAP = 2.0

Point = tuple[float, float, float]
Cell = tuple[int, int, int]


def point(lat: float, lon: float) -> Point:
    """A place in space, its origin the earth's centre: `math.dist` of two is their distance.

    The straight line is shorter than the way along the ground by a millimetre in 10 km. It knows no
    date line and no shrinking of degrees towards the poles.
    """
    north, east = math.radians(lat), math.radians(lon)
    across = EARTH_RADIUS * math.cos(north)
    return across * math.cos(east), across * math.sin(east), EARTH_RADIUS * math.sin(north)


def kilometres(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """Between two positions in degrees."""
    return math.dist(point(lat, lon), point(other_lat, other_lon))


class Grid:
    """Points sorted into cubes, so that neighbours are found without looking at everybody."""

    def __init__(self, points: Sequence[Point], within: float) -> None:
        self.points = points
        self.within = within
        self.cells: dict[Cell, list[int]] = defaultdict(list)
        for index, place in enumerate(points):
            self.cells[self.cell(place)].append(index)

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


def areas(points: Sequence[Point], gap: float = AREA_GAP) -> list[int]:
    """The area of each point: from one to the next of an area it is nowhere farther than `gap`.

    Areas are numbered from 0 in the order of their first points.
    """
    grid = Grid(points, gap)
    found = [-1] * len(points)
    number = 0
    for start in range(len(points)):
        if found[start] >= 0:
            continue
        found[start], edge = number, [start]
        while edge:
            for index, _ in grid.near(points[edge.pop()]):
                if found[index] < 0:
                    found[index] = number
                    edge.append(index)
        number += 1
    return found
