"""Year, month, day: a list's way into history.

The admin's own looks for the days that have rows, and so reads the whole table on every page.
"""

from calendar import month_abbr, monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Max, Min, QuerySet
from django.http import HttpRequest, QueryDict
from django.utils import timezone

YEAR, MONTH, DAY = "created_at__year", "created_at__month", "created_at__day"


@dataclass(frozen=True)
class Link:
    text: str
    address: str


def drilldown(request: HttpRequest, rows: QuerySet[Any]) -> list[Link]:
    """The way back from the period that is shown, then the periods in it."""
    chosen = {name: int(request.GET.get(name, "0")) for name in (YEAR, MONTH, DAY)}
    return [Link(text, address(request, period)) for text, period in periods(chosen, rows)]


def periods(chosen: dict[str, int], rows: QuerySet[Any]) -> Iterator[tuple[str, dict[str, int]]]:
    year, month, day = chosen[YEAR], chosen[MONTH], chosen[DAY]
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
    for year in range(max(first, last - 9), last + 1):
        yield str(year), {YEAR: year}


def address(request: HttpRequest, period: dict[str, int]) -> str:
    query: QueryDict = request.GET.copy()
    for name in (YEAR, MONTH, DAY, "p"):
        query.pop(name, None)
    for name, value in period.items():
        query[name] = str(value)
    return f"?{query.urlencode()}"
