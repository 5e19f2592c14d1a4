"""The results of readings, as lines and as JSON."""

import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from ..models import FeedKind
from ..polling import Recorded
from ..services import StatusResult, SyncResult


def status_json(result: StatusResult | None) -> dict[str, Any]:
    if result is None:
        return {"is_new": False}
    return {**asdict(result), "at": result.at.isoformat()}


def stations_json(result: SyncResult | None) -> dict[str, Any]:
    return asdict(result) if result else {"unmodified": True}


def status_line(system: str, result: StatusResult | None) -> str:
    if result is None or not result.is_new:
        return f"{system}: no newer feed."
    more = [
        f", {number:,} {what}"
        for number, what in (
            (result.without_docks, "without a number of docks"),
            (result.old, "with old reports"),
        )
        if number
    ]
    return (
        f"{system} at {result.at:%Y-%m-%d %H:%M:%S} UTC: {result.stations:,} stations, "
        f"{result.empty:,} empty, {result.full:,} full, {result.closed:,} closed, "
        f"{result.unknown:,} unknown{''.join(more)}. {result.remarks}"
    ).rstrip()


def stations_line(system: str, result: SyncResult | None) -> str:
    if result is None:
        return f"{system}: no newer feed."
    return (
        f"{system}: {result.added:,} stations added, {result.changed:,} changed, "
        f"{result.unchanged:,} unchanged, {result.gone:,} gone, {result.back:,} back. "
        f"{result.remarks}"
    ).rstrip()


def recorded_json(recorded: Recorded) -> dict[str, Any]:
    """`late`: seconds between the time when the system became due and its reading."""
    to_json: dict[str, Any] = {
        FeedKind.INFORMATION: stations_json,
        FeedKind.STATUS: status_json,
    }
    return {
        "system": recorded.lease.system.name,
        "late": round(recorded.lease.late, 3),
        **{kind.value: to_json[kind](result) for kind, result in recorded.results.items()},
        "errors": {kind.value: error for kind, error in recorded.errors.items()},
    }


def recorded_lines(recorded: Recorded) -> Iterator[str]:
    to_line: dict[str, Any] = {
        FeedKind.INFORMATION: stations_line,
        FeedKind.STATUS: status_line,
    }
    for kind, result in recorded.results.items():
        yield to_line[kind](recorded.lease.system.name, result)


def changed_troubles(recorded: Recorded) -> Iterator[tuple[str, bool]]:
    """Yield a line for each feed that has begun to fail, fails otherwise or has recovered, and
    whether it fails now. Other figures in a sentence are no change."""
    for kind, (before, now) in recorded.troubles.items():
        if shape(before) != shape(now):
            name = recorded.lease.system.name
            yield f"{name}: {now or f'the {kind} feed has recovered.'}", bool(now)


def shape(sentence: str) -> str:
    return re.sub(r"[0-9]+", "0", sentence)
