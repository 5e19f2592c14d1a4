"""Which bikes to move where: from how full stations are to a list of moves. Nothing is read here.

The worst station comes first. It is paired with the near station that gains most by it, for as
many bikes as both can bear; what is planned counts at once, and the next worst is looked at.
"""

import heapq
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from .geo import AREA_GAP, Grid, areas, point

# The priority of a move for a station that is just beyond the limit, and for one that is out.
LEAST_PRIORITY, MOST_PRIORITY = 10, 60
# To load and unload costs a van as much time as this way, so the very nearest is not always best.
STOP_KM = 1.0
# A move that is proposed already gives way only to one that is so much better: who is about to
# decide it shall not see it go for nothing.
FAVOUR = 1.5

Pair = tuple[int, int]
Area = tuple[str, int]


@dataclass(frozen=True)
class Stand:
    """A station as it stands: what can be rented and returned now, and what is promised.

    `promised_in`, `promised_out`: bikes that open tasks and suggestions bring and take.
    Bikes of one `system` do not fit the docks of another.
    """

    number: int
    name: str
    lat: float
    lon: float
    bikes: int
    docks: int
    in_service: bool = True
    promised_in: int = 0
    promised_out: int = 0
    system: str = ""

    @property
    def size(self) -> int:
        return self.bikes + self.docks


@dataclass(frozen=True)
class Rules:
    """A station is low below `low` and high above `high` per cent of its working size.

    `area_gap`: stations farther apart than this, with none between, are in different areas.
    """

    low: int = 20
    high: int = 80
    max_distance: float = 5.0
    van_capacity: int = 20
    min_qty: int = 3
    area_gap: float = AREA_GAP


@dataclass(frozen=True)
class PlannedMove:
    from_station_id: int
    to_station_id: int
    qty: int
    priority: int
    reason: str
    distance: float


