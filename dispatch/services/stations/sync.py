"""Keeps the stations in step with their feed."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from ...exceptions import Refusal
from ...gbfs import Information, StationRow
from ...models import FeedKind, FeedWatch, Station, StationAlias, StationFeed, StationOutage
from ...planning.geo import kilometres
from ..areas import update_areas_of_open_tasks
from ..locks import advisory_lock
from .feeds import FeedReading, is_behind, note_read
from .outages import end_outages
from .station_numbers import new_names, number_stations

FIELDS = ("name", "short_name", "lat", "lon", "capacity", "region", "area")
# A station that moves stays near. Temporary ones may not, so a few, or one percent, may be far off.
NEAR_KM, FEW = 1.0, 5


@dataclass(frozen=True)
class SyncResult:
    """Counts of stations. `gone`: newly missing. `back`: in the feed again. `remarks`: a
    sentence, or empty."""

    added: int
    changed: int
    unchanged: int
    back: int
    gone: int
    remarks: str = ""


def sync_stations(
    information: Information, *, system: str, reading: FeedReading, allow_shrink: bool = False
) -> SyncResult | None:
    """Make the system's stations equal to the feed, all of it or nothing.

    A station keeps its number for ever, even if its id changes, and is never deleted: one that the
    feed lacks is marked as gone until it is back. Refusal: the feed is old, lacks more than half
    of the stations (unless `allow_shrink`), or puts known ids in other places. None: the feed is
    an older copy from a cache, and nothing was changed.
    """
    result = enter_document(information, system, reading, allow_shrink)
    update_areas_of_open_tasks()
    return result


@transaction.atomic(durable=True)
def enter_document(
    information: Information, system: str, reading: FeedReading, allow_shrink: bool
) -> SyncResult | None:
    # One lock for all systems: they share the numbers.
    advisory_lock("stations")
    feed = StationFeed.objects.filter(system=system, kind=FeedKind.INFORMATION).first()
    made_at = information.made_at
    behind = made_at is not None and is_behind(feed, made_at, information.ttl)
    if feed is not None and behind:
        note_read(system, FeedKind.INFORMATION, reading, feed.made_at)
        return None
    result = enter_stations(information, system, allow_shrink)
    note_read(system, FeedKind.INFORMATION, reading, made_at)
    return replace(result, remarks=information.remarks())


def enter_stations(information: Information, system: str, allow_shrink: bool) -> SyncResult:
    stored = {station.pk: station for station in Station.objects.filter(system=system)}
    aliases = StationAlias.objects.filter(system=system)
    known = dict(aliases.values_list("feed_id", "station_id"))
    taken = set(Station.objects.values_list("pk", flat=True))
    numbered = number_stations(information.rows, known, taken)
    unreadable = {known[name] for row in information.bad for name in row.names if name in known}
    present = numbered.keys() | unreadable
    check_positions(numbered, stored)
    if not allow_shrink:
        check_completeness(present, stored)
    result = write_stations(system, numbered, present, stored)
    aliases.bulk_create(
        StationAlias(system=system, feed_id=name, station_id=number)
        for name, number in new_names(numbered, known).items()
    )
    return result


def check_positions(numbered: Mapping[int, StationRow], stored: Mapping[int, Station]) -> None:
    """Refuse another system's feed under this system's name."""
    common = numbered.keys() & stored.keys()
    moved = sorted(pk for pk in common if distance(stored[pk], numbered[pk]) > NEAR_KM)
    if len(moved) > max(FEW, len(common) / 100) or len(moved) * 2 > len(common):
        row, station = numbered[moved[0]], stored[moved[0]]
        raise Refusal(
            f"{len(moved)} of the {len(common)} stations with known ids are more than {NEAR_KM:g} "
            f"km from where they were ({row.names[0]} was {station.name!r} and is now "
            f"{row.name!r}). If this is another system's feed, give it its own --system."
        )


def distance(station: Station, row: StationRow) -> float:
    return kilometres(station.lat, station.lon, row.lat, row.lon)


def check_completeness(present: Set[int], stored: Mapping[int, Station]) -> None:
    before = not_gone(stored)
    left = len(before & present)
    if left * 2 < len(before):
        raise Refusal(
            f"The feed is partial: it has {left} of the {len(before)} stations. If the others are "
            "really gone, use --allow-shrink."
        )


def not_gone(stored: Mapping[int, Station]) -> set[int]:
    return {pk for pk, station in stored.items() if station.gone_at is None}


def write_stations(
    system: str,
    numbered: Mapping[int, StationRow],
    present: Set[int],
    stored: Mapping[int, Station],
) -> SyncResult:
    """Write the stations that are new or differ, and mark those that are gone."""
    stations = [
        Station(pk=number, system=system, **values_of(row, stored.get(number)))
        for number, row in numbered.items()
        if number not in stored or differs(stored[number], row)
    ]
    Station.objects.bulk_create(
        stations, update_conflicts=True, unique_fields=["id"], update_fields=[*FIELDS, "gone_at"]
    )
    before = not_gone(stored)
    gone = before - present
    if gone:
        mark_gone(gone, system)
    added = sum(station.pk not in stored for station in stations)
    return SyncResult(
        added=added,
        changed=len(stations) - added,
        unchanged=len(numbered) - len(stations),
        back=sum(number in stored and number not in before for number in numbered),
        gone=len(gone),
    )


def differs(station: Station, row: StationRow) -> bool:
    if station.gone_at is not None:
        return True
    return any(getattr(station, field) != value for field, value in values_of(row, station).items())


def values_of(row: StationRow, station: Station | None) -> dict[str, Any]:
    """Return the values to store. Regions whose names could not be read stay as they were."""
    values = {field: getattr(row, field) for field in FIELDS}
    for field in ("region", "area"):
        if values[field] is None:
            values[field] = getattr(station, field, "")
    return values


def mark_gone(stations: Set[int], system: str) -> None:
    """Mark stations as gone. Their open outages end at the last poll."""
    Station.objects.filter(pk__in=stations).update(gone_at=Now())
    advisory_lock(f"status of {system}")
    watch = FeedWatch.objects.filter(system=system).order_by("-ended_at").first()
    if watch is not None:
        open_ones = StationOutage.objects.filter(ended_at=None, station__in=stations)
        end_outages(open_ones, watch.ended_at)
