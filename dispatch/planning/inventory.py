"""The bikes that a station can still give, and those that it can take."""

from dataclasses import dataclass, replace
from typing import Self

from ..texts import isolated
from .geo import kilometres


@dataclass(frozen=True)
class StationCapacity:
    """A station's last count, and the bikes that tasks have promised out and in since.

    `bikes`, `docks`: None without a recent status; then promises are not added up. `docks` may
    also be unknown alone.
    `in_feed`: False if the feeds lack this station. Without any feed, it is True.
    `monitored`: False if no station ever had a status, so that a missing one means nothing.
    `lat`, `lon`: None if no feed has ever listed the station. `area`, `system`: empty if unknown.
    """

    name: str
    bikes: int | None = None
    docks: int | None = None
    promised_out: int = 0
    promised_in: int = 0
    in_service: bool = True
    in_feed: bool = True
    monitored: bool = True
    lat: float | None = None
    lon: float | None = None
    area: str = ""
    system: str = ""

    @property
    def name_in_text(self) -> str:
        return isolated(self.name)

    @property
    def is_listed(self) -> bool:
        return self.lat is not None

    def kilometres_to(self, other: "StationCapacity") -> float | None:
        """None: the position of one of them is unknown."""
        if self.lat is None or self.lon is None or other.lat is None or other.lon is None:
            return None
        return kilometres(self.lat, self.lon, other.lat, other.lon)

    @property
    def available_bikes(self) -> int | None:
        """Bikes on their way here do not count: they have not arrived."""
        return None if self.bikes is None else max(0, self.bikes - self.promised_out)

    @property
    def available_docks(self) -> int | None:
        """Docks of bikes that are to leave do not count: they are not free yet."""
        return None if self.docks is None else max(0, self.docks - self.promised_in)

    def after_pickup(self, qty: int) -> Self:
        return replace(self, promised_out=self.promised_out + qty)

    def after_dropoff(self, qty: int) -> Self:
        return replace(self, promised_in=self.promised_in + qty)


def feasible_qty(qty: int, source: StationCapacity, target: StationCapacity) -> int:
    """Return how many of `qty` bikes both stations have room for; unknown counts set no limit."""
    limits = (source.available_bikes, target.available_docks)
    return min([qty, *(limit for limit in limits if limit is not None)])


def effect(qty: int, source: StationCapacity, target: StationCapacity) -> str:
    """Bikes at both ends before and after the move, as in "18 → 7, 0 → 11". Empty: unknown.

    Open tasks count as the guard counts them: the source without the bikes promised to others, the
    target with those on their way. A move that does not fit empties the one or fills the other.
    """
    if source.bikes is None or target.bikes is None:
        return ""
    before, waiting = source.bikes - source.promised_out, target.bikes + target.promised_in
    moved = waiting + qty
    if target.docks is not None:
        moved = max(waiting, min(moved, target.bikes + target.docks))
    return f"{max(0, before)} → {max(0, before - qty)}, {waiting} → {moved}"


def shortfalls(qty: int, source: StationCapacity, target: StationCapacity) -> list[str]:
    """A sentence for each station that lacks bikes or docks for the move."""
    sentences = []
    bikes, docks = source.available_bikes, target.available_docks
    if bikes is not None and qty > bikes:
        there = f"{source.bikes} there{promised(source.promised_out)}"
        sentences.append(
            f"Only {bikes} of {qty} bikes can leave {source.name_in_text} ({there})."
            if bikes
            else f"{source.name_in_text} has no bike to give ({there}; {qty} wanted)."
        )
    if docks is not None and qty > docks:
        noun = "dock" if target.docks == 1 else "docks"
        free = f"{target.docks} {noun} free{promised(target.promised_in)}"
        sentences.append(
            f"Only {docks} of {qty} bikes fit at {target.name_in_text} ({free})."
            if docks
            else f"{target.name_in_text} has no dock to spare ({free}; {qty} wanted)."
        )
    return sentences


def promised(bikes: int) -> str:
    return f", {bikes} already promised" if bikes else ""


def caveats(source: StationCapacity, target: StationCapacity) -> list[str]:
    """A sentence for each fact that counts do not show: missing data, or a closed station."""
    sentences = [sentence for station in (source, target) if (sentence := caveat(station))]
    if target.bikes is not None and target.docks is None:
        sentences.append(f"The number of free docks at {target.name_in_text} is unknown.")
    return sentences


def caveat(station: StationCapacity) -> str | None:
    if not station.in_service:
        return f"{station.name_in_text} is out of service."
    if station.bikes is None and station.monitored and station.in_feed:
        return f"{station.name_in_text} has no recent status."
    return None
