"""Rollups of past days. Reports use them instead of reading a day's rows again."""

from datetime import date, timedelta, tzinfo

from django.db import transaction
from django.db.models.functions import Now

from ..kpi import Period
from ..kpi.live_days import read_days
from ..kpi.periods import ONE_DAY
from ..kpi.queries import count_rows, first_day, last_event_id, last_events_by_day
from ..kpi.rollups import encode
from ..models import Rollup
from .locks import advisory_lock

# Raise it when a figure gets another meaning: all days are then computed again.
VERSION = 2
# A day is computed again until then: decisions are undone, transactions commit late, and a move
# is judged by the hours after it.
SETTLES_AFTER = timedelta(days=2)


def past_days(today: date, zone: tzinfo) -> list[date]:
    """Return all days before today, from the first event or poll on."""
    first = first_day(zone)
    if first is None or first >= today:
        return []
    return list(Period(first, today - ONE_DAY, zone).days())


def due_days(today: date, zone: tzinfo) -> list[date]:
    """Return the past days without a rollup, and those that may have changed since."""
    settled = settled_rollups(zone)
    newest = max(settled, default=None)
    changed = last_events_by_day(settled[newest], zone) if newest else {}
    return [
        day
        for day in past_days(today, zone)
        if day not in settled or settled[day] < changed.get(day, 0)
    ]


def settled_rollups(zone: tzinfo) -> dict[date, int]:
    """Return the last event that each day's rollup knows, for the days that have settled."""
    rollups = Rollup.objects.filter(zone=str(zone), version=VERSION)
    found = rollups.values_list("day", "last_event_id", "computed_at")
    return {
        day: event_id
        for day, event_id, computed_at in found
        if computed_at >= Period(day, day, zone).end + SETTLES_AFTER
    }


@transaction.atomic(durable=True)
def roll_up(day: date, zone: tzinfo) -> bool:
    """Compute the rollup of a day. Return False if the day has lost rows since it was computed.

    Such a day keeps its rollup: pruned rows do not change the figures of the past.
    """
    # Two runs at once: the later one must not be overwritten with what the earlier one read.
    advisory_lock(f"rollup {day}")
    period = Period(day, day, zone)
    known = Rollup.objects.filter(zone=str(zone), day=day)
    rows, event_id = count_rows(period), last_event_id()
    if known.filter(rows__gt=rows).exists():
        known.update(version=VERSION, last_event_id=event_id, computed_at=Now())
        return False
    [found] = read_days(period)
    Rollup.objects.update_or_create(
        zone=str(zone),
        day=day,
        defaults={
            "version": VERSION,
            "computed_at": Now(),
            "last_event_id": event_id,
            "rows": rows,
            "figures": encode(found),
        },
    )
    return True
