"""Riders whose demand follows the hour, so that stations run empty and full."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from ...planning.geo import Grid, areas, point
from .demand import Demand
from .places import Place

MEAN_SHARE, SPREAD = 0.5, 0.15
NIGHT_BEGINS, NIGHT_ENDS = 23, 5
BROKEN_SHARE = 0.035
SHORTEST_RIDE, LONGEST_RIDE = 6, 22
# Riders who find no dock try stations this near, then try again after this many minutes.
DETOUR_KM, DETOUR_MINUTES = 1.2, 5


@dataclass(frozen=True)
class Inventory:
    """Usable bikes, free docks and disabled bikes of a station; their sum is its capacity."""

    bikes: int
    docks: int
    disabled: int


class City:
    """Bikes at stations and on the road. No bike is lost: riders without a dock ride on.

    `minute` counts from midnight of the first day.
    """

    def __init__(
        self,
        places: Sequence[Place],
        *,
        seed: int = 1,
        minute: int = 0,
        inventories: Mapping[int, Inventory] | None = None,
    ) -> None:
        self.places = places
        self.minute = minute
        self.random = Random(seed)  # noqa: S311
        self.index = {place.number: index for index, place in enumerate(places)}
        self.bikes: list[int] = []
        self.disabled: list[int] = []
        # A heap of arrivals: the minute and the index of the station.
        self.riding: list[tuple[int, int]] = []
        for place in places:
            known = (inventories or {}).get(place.number)
            inventory = known or self.random_inventory(place)
            self.disabled.append(inventory.disabled)
            self.bikes.append(inventory.bikes)
        points = [point(place.lat, place.lon) for place in places]
        self.demand = Demand(places, areas(points))
        grid = Grid(points, DETOUR_KM)
        self.nearby = [
            [other for _, other in sorted((km, other) for other, km in grid.near(spot))]
            for spot in points
        ]

    def random_inventory(self, place: Place) -> Inventory:
        disabled = sum(self.random.random() < BROKEN_SHARE for _ in range(place.capacity))
        share = min(max(self.random.gauss(MEAN_SHARE, SPREAD), 0), 1)
        bikes = round((place.capacity - disabled) * share)
        return Inventory(bikes, place.capacity - disabled - bikes, disabled)

    def inventories(self) -> dict[int, Inventory]:
        """By station number."""
        return {
            place.number: Inventory(self.bikes[index], self.docks(index), self.disabled[index])
            for index, place in enumerate(self.places)
        }

    def docks(self, index: int) -> int:
        return self.places[index].capacity - self.bikes[index] - self.disabled[index]

    @property
    def is_night(self) -> bool:
        return not NIGHT_ENDS <= self.minute // 60 % 24 < NIGHT_BEGINS

    def ride(self, minutes: int) -> None:
        """Let the time pass: bikes leave and arrive."""
        for _ in range(minutes):
            hour = self.minute // 60 % 24
            for start, end in self.demand.rides(hour, self.random):
                # Riders who find no bike walk.
                if self.bikes[start]:
                    self.bikes[start] -= 1
                    self.arrive_later(end, self.random.randint(SHORTEST_RIDE, LONGEST_RIDE))
            self.minute += 1
            while self.riding and self.riding[0][0] <= self.minute:
                self.arrive(heapq.heappop(self.riding)[1])

    def arrive(self, end: int) -> None:
        for index in self.nearby[end]:
            if self.docks(index) and not self.places[index].closed:
                self.bikes[index] += 1
                return
        self.arrive_later(end, DETOUR_MINUTES)

    def arrive_later(self, end: int, minutes: int) -> None:
        heapq.heappush(self.riding, (self.minute + minutes, end))

    def has_bikes(self, source: int, qty: int) -> bool:
        return source not in self.index or self.bikes[self.index[source]] >= qty

    def movable(self, source: int, target: int, qty: int) -> int:
        """Return how many of `qty` bikes a van can move now. Other cities set no limit."""
        bikes = self.bikes[self.index[source]] if source in self.index else qty
        docks = self.docks(self.index[target]) if target in self.index else qty
        return min(qty, bikes, docks)

    def move(self, source: int, target: int, qty: int) -> None:
        """Move `qty` bikes, or as many as possible."""
        qty = self.movable(source, target, qty)
        if source in self.index:
            self.bikes[self.index[source]] -= qty
        if target in self.index:
            self.bikes[self.index[target]] += qty
