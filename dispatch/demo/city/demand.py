"""The demand for rides, by hour and pair of stations."""

from collections.abc import Sequence
from itertools import accumulate
from random import Random

from .places import Place

# Rides per station that begin in each hour of the day.
RIDES = [
    *(0.2, 0.1, 0.1, 0.1, 0.2, 0.6, 1.8, 4.0, 5.0, 3.4, 1.8, 1.8),
    *(2.2, 2.1, 1.8, 2.2, 3.6, 4.8, 4.2, 2.4, 1.5, 1.0, 0.6, 0.3),
]
# The direction of rides in each hour: to work (1), home (-1) or anywhere (0).
PULL = [
    *(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.7, 0.9, 0.9, 0.6, 0.2, 0.0),
    *(0.0, 0.0, 0.0, -0.3, -0.7, -0.9, -0.8, -0.5, -0.3, 0.0, 0.0, 0.0),
]
ANYWHERE = 0.25


class Demand:
    """Rides stay within one area and avoid closed stations."""

    def __init__(self, places: Sequence[Place], areas: Sequence[int]) -> None:
        self.places = places
        self.areas = areas
        open_places = [index for index, place in enumerate(places) if not place.closed]
        self.everywhere = open_places
        self.members = {
            area: [index for index in open_places if areas[index] == area] for area in set(areas)
        }
        self.starts = [self.weights(open_places, -pull) for pull in PULL]
        self.ends = {
            area: [self.weights(members, pull) for pull in PULL]
            for area, members in self.members.items()
        }

    def weights(self, indexes: list[int], pull: float) -> list[float]:
        """Cumulative attraction of each place to riders to work or, if `pull` < 0, riders home."""
        return list(accumulate(self.weight(self.places[index], pull) for index in indexes))

    def weight(self, place: Place, pull: float) -> float:
        attraction = pull * place.work if pull > 0 else -pull * (1 - place.work)
        return place.capacity * (ANYWHERE + attraction)

    def rides(self, hour: int, random: Random) -> list[tuple[int, int]]:
        """Rides that begin in one minute of the hour, as pairs of indexes of places."""
        expected = RIDES[hour] * len(self.everywhere) / 60
        number = int(expected) + (random.random() < expected % 1)
        starts = random.choices(self.everywhere, cum_weights=self.starts[hour], k=number)
        return [(start, self.end(start, hour, random)) for start in starts]

    def end(self, start: int, hour: int, random: Random) -> int:
        area = self.areas[start]
        (chosen,) = random.choices(self.members[area], cum_weights=self.ends[area][hour])
        return chosen
