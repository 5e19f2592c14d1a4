"""Records how full stations are: the latest status of each, and its outages."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from ...exceptions import Refusal
from ...gbfs import Status, StatusRow
from ...models import FeedKind, Station, StationAlias, StationFeed, StationStatus, StatusPoll
from ...stations import state_of, tally
from ..locks import advisory_lock
from .cluster_outages import record_cluster_outages
from .feeds import FeedReading, database_now, is_behind, note_read
from .outages import extend_watch, record_states

FIGURES = (
    "bikes",
    "docks",
    "bikes_disabled",
    "docks_disabled",
    "in_service",
    "as_of",
    "ebikes",
    "vehicle_types",
)


@dataclass(frozen=True)
class StatusResult:
    """Counts of stations. `changed`: rows written. `unknown`: rows skipped, because no present
    station has the id. `old`: stations whose own report was older than STATUS_MAX_AGE_MINUTES.
    `without_docks`: stations with an unknown number of docks.

    `is_new` False: the poll was recorded before, and nothing was changed.
    """

    at: datetime
    is_new: bool
    stations: int = 0
    changed: int = 0
    empty: int = 0
    full: int = 0
    closed: int = 0
    unknown: int = 0
    old: int = 0
    without_docks: int = 0
    remarks: str = ""


@transaction.atomic(durable=True)
def record_status(status: Status, *, system: str, reading: FeedReading) -> StatusResult:
    """Record one poll of a system's status feed.

    A station that the feed lacks keeps its last status. Refusal: the feed is older than the last
    one, or has less than half of the system's stations.
    """
    advisory_lock(f"status of {system}")
    feed = StationFeed.objects.filter(system=system, kind=FeedKind.STATUS).first()
    at = status.made_at or database_now()
    old = count_old(status.rows, at)
    trouble = about_old(old, len(status.rows))
    behind = is_behind(feed, at, status.ttl)
    if feed is not None and (behind or feed.made_at == at):
        note_read(system, FeedKind.STATUS, reading, feed.made_at, trouble)
        return StatusResult(at, is_new=False)
    result = enter_poll(status, system, at)
    note_read(system, FeedKind.STATUS, reading, at, trouble)
    return replace(result, old=old)


def enter_poll(status: Status, system: str, at: datetime) -> StatusResult:
    statuses, unknown = match_rows(status.rows, system, at)
    check_completeness(statuses, system)
    changed = write_statuses(statuses)
    states = {pk: state_of(s.bikes, s.docks, s.in_service) for pk, s in statuses.items()}
    extend_watch(system, at)
    record_states(system, states, at)
    record_cluster_outages(system, at)
    poll = tally(at, states)
    StatusPoll.objects.create(system=system, **asdict(poll))
    return StatusResult(
        at,
        is_new=True,
        stations=len(statuses),
        changed=changed,
        empty=poll.empty,
        full=poll.full,
        closed=len(statuses) - poll.in_service,
        unknown=unknown,
        without_docks=sum(status.docks is None for status in statuses.values()),
        remarks=status.remarks(),
    )


def count_old(rows: list[StatusRow], at: datetime) -> int:
    longest = timedelta(minutes=settings.STATUS_MAX_AGE_MINUTES)
    return sum(row.reported_at is not None and at - row.reported_at > longest for row in rows)


def about_old(old: int, rows: int) -> str:
    """Return a sentence if most stations are old: one or two may have lost their connection."""
    if old * 2 <= rows:
        return ""
    limit = settings.STATUS_MAX_AGE_MINUTES
    return f"{old:,} of the {rows:,} stations last reported over {limit} minutes before the feed."


def match_rows(
    rows: list[StatusRow], system: str, at: datetime
) -> tuple[dict[int, StationStatus], int]:
    """Return the status of each station, and the number of rows that match none.

    Stations that left the feed are skipped: nothing would ever close their outages.
    """
    aliases = StationAlias.objects.filter(system=system, station__gone_at=None)
    known = {
        name: (number, capacity)
        for name, number, capacity in aliases.values_list(
            "feed_id", "station_id", "station__capacity"
        )
    }
    statuses: dict[int, StationStatus] = {}
    unknown = 0
    for row in rows:
        number, capacity = next((known[name] for name in row.names if name in known), (None, None))
        docks = row.docks if row.docks is not None else docks_left(row, capacity)
        if number is None:
            unknown += 1
        else:
            statuses.setdefault(number, status_of(number, row, docks, at))
    return statuses, unknown


def docks_left(row: StatusRow, capacity: int | None) -> int | None:
    """Derive the free docks from the capacity if the feed lacks them. None: unknown."""
    if capacity is None:
        return None
    return max(0, capacity - row.bikes - row.bikes_disabled - row.docks_disabled)


def status_of(number: int, row: StatusRow, docks: int | None, at: datetime) -> StationStatus:
    return StationStatus(
        station_id=number,
        bikes=row.bikes,
        docks=docks,
        bikes_disabled=row.bikes_disabled,
        docks_disabled=row.docks_disabled,
        in_service=row.in_service,
        as_of=min(at, row.reported_at or at),
        ebikes=row.ebikes,
        vehicle_types=row.vehicle_types,
    )


def check_completeness(statuses: Mapping[int, StationStatus], system: str) -> None:
    stations = Station.objects.present().filter(system=system)
    present = set(stations.values_list("pk", flat=True))
    if not present:
        raise Refusal(f"The feed has no known station of {system!r}. Run sync_stations first.")
    if not statuses:
        count = f"{len(present)} stations"
        raise Refusal(f"The feed has none of the {count} of {system!r}. Is --system right?")
    found = len(present & statuses.keys())
    if found * 2 < len(present):
        raise Refusal(f"The feed is partial: it has {found} of {len(present)} stations.")


def write_statuses(statuses: Mapping[int, StationStatus]) -> int:
    """Write those that differ and return their number: at night hardly any does."""
    stored = StationStatus.objects.in_bulk(list(statuses))
    changed = [
        s for pk, s in statuses.items() if pk not in stored or figures(stored[pk]) != figures(s)
    ]
    StationStatus.objects.bulk_create(
        changed, update_conflicts=True, unique_fields=["station"], update_fields=FIGURES
    )
    return len(changed)


def figures(status: StationStatus) -> list[object]:
    return [getattr(status, name) for name in FIGURES]