class Ledger:
    """A stand with what the plan itself has promised so far.

    It gives and takes as far as the fill of its whole area, but never becomes low or high by it.
    """

    def __init__(self, stand: Stand, rules: Rules, fill: float) -> None:
        self.stand = stand
        self.low, self.high = rules.low / 100, rules.high / 100
        self.promised_in = stand.promised_in
        self.promised_out = stand.promised_out
        aim = round(fill * stand.size)
        self.keeps = max(aim, -(-rules.low * stand.size // 100))
        self.fills = min(aim, rules.high * stand.size // 100)

    @property
    def spare(self) -> int:
        """Bikes that it can give. Those on their way to it are not there yet."""
        return self.stand.bikes - self.promised_out - self.keeps

    @property
    def room(self) -> int:
        """Bikes that it can take. Those that shall leave still stand in their docks."""
        return self.fills - self.stand.bikes - self.promised_in

    @property
    def severity(self) -> float:
        """0: neither low nor high once its promises are kept. Up to 1: empty or full even then."""
        kept = self.stand.bikes + self.promised_in - self.promised_out
        fill = min(max(kept / self.stand.size, 0), 1)
        if fill < self.low:
            return (self.low - fill) / self.low
        if fill > self.high:
            return (fill - self.high) / (1 - self.high)
        return 0

    @property
    def fact(self) -> str:
        stand = self.stand
        return f"{stand.name}: {stand.bikes} of {stand.size}"


def plan_moves(
    stands: Collection[Stand],
    rules: Rules,
    *,
    barred: Collection[Pair] = (),
    proposed: Collection[Pair] = (),
) -> list[PlannedMove]:
    """The moves, most urgent first. The same stands give the same moves, in any order.

    `barred`: pairs of stations (from, to) that are not to be proposed. `proposed`: those of the
    last plan; they are favoured.
    """
    able = sorted(
        (stand for stand in stands if stand.in_service and stand.size), key=lambda each: each.number
    )
    return Plan(able, rules, set(barred), set(proposed)).moves()


class Plan:
    def __init__(
        self, stands: list[Stand], rules: Rules, barred: set[Pair], proposed: set[Pair]
    ) -> None:
        self.rules = rules
        self.barred = barred
        self.proposed = proposed
        self.points = [point(stand.lat, stand.lon) for stand in stands]
        self.areas = [
            (stand.system, place)
            for stand, place in zip(stands, areas(self.points, rules.area_gap), strict=True)
        ]
        fills = fill_of_areas(stands, self.areas)
        self.ledgers = [
            Ledger(stand, rules, fills[area])
            for stand, area in zip(stands, self.areas, strict=True)
        ]
        # For the whole plan: what it promises only makes them fewer.
        self.givers = self.partners([each.spare >= rules.min_qty for each in self.ledgers])
        self.takers = self.partners([each.room >= rules.min_qty for each in self.ledgers])

    def partners(self, able: list[bool]) -> tuple[Grid, list[int]]:
        indexes = [index for index, is_able in enumerate(able) if is_able]
        places = [self.points[index] for index in indexes]
        return Grid(places, self.rules.max_distance), indexes

    def moves(self) -> list[PlannedMove]:
        moves: list[PlannedMove] = []
        # Of two that are equally bad the larger one turns more riders away.
        queue = [
            (-each.severity, -each.stand.size, index)
            for index, each in enumerate(self.ledgers)
            if each.severity
        ]
        heapq.heapify(queue)
        while queue:
            noted, size, index = heapq.heappop(queue)
            station = self.ledgers[index]
            # A move for another station may have helped this one meanwhile.
            if station.severity == -noted:
                move = self.best_move(index)
                if move is None:
                    continue
                moves.append(move)
            if station.severity:
                heapq.heappush(queue, (-station.severity, size, index))
        return moves

    def best_move(self, index: int) -> PlannedMove | None:
        """Plan the move that does a station most good for its way; None: nothing can be done."""
        best = max(self.candidates(index), default=None)
        if best is None:
            return None
        _, nearness, other, qty = best
        source, target = (index, -other) if self.ledgers[index].spare > 0 else (-other, index)
        return self.promise(self.ledgers[source], self.ledgers[target], qty, -nearness)

    def candidates(self, index: int) -> Iterator[tuple[float, float, int, int]]:
        """Of each partner: the gain, then what decides between equals, and how many bikes."""
        station = self.ledgers[index]
        gives = station.spare > 0
        most = min(station.spare if gives else station.room, self.rules.van_capacity)
        grid, indexes = self.takers if gives else self.givers
        for found, distance in grid.near(self.points[index]):
            other = indexes[found]
            partner = self.ledgers[other]
            qty = min(most, partner.room if gives else partner.spare)
            if qty < self.rules.min_qty or self.areas[other] != self.areas[index]:
                continue
            source, target = (station, partner) if gives else (partner, station)
            pair = source.stand.number, target.stand.number
            if pair in self.barred:
                continue
            # A partner that is out of balance itself is helped by the same move.
            gain = qty * (1 + bool(partner.severity)) / (STOP_KM + distance)
            yield gain * (FAVOUR if pair in self.proposed else 1), -distance, -other, qty

    def promise(self, source: Ledger, target: Ledger, qty: int, distance: float) -> PlannedMove:
        severity = max(source.severity, target.severity)
        worse, other = sorted((source, target), key=lambda each: -each.severity)
        move = PlannedMove(
            from_station_id=source.stand.number,
            to_station_id=target.stand.number,
            qty=qty,
            priority=LEAST_PRIORITY + round((MOST_PRIORITY - LEAST_PRIORITY) * severity),
            reason=f"{worse.fact} bikes; {other.fact}",
            distance=distance,
        )
        source.promised_out += qty
        target.promised_in += qty
        self.barred.add((source.stand.number, target.stand.number))
        return move


def fill_of_areas(stands: list[Stand], areas: list[Area]) -> dict[Area, float]:
    bikes: dict[Area, int] = defaultdict(int)
    sizes: dict[Area, int] = defaultdict(int)
    for stand, area in zip(stands, areas, strict=True):
        bikes[area] += stand.bikes
        sizes[area] += stand.size
    return {area: bikes[area] / sizes[area] for area in sizes}
