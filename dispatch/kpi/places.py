"""Where tasks begin: the area and the system of their first station. No database."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple


class Place(NamedTuple):
    """Two systems may have areas of the same name. `system`: empty where only one is loaded.
    Both are empty if no feed knows the station."""

    system: str
    area: str

    def includes(self, other: "Place") -> bool:
        """An area without a system stands for all areas of this name."""
        return other == self or bool(self.area and not self.system and other.area == self.area)


class Places:
    """The places of all stations that are loaded."""

    def __init__(self, stations: Iterable[tuple[str, str]]) -> None:
        """`stations`: their systems and areas. An empty area is unknown."""
        self.systems_of: dict[str, set[str]] = defaultdict(set)
        for system, area in stations:
            self.systems_of[area].add(system)
        self.has_several_systems = len(set().union(*self.systems_of.values())) > 1

    def place(self, system: str, area: str) -> Place:
        """`system`: empty also for a pruned task. Then it is the only one that has the area."""
        if not self.has_several_systems:
            return Place("", area)
        if not system and area and len(self.systems_of.get(area, ())) == 1:
            [system] = self.systems_of[area]
        return Place(system, area)
