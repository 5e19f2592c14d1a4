"""Links to a year, month or day of a list.

Django's own `date_hierarchy` looks for days that have rows, which reads the whole table on every
page. The idea of offering all days instead is that of django-admin-lightweight-date-hierarchy.
"""

from calendar import month_abbr, monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Max, Min, QuerySet
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
        for number in range(1, 13):
            yield month_abbr[number], {YEAR: year, MONTH: number}
        return
    yield f"← {year}", {YEAR: year}
    if day:
        yield f"← {month_abbr[month]}", {YEAR: year, MONTH: month}
        return
    for number in range(1, monthrange(year, month)[1] + 1):
        yield str(number), {YEAR: year, MONTH: month, DAY: number}


def years(rows: QuerySet[Any]) -> Iterator[tuple[str, dict[str, int]]]:
    ends = rows.aggregate(first=Min("created_at"), last=Max("created_at"))
    if ends["first"] is None:
        return
    first, last = (timezone.localtime(ends[end]).year for end in ("first", "last"))
    for year in range(max(first, last - YEARS_SHOWN + 1), last + 1):
        yield str(year), {YEAR: year}


def url_of(request: HttpRequest, period: dict[str, int]) -> str:
    query: QueryDict = request.GET.copy()
    for name in (YEAR, MONTH, DAY, "p"):
        query.pop(name, None)
    for name, value in period.items():
        query[name] = str(value)
    return f"?{query.urlencode()}"
