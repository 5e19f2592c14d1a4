"""Plans moves of bikes from the state of the stations. Pure: reads no data and no clock.

The worst station comes first. It is paired with the nearby station where a move helps most, for as
many bikes as both allow. The move counts as promised at once, and the next worst station follows.
"""

import heapq
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from .geo import AREA_GAP, Grid, areas, point

# The priority of a move for a station just beyond its limit, and for one that is empty or full.
LEAST_PRIORITY, MOST_PRIORITY = 10, 60
# Loading and unloading take a van as long as driving this far, so the nearest is not always best.
STOP_KM = 1.0
# A move already proposed is replaced only by one this many times better: otherwise suggestions
# would change under a dispatcher who is about to approve them.
HYSTERESIS = 1.5

Pair = tuple[int, int]
Area = tuple[str, int]


@dataclass(frozen=True)
class StationState:
    """A station's bikes and docks that riders can use now, and the bikes promised.

    `capacity`: the docks in the feed's list of stations, if known. It limits the size only of a
    station with bikes beside its docks: elsewhere, it often differs from what can be used.

    `promised_in`, `promised_out`: bikes that open tasks and suggestions bring and take.
    `system`: bikes of one system do not fit the docks of another.
    """

    number: int
    name: str
    lat: float
    lon: float
    bikes: int
    docks: int
    capacity: int | None = None
    in_service: bool = True
    promised_in: int = 0
    promised_out: int = 0
    system: str = ""

    @property
    def size(self) -> int:
        overfilled = self.capacity is not None and self.bikes > self.capacity
        return self.capacity if overfilled and self.capacity else self.bikes + self.docks


@dataclass(frozen=True)
class Rules:
    """Limits of a plan. `low` and `high` are percentages of a station's size.

    `max_distance` and `area_gap` are in kilometres. Stations farther apart than `area_gap`, with
    none in between, are in different areas; no move crosses areas.
    """

    low: int = 20
    high: int = 80
    max_distance: float = 5.0
    van_capacity: int = 20
    min_qty: int = 3
    area_gap: float = AREA_GAP


@dataclass(frozen=True)
class PlannedMove:
    """`distance` in kilometres."""

    from_station_id: int
    to_station_id: int
    qty: int
    priority: int
    reason: str
    distance: float


