"""Writes a report as JSON and as CSV, and its tables as CSV."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

from ..tables import csv_text
from .report import KpiReport
from .tables import TABLES, Table


def to_document(report: KpiReport) -> dict[str, Any]:
    """Return the report in JSON types. Percentages and minutes are rounded to hundredths."""
    stockouts, work = asdict(report.stockouts), asdict(report.work)
    for part in (stockouts, work):
        part["by_hour"] = numbered(part["by_hour"])
    document = {
        "from": str(report.period.first),
        "to": str(report.period.last),
        "time_zone": str(report.period.zone),
        "status_polls": report.polls,
        "watched_percent": report.coverage,
        "stockouts": stockouts,
        "clusters": {**asdict(report.clusters), "outages": list(cluster_outages(report))},
        "work": work,
        "total": asdict(report.total),
        **{name: as_dicts(TABLES[name](report)) for name in ("crews", "areas", "days", "weeks")},
        "sources": [asdict(source) for source in report.sources],
    }
    plain_document: dict[str, Any] = plain(document)
    return plain_document


def cluster_outages(report: KpiReport) -> Iterator[dict[str, Any]]:
    for outage in report.cluster_outages:
        yield {
            "name": report.names.get(outage.station_id, ""),
            **asdict(outage),
            "minutes": outage.minutes,
        }


def as_dicts(table: Table) -> list[dict[str, Any]]:
    head, *rows = table
    return [dict(zip(head, row, strict=True)) for row in rows]


def numbered(hours: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"hour": number, **figures} for number, figures in enumerate(hours)]


def plain(value: Any) -> Any:
    match value:
        case dict():
            return {name: plain(part) for name, part in value.items()}
        case list():
            return [plain(part) for part in value]
        case float():
            return round(value, 2)
        case datetime():
            return value.isoformat()
        case _:
            return value


def to_json(report: KpiReport) -> str:
    return json.dumps(to_document(report), ensure_ascii=False, indent=2)


def to_csv(report: KpiReport) -> str:
    """Return one line a figure, under its name in JSON."""
    return "".join(csv_text([("figure", "value"), *figures(to_document(report))]))


def table_to_csv(report: KpiReport, name: str) -> str:
    """`name`: one of TABLES."""
    return "".join(csv_text(plain(list(row)) for row in TABLES[name](report)))


def figures(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    parts: Iterable[tuple[Any, Any]]
    match value:
        case dict():
            parts = value.items()
        case list():
            parts = enumerate(value)
        case _:
            yield name, value
            return
    for part_name, part in parts:
        yield from figures(part, f"{name}.{part_name}" if name else str(part_name))
