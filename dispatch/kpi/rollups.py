"""Days from rollups where there are any, else from the tables."""

from collections.abc import Iterable, Iterator
from datetime import date

import msgspec

from ..exceptions import Refusal
from ..models import Rollup
from .day import Day
from .live_days import read_days
from .periods import ONE_DAY, Period

decoder = msgspec.json.Decoder(Day)


def encode(day: Day) -> str:
    return msgspec.json.encode(day).decode()


def stored_days(period: Period) -> dict[date, Day]:
    rows = Rollup.objects.filter(
        zone=str(period.zone), day__gte=period.first, day__lte=period.last
    ).values_list("day", "figures")
    return {day: decoder.decode(figures) for day, figures in rows.order_by("day")}


def all_days(period: Period, stored: dict[date, Day], most_read: int | None) -> list[Day]:
    """Return all days of the period, in order.

    Refusal: more than `most_read` of them are not stored.
    """
    missing = [day for day in period.days() if day not in stored]
    if most_read is not None and len(missing) > most_read:
        raise Refusal(
            f"{len(missing)} of these days have no rollup. Run `rollup`, or ask for at most"
            f" {most_read} days."
        )
    read = {
        day.day: day
        for first, last in runs(missing)
        for day in read_days(Period(first, last, period.zone))
    }
    return [stored.get(day) or read[day] for day in period.days()]


def runs(days: Iterable[date]) -> Iterator[tuple[date, date]]:
    """Yield the first and the last of successive days."""
    first = last = None
    for day in days:
        if last is not None and first is not None and day != last + ONE_DAY:
            yield first, last
            first = None
        first, last = first or day, day
    if first is not None and last is not None:
        yield first, last