class Balance:
    """A station, and the bikes that the plan has promised so far.

    A station gives and takes only up to the average fill of its area, and never so much that it
    becomes low or high itself.
    """

    def __init__(self, station: StationState, rules: Rules, area_fill: float) -> None:
        self.station = station
        self.low, self.high = rules.low / 100, rules.high / 100
        self.promised_in = station.promised_in
        self.promised_out = station.promised_out
        aim = round(area_fill * station.size)
        self.min_bikes = max(aim, -(-rules.low * station.size // 100))
        self.max_bikes = min(aim, rules.high * station.size // 100)

    @property
    def surplus(self) -> int:
        """Bikes that it can give. Bikes on their way here are not counted."""
        return self.station.bikes - self.promised_out - self.min_bikes

    @property
    def headroom(self) -> int:
        """Bikes that it can take. Bikes about to leave still occupy their docks."""
        return self.max_bikes - self.station.bikes - self.promised_in

    @property
    def severity(self) -> float:
        """0: neither low nor high once all promises are kept; 1: empty or full even then."""
        expected = self.station.bikes + self.promised_in - self.promised_out
        fill = min(max(expected / self.station.size, 0), 1)
        if fill < self.low:
            return (self.low - fill) / self.low
        if fill > self.high:
            return (fill - self.high) / (1 - self.high)
        return 0


def plan_moves(
    stations: Collection[StationState],
    rules: Rules,
    *,
    excluded: Collection[Pair] = (),
    proposed: Collection[Pair] = (),
) -> list[PlannedMove]:
    """The moves, most urgent first. The order of `stations` does not matter.

    `excluded`: pairs of stations (from, to) that must not be proposed. `proposed`: pairs of the
    last plan, which are preferred.
    """
    usable = sorted(
        (station for station in stations if station.in_service and station.size),
        key=lambda station: station.number,
    )
    return Plan(usable, rules, set(excluded), set(proposed)).moves()


class Plan:
    def __init__(
        self, stations: list[StationState], rules: Rules, excluded: set[Pair], proposed: set[Pair]
    ) -> None:
        self.rules = rules
        self.excluded = excluded
        self.proposed = proposed
        self.points = [point(station.lat, station.lon) for station in stations]
        self.areas = [
            (station.system, place)
            for station, place in zip(stations, areas(self.points, rules.area_gap), strict=True)
        ]
        fill = fill_of_areas(stations, self.areas)
        self.balances = [
            Balance(station, rules, fill[area])
            for station, area in zip(stations, self.areas, strict=True)
        ]
        # Found once: as the plan promises bikes, stations drop out but none is added.
        self.givers = self.partners([each.surplus >= rules.min_qty for each in self.balances])
        self.takers = self.partners([each.headroom >= rules.min_qty for each in self.balances])

    def partners(self, able: list[bool]) -> tuple[Grid, list[int]]:
        indexes = [index for index, is_able in enumerate(able) if is_able]
        places = [self.points[index] for index in indexes]
        return Grid(places, self.rules.max_distance), indexes

    def moves(self) -> list[PlannedMove]:
        moves: list[PlannedMove] = []
        # Among equally bad stations the largest comes first: it turns away the most riders.
        queue = [
            (-each.severity, -each.station.size, index)
            for index, each in enumerate(self.balances)
            if each.severity
        ]
        heapq.heapify(queue)
        while queue:
            noted, size, index = heapq.heappop(queue)
            balance = self.balances[index]
            # Unless a move for another station has changed this one in the meantime.
            if balance.severity == -noted:
                move = self.best_move(index)
                if move is None:
                    continue
                moves.append(move)
            if balance.severity:
                heapq.heappush(queue, (-balance.severity, size, index))
        return moves

    def best_move(self, index: int) -> PlannedMove | None:
        """Plan the most useful move for a station. None: no partner can help."""
        best = max(self.candidates(index), default=None)
        if best is None:
            return None
        _, nearness, other, qty = best
        source, target = (index, -other) if self.balances[index].surplus > 0 else (-other, index)
        return self.commit_bikes(self.balances[source], self.balances[target], qty, -nearness)

    def candidates(self, index: int) -> Iterator[tuple[float, float, int, int]]:
        """Yield the gain, two tie-breakers and the number of bikes of each partner."""
        station = self.balances[index]
        gives = station.surplus > 0
        most = min(station.surplus if gives else station.headroom, self.rules.van_capacity)
        grid, indexes = self.takers if gives else self.givers
        for found, distance in grid.near(self.points[index]):
            other = indexes[found]
            partner = self.balances[other]
            qty = min(most, partner.headroom if gives else partner.surplus)
            if qty < self.rules.min_qty or self.areas[other] != self.areas[index]:
                continue
            source, target = (station, partner) if gives else (partner, station)
            pair = source.station.number, target.station.number
            if pair in self.excluded:
                continue
            # A partner that is out of balance, too, is helped by the same move.
            gain = qty * (1 + bool(partner.severity)) / (STOP_KM + distance)
            yield gain * (HYSTERESIS if pair in self.proposed else 1), -distance, -other, qty

    def commit_bikes(
        self, source: Balance, target: Balance, qty: int, distance: float
    ) -> PlannedMove:
        severity = max(source.severity, target.severity)
        move = PlannedMove(
            from_station_id=source.station.number,
            to_station_id=target.station.number,
            qty=qty,
            priority=LEAST_PRIORITY + round((MOST_PRIORITY - LEAST_PRIORITY) * severity),
            reason=reason_for(source.severity, target.severity),
            distance=distance,
        )
        source.promised_out += qty
        target.promised_in += qty
        self.excluded.add((source.station.number, target.station.number))
        return move


def reason_for(source: float, target: float) -> str:
    """The reason of a move, by the severity of both stations, without soon outdated numbers."""
    parts = []
    if source:
        parts.append("from a full station" if source == 1 else "from a station low on docks")
    if target:
        parts.append("to an empty station" if target == 1 else "to a station low on bikes")
    return " ".join(parts).capitalize()


def fill_of_areas(stations: list[StationState], areas: list[Area]) -> dict[Area, float]:
    bikes: dict[Area, int] = defaultdict(int)
    sizes: dict[Area, int] = defaultdict(int)
    for station, area in zip(stations, areas, strict=True):
        bikes[area] += station.bikes
        sizes[area] += station.size
    return {area: min(1, bikes[area] / sizes[area]) for area in sizes}
