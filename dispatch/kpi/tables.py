"""The tables of a report, each as rows under a head."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, fields
from typing import Any

from .breakdown import WorkFigures
from .days import DaysFigures
from .live_days import read_outages
from .report import KpiReport
from .sources import SourceFigures
from .stockouts import Share

WORK_COLUMNS = [field.name for field in fields(WorkFigures)]
SOURCE_COLUMNS = [f.name for f in fields(SourceFigures) if f.name != "rejected_because"]
SHARE_COLUMNS = ["empty", "full", "either"]
DAYS_COLUMNS = ["tasks", "bikes", *SHARE_COLUMNS]

Row = Sequence[Any]
Table = Iterable[Row]


def day_table(report: KpiReport) -> Table:
    return [["day", *DAYS_COLUMNS, *before(DAYS_COLUMNS)], *map(day_row, report.days)]


def week_table(report: KpiReport) -> Table:
    yield ["first_day", "days", *DAYS_COLUMNS, *before(DAYS_COLUMNS)]
    for week in report.weeks:
        first, *figures = day_row(week)
        yield [first, week.days, *figures]


def before(columns: Iterable[str]) -> Iterator[str]:
    return (f"{column}_before" for column in columns)


def day_row(of: DaysFigures) -> Row:
    now = (*astuple(of.work), *percentages(of.share))
    return [str(of.first), *now, *astuple(of.work_before), *percentages(of.share_before)]


def hour_table(report: KpiReport) -> Table:
    yield ["hour", *DAYS_COLUMNS]
    hours = zip(report.work.by_hour, report.stockouts.by_hour, strict=True)
    for hour, (work, share) in enumerate(hours):
        yield [hour, *astuple(work), *percentages(share)]


def percentages(share: Share) -> Row:
    return share.empty, share.full, share.either


def crew_table(report: KpiReport) -> Table:
    yield ["worker_id", "name", *WORK_COLUMNS]
    for crew in report.crews:
        yield [crew.worker_id, crew.name, *astuple(crew.work)]


def area_table(report: KpiReport) -> Table:
    yield ["area", "system", *WORK_COLUMNS, "ready", "oldest_ready"]
    for of in report.areas:
        yield [of.place.area, of.place.system, *astuple(of.work), of.ready, of.oldest_ready]


def source_table(report: KpiReport) -> Table:
    yield SOURCE_COLUMNS
    for source in report.sources:
        yield [getattr(source, column) for column in SOURCE_COLUMNS]


def station_table(report: KpiReport) -> Table:
    yield ["station_id", "name", "outages", "empty_minutes", "full_minutes"]
    yield from map(astuple, report.stations)


def outage_table(report: KpiReport) -> Table:
    yield ["station_id", "name", "kind", "start", "end", "minutes"]
    zone = report.period.zone
    for outage in read_outages(report.period):
        times = (moment.astimezone(zone) for moment in (outage.start, outage.end))
        name = report.names.get(outage.station_id, "")
        yield [outage.station_id, name, outage.kind.value, *times, outage.minutes]


TABLES: dict[str, Callable[[KpiReport], Table]] = {
    "days": day_table,
    "weeks": week_table,
    "hours": hour_table,
    "crews": crew_table,
    "areas": area_table,
    "sources": source_table,
    "stations": station_table,
    "outages": outage_table,
}
