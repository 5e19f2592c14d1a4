"""Reads the rows of station_information and station_status.

A bad row is skipped and reported. A feed with no rows, or with mostly bad ones, is refused.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar

from ..models import INT4_MAX
from .areas import name_areas
from .documents import LONGEST_REGION, BadFeed, Document
from .values import FIRST_MOMENT, count, degrees, identifier, moment, one_line, truth

LONGEST_NAME = 200
LONGEST_SHORT_NAME = 100
BAD_SHOWN = 5
# Several times the largest system. The work for each row is bounded, so that of all rows must be.
MOST_ROWS = 20_000
# Feeds say so for unlimited, or for unknown.
SENTINELS = {999, 9_999, 99_999}
MOST_TYPES = 50
BIKES = ("num_bikes_available", "num_vehicles_available")
NEGATIVE_BIKES = "with negative bikes, read as none"
NEGATIVE_DOCKS = "with negative docks, read as full"
UNLIMITED = "with unlimited docks, read as unknown"
REPEATED = "listed again with other values"


@dataclass(frozen=True)
class StationRow:
    """`names`: all ids that the feed gives the station, its `station_id` first. `integers`: those
    that can be its number. `capacity` None: unknown. `region`: the name, or the id of one without a
    name. `region` and `area` None: the names of regions could not be read."""

    names: tuple[str, ...]
    integers: tuple[int, ...]
    name: str
    short_name: str
    lat: float
    lon: float
    capacity: int | None
    region: str | None
    area: str | None = None


@dataclass(frozen=True)
class StatusRow:
    """`docks`: free docks; None: not in the feed. `reported_at` None: never. `ebikes` and
    `vehicle_types` (counts by the feed's ids) None: not in the feed."""

    names: tuple[str, ...]
    bikes: int
    docks: int | None
    bikes_disabled: int
    docks_disabled: int
    in_service: bool
    reported_at: datetime | None
    ebikes: int | None = None
    vehicle_types: dict[str, int] | None = None


@dataclass(frozen=True)
class BadRow:
    """`names`: all readable ids, so that a station does not count as gone if its row is bad."""

    names: tuple[str, ...]
    why: str

    def __str__(self) -> str:
        return f"{self.names[0] if self.names else 'a row without an id'}: {self.why}"


class Row(Protocol):
    @property
    def names(self) -> tuple[str, ...]: ...


R = TypeVar("R", bound=Row)


@dataclass(frozen=True)
class Rows(Generic[R]):
    made_at: datetime | None
    rows: list[R]
    bad: list[BadRow]
    oddities: Counter[str] = field(default_factory=Counter)
    ttl: timedelta = timedelta()

    def remarks(self) -> str:
        """Return a sentence for each kind of value that is not taken literally, and on bad rows."""
        sentences = [f"{count:,} {oddity}." for oddity, count in sorted(self.oddities.items())]
        return " ".join([*sentences, self.about_bad_rows()]).rstrip()

    def about_bad_rows(self) -> str:
        """Return one sentence, or an empty text if there are none."""
        if not self.bad:
            return ""
        shown = "; ".join(map(str, self.bad[:BAD_SHOWN]))
        more = len(self.bad) - BAD_SHOWN
        plural = "s" * (len(self.bad) > 1)
        return f"{len(self.bad)} bad row{plural}: {shown}" + (f"; {more} more." * (more > 0) or ".")


Information = Rows[StationRow]
Status = Rows[StatusRow]
Raw = dict[str, Any]


def read_information(
    document: Document, regions: Mapping[str, str] | None = MappingProxyType({})
) -> Information:
    """`regions`: their names by their ids; None: they could not be read."""

    def read(raw: Raw, names: tuple[str, ...]) -> StationRow:
        return station_row(raw, names, regions)

    found = read_rows(document, read, odd_station, lambda former, _: former)
    if regions is None:
        return found
    stations = [(row.short_name, row.region or "") for row in found.rows]
    areas = name_areas(stations, set(regions.values()))
    rows = [replace(row, area=area) for row, area in zip(found.rows, areas, strict=True)]
    return replace(found, rows=rows)


def read_status(document: Document) -> Status:
    """BadFeed also if most stations report negative bikes: such a feed knows none."""
    status = read_rows(document, status_row, odd_status, newer)
    if status.oddities[NEGATIVE_BIKES] * 2 > len(status.rows):
        raise BadFeed("Most of its stations have a negative number of bikes.")
    return status


def newer(former: StatusRow, other: StatusRow) -> StatusRow:
    return max(former, other, key=lambda row: row.reported_at or FIRST_MOMENT)


def read_rows(
    document: Document,
    read: Callable[[Raw, tuple[str, ...]], R],
    oddities: Callable[[Raw], Iterator[str]],
    choose: Callable[[R, R], R],
) -> Rows[R]:
    """`choose`: one of two rows of a station that differ, the earlier one first."""
    if len(document.stations) > MOST_ROWS:
        raise BadFeed(f"It has {len(document.stations):,} rows, more than {MOST_ROWS:,}.")
    rows: dict[str, R] = {}
    bad: list[BadRow] = []
    odd: Counter[str] = Counter()
    for raw in document.stations:
        names = tuple(names_of(raw)) if isinstance(raw, dict) else ()
        try:
            row = read_row(raw, names, read)
        except Unreadable as error:
            bad.append(BadRow(names, str(error)))
            continue
        former = rows.setdefault(names[0], row)
        if former is row:
            odd.update(oddities(raw))
        elif former != row:
            odd[REPEATED] += 1
            rows[names[0]] = choose(former, row)
    found = Rows(document.made_at, list(rows.values()), bad, odd, document.ttl)
    check_readable(found)
    return found


def check_readable(found: Rows[R]) -> None:
    if len(found.bad) > len(found.rows):
        raise BadFeed(f"Most of its rows are unreadable. {found.about_bad_rows()}")
    if not found.rows:
        raise BadFeed("It has no stations.")


class Unreadable(ValueError):
    """The reason why a row is skipped."""


def read_row(raw: Raw, names: tuple[str, ...], read: Callable[[Raw, tuple[str, ...]], R]) -> R:
    if not names:
        raise Unreadable("no station_id")
    return read(raw, names)


def names_of(raw: Raw) -> Iterator[str]:
    station_id = identifier(raw.get("station_id"))
    if station_id is None:
        return
    yield station_id
    for key in ("external_id", "legacy_id"):
        other = identifier(raw.get(key))
        if other is not None and other != station_id:
            yield other


def integers_of(raw: Raw) -> Iterator[int]:
    """Accept only the usual form, so that two ids never give one number: not 007, not +7."""
    for key in ("station_id", "legacy_id"):
        text = identifier(raw.get(key)) or ""
        if re.fullmatch(r"[1-9][0-9]{0,9}", text, re.ASCII) and int(text) <= INT4_MAX:
            yield int(text)


def station_row(raw: Raw, names: tuple[str, ...], regions: Mapping[str, str] | None) -> StationRow:
    lat, lon = degrees(raw.get("lat"), 90), degrees(raw.get("lon"), 180)
    if lat is None or lon is None:
        raise Unreadable("no valid position")
    region = one_line(identifier(raw.get("region_id")), LONGEST_REGION)
    short_name = one_line(raw.get("short_name"), LONGEST_SHORT_NAME)
    return StationRow(
        names=names,
        integers=tuple(integers_of(raw)),
        name=one_line(raw.get("name"), LONGEST_NAME) or short_name or names[0],
        short_name=short_name,
        lat=lat,
        lon=lon,
        # Feeds say 0 for unknown.
        capacity=unless_sentinel(count(raw.get("capacity"))) or None,
        region=None if regions is None else regions.get(region, region),
    )


def status_row(raw: Raw, names: tuple[str, ...]) -> StatusRow:
    bikes = count(first_of(raw, *BIKES))
    if bikes is None:
        raise Unreadable("no valid number of bikes")
    docks = raw.get("num_docks_available")
    if docks is not None and count(docks) is None:
        raise Unreadable("no valid number of docks")
    states = (raw.get(key) for key in ("is_installed", "is_renting", "is_returning"))
    return StatusRow(
        names=names,
        bikes=bikes,
        docks=unless_sentinel(count(docks)),
        bikes_disabled=count(first_of(raw, "num_bikes_disabled", "num_vehicles_disabled")) or 0,
        docks_disabled=count(raw.get("num_docks_disabled")) or 0,
        in_service=all(map(truth, states)),
        reported_at=moment(raw.get("last_reported")),
        ebikes=count(raw.get("num_ebikes_available")),
        vehicle_types=vehicle_types_of(raw.get("vehicle_types_available")),
    )


def vehicle_types_of(value: Any) -> dict[str, int] | None:
    """Return the valid entries, so many that no station has more. None: the feed has no list."""
    if not isinstance(value, list):
        return None
    entries = [entry for entry in value[:MOST_TYPES] if isinstance(entry, dict)]
    counts = {identifier(each.get("vehicle_type_id")): count(each.get("count")) for each in entries}
    return {name: number for name, number in counts.items() if name and number is not None}


def odd_station(raw: Raw) -> Iterator[str]:
    if count(raw.get("capacity")) in SENTINELS:
        yield UNLIMITED


def odd_status(raw: Raw) -> Iterator[str]:
    if is_negative(first_of(raw, *BIKES)):
        yield NEGATIVE_BIKES
    if is_negative(raw.get("num_docks_available")):
        yield NEGATIVE_DOCKS
    if count(raw.get("num_docks_available")) in SENTINELS:
        yield UNLIMITED


def is_negative(value: Any) -> bool:
    return count(value) == 0 and float(value) < 0


def unless_sentinel(docks: int | None) -> int | None:
    return None if docks in SENTINELS else docks


def first_of(raw: Raw, *keys: str) -> Any:
    return next((raw[key] for key in keys if raw.get(key) is not None), None)
