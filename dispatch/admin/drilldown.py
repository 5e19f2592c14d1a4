"""Links to a year, month or day of a list.

Django's own `date_hierarchy` looks for days that have rows by reading the whole table on every
page. Here, each possible year, month or day is one probe of the index.
"""

from calendar import month_abbr, monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

from django.db.models import Max, Min, QuerySet, Value
from django.http import HttpRequest, QueryDict
from django.utils import timezone

YEAR, MONTH, DAY = "created_at__year", "created_at__month", "created_at__day"
YEARS_SHOWN = 10


@dataclass(frozen=True)
class Link:
    text: str
    url: str


def drilldown(request: HttpRequest, rows: QuerySet[Any]) -> list[Link]:
    """Links back from the selected period, then links to the periods within it."""
    selected = {name: int(request.GET.get(name, "0")) for name in (YEAR, MONTH, DAY)}
    return [Link(text, url_of(request, period)) for text, period in periods(selected, rows)]


def periods(selected: dict[str, int], rows: QuerySet[Any]) -> Iterator[tuple[str, dict[str, int]]]:
    year, month, day = selected[YEAR], selected[MONTH], selected[DAY]
    if not year:
        yield from years(rows)
        return
    yield "← All dates", {}
    if not month:
        for number in with_rows(rows, [start_of(year, each) for each in range(1, 14)]):
            yield month_abbr[number], {YEAR: year, MONTH: number}
        return
    yield f"← {year}", {YEAR: year}
    if day:
        yield f"← {month_abbr[month]}", {YEAR: year, MONTH: month}
        return
    days = monthrange(year, month)[1]
    for number in with_rows(rows, [start_of(year, month, each) for each in range(1, days + 2)]):
        yield str(number), {YEAR: year, MONTH: month, DAY: number}


def years(rows: QuerySet[Any]) -> Iterator[tuple[str, dict[str, int]]]:
    ends = rows.aggregate(first=Min("created_at"), last=Max("created_at"))
    if ends["first"] is None:
        return
    first, last = (timezone.localtime(ends[end]).year for end in ("first", "last"))
    first = max(first, last - YEARS_SHOWN + 1)
    for number in with_rows(rows, [start_of(year) for year in range(first, last + 2)]):
        yield str(first + number - 1), {YEAR: first + number - 1}


def start_of(year: int, month: int = 1, day: int = 1) -> datetime:
    """Midnight of that day. Month 13 is the next January; a day too many, the next month."""
    first = date(year + month // 13, month % 13 + month // 13, 1)
    zone = timezone.get_current_timezone()
    return datetime.combine(first + timedelta(days=day - 1), time(), zone)


def with_rows(rows: QuerySet[Any], starts: list[datetime]) -> list[int]:
    """The numbers, from 1, of the periods that have rows. Each is one probe of the index."""
    probes = [
        rows.filter(created_at__gte=start, created_at__lt=end)
        .order_by()
        .values_list(Value(number))[:1]
        for number, (start, end) in enumerate(pairwise(starts), start=1)
    ]
    return sorted(number for (number,) in probes[0].union(*probes[1:], all=True))


def url_of(request: HttpRequest, period: dict[str, int]) -> str:
    query: QueryDict = request.GET.copy()
    for name in (YEAR, MONTH, DAY, "p"):
        query.pop(name, None)
    for name, value in period.items():
        query[name] = str(value)
    return f"?{query.urlencode()}"
