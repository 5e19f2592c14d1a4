"""The daily report: yesterday's figures beside those of the same day a week earlier."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.utils import timezone

from ..kpi import KpiReport, build_report, period_of
from ..kpi.breakdown import AreaFigures, CrewFigures
from ..kpi.days import DaysFigures
from ..kpi.stockouts import stockout_goal
from ..kpi.text import NONE, number, percent, place_label, shown
from .content import Content, link, render

WEEK = timedelta(days=7)
# More would make the e-mail so long that mail programs cut it.
ROWS = 30
NAME_LENGTH = 40
# A label, its value, and the value a week earlier.
Row = tuple[str, float | None, float | None]


@dataclass(frozen=True)
class Headline:
    label: str
    value: str
    before: str


@dataclass(frozen=True)
class Bar:
    """`width`: percent of the longest bar of its chart. `before`: a week earlier; None: unknown."""

    label: str
    value: str
    width: int
    before: str | None


@dataclass(frozen=True)
class Chart:
    """`more`: the number of bars left out. `is_of_work`: of work done, not of stockouts.

    `goal`: the bar that the others should not exceed. None: there is none.
    """

    title: str
    bars: Sequence[Bar]
    more: int
    is_of_work: bool
    goal: Bar | None

    @property
    def has_before(self) -> bool:
        return any(bar.before is not None for bar in self.bars)

    @property
    def is_empty(self) -> bool:
        return not any(bar.width for bar in self.bars)


def report_content(day: date) -> Content:
    report, before = report_of(day, day), report_of(day - WEEK, day - WEEK)
    context = {
        "day": day,
        "before": day - WEEK,
        "polls": report.polls,
        "coverage": percent(report.coverage, 0),
        "headlines": list(headlines(report, before)),
        "charts": [each for each in charts(report, before) if not each.is_empty],
        "page": link("kpi", **{"from": day, "to": day}),
    }
    return render("report", f"Report of {day:%A, %-d %B %Y}", context)


def report_of(first: date, last: date) -> KpiReport:
    zone = timezone.get_default_timezone()
    return build_report(period_of(first, last, last, zone), timezone.now())


def headlines(report: KpiReport, before: KpiReport) -> Iterator[Headline]:
    for label, text in HEADLINES.items():
        yield Headline(label, text(report), text(before))


HEADLINES: dict[str, Callable[[KpiReport], str]] = {
    "Stations empty or full": lambda of: percent(of.stockouts.share.either),
    "Outages over 1 hour": lambda of: number(of.stockouts.long_episodes),
    "Cluster outages": lambda of: number(of.clusters.episodes),
    "Tasks completed": lambda of: number(of.work.tasks_done),
    "Bikes moved": lambda of: number(of.work.bikes_moved),
    "Minutes from approval to claim": lambda of: number(of.work.approval_to_claim.median),
    "Minutes from claim to completion": lambda of: number(of.work.claim_to_completion.median),
    "Tasks given back": lambda of: number(of.total.given_back),
}


def charts(report: KpiReport, before: KpiReport) -> Iterator[Chart]:
    """`before`: the same day a week earlier."""
    areas, crews = (report.areas, before.areas), (report.crews, before.crews)
    yield chart_of("Bikes moved by area", bikes_by(lambda of: of.place, area_name, *areas))
    yield chart_of("Bikes moved by crew", bikes_by(lambda of: of.worker_id, crew_name, *crews))
    hours = [f"{hour:02}:00" for hour in range(24)]
    yield chart_of(
        "Bikes moved by hour",
        [(hour, work.bikes, None) for hour, work in zip(hours, report.work.by_hour, strict=True)],
    )
    yield chart_of(
        "Stations empty or full by hour",
        [
            (hour, share.either, None)
            for hour, share in zip(hours, report.stockouts.by_hour, strict=True)
        ],
        tenths,
        stockout_goal(),
    )
    week = report_of(report.period.last - WEEK + timedelta(days=1), report.period.last).days
    yield chart_of(
        "Bikes moved by day", [(day_name(of), of.work.bikes, of.work_before.bikes) for of in week]
    )
    yield chart_of(
        "Stations empty or full by day",
        [(day_name(of), of.share.either, of.share_before.either) for of in week],
        tenths,
        stockout_goal(),
    )


def chart_of(
    title: str,
    rows: Sequence[Row],
    text: Callable[[float | None], str] = number,
    goal: int | None = None,
) -> Chart:
    """With too many rows, the longest bars first."""
    longest = sorted(rows, key=lambda row: -(row[1] or 0))[:ROWS]
    highest = max([goal or 0, *(value or 0 for _, value, _ in rows)]) or 1

    def bar(label: str, value: float | None, before: float | None) -> Bar:
        width = round(100 * (value or 0) / highest)
        return Bar(label, text(value), width, None if before is None else text(before))

    bars = [
        bar(shown(label, NAME_LENGTH), value, before)
        for label, value, before in (rows if len(rows) <= ROWS else longest)
    ]
    goal_bar = None if goal is None else bar("Goal: at most", goal, None)
    return Chart(title, bars, len(rows) - len(bars), is_of_work=text is number, goal=goal_bar)


def bikes_by(
    key: Callable[[Any], object],
    name: Callable[[Any], str],
    now: Sequence[Any],
    before: Sequence[Any],
) -> list[Row]:
    """Areas or crews with work on one of both days. Two crews may have the same name."""
    bikes, then = ({key(of): of.work.bikes for of in group} for group in (now, before))
    names = {key(of): name(of) for of in (*now, *before)}
    return [(label, bikes.get(each, 0), then.get(each, 0)) for each, label in names.items()]


def tenths(share: float | None) -> str:
    return percent(share, 1)


def area_name(of: AreaFigures) -> str:
    return place_label(of.place, NAME_LENGTH) or NONE


def crew_name(of: CrewFigures) -> str:
    return of.name or of.worker_id


def day_name(day: DaysFigures) -> str:
    return f"{day.first:%a %-d %b}"
