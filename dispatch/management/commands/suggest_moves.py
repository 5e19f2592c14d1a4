import re
from argparse import ArgumentTypeError
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from ... import services
from ...exceptions import Refusal
from ...planning.planner import PlannedMove
from ...services import Suggested
from ...tables import aligned
from ..base import DispatchCommand

ACTOR = "suggest_moves"
KM_PER_UNIT = {"km": 1, "m": 0.001, "mi": 1.609344}
FARTHEST_KM = 100
MOST_BIKES = 1000


def distance(text: str) -> float:
    """Kilometres, read from text such as `5km`, `800m` or `3mi`."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(km|m|mi)", text)
    km = float(found[1]) * KM_PER_UNIT[found[2]] if found else 0
    if not 0.001 <= km <= FARTHEST_KM:
        raise ArgumentTypeError(f"{text!r} is not like 5km, 800m or 3mi, at most {FARTHEST_KM}km")
    return km


def bikes(text: str) -> int:
    if not re.fullmatch("[0-9]{1,4}", text) or not 1 <= int(text) <= MOST_BIKES:
        raise ArgumentTypeError(f"{text!r} is not a number from 1 to {MOST_BIKES}")
    return int(text)


class Command(DispatchCommand):
    help = (
        "Proposes moves from how full the stations are. They replace its own earlier suggestions"
        " that are still open."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--dry-run", action="store_true", help="print the moves, change nothing")
        add(
            "--max-distance",
            type=distance,
            default=settings.MOVE_MAX_KM,
            metavar="5km",
            help="or 800m, 3mi; default: MOVE_MAX_KM",
        )
        add("--van-capacity", type=bikes, default=20, metavar="20", help="most bikes of a move")
        add(
            "--min-qty",
            type=bikes,
            default=settings.MOVE_MIN_BIKES,
            metavar="3",
            help="fewest bikes of a move; default: MOVE_MIN_BIKES",
        )
        add("--json", action="store_true", help="print one JSON object, even on failure")

    def handle(self, *args: Any, **options: Any) -> None:
        suggested = suggest(options)
        if self.as_json:
            self.report({"ok": True, "dry_run": options["dry_run"], **asdict(suggested)})
        else:
            moves = table(suggested.moves) if options["dry_run"] else ()
            self.report("\n".join([*moves, summary(suggested)]))


def suggest(options: dict[str, Any]) -> Suggested:
    if options["min_qty"] > options["van_capacity"]:
        raise Refusal("--min-qty is more than --van-capacity: no move could satisfy both.")
    names = ("max_distance", "van_capacity", "min_qty", "dry_run")
    return services.suggest_moves(actor=ACTOR, **{name: options[name] for name in names})


def table(moves: list[PlannedMove]) -> Iterator[str]:
    titles = ("from", "to", "bikes", "priority", "km", "reason")
    rows = [
        (
            str(move.from_station_id),
            str(move.to_station_id),
            str(move.qty),
            str(move.priority),
            f"{move.distance:.1f}",
            move.reason,
        )
        for move in moves
    ]
    return aligned([titles, *rows], ">>>>><")


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def summary(suggested: Suggested) -> str:
    total = sum(move.qty for move in suggested.moves)
    text = (
        f"{counted(len(suggested.moves), 'move')} of {counted(total, 'bike')}"
        f" for {counted(suggested.stations, 'station')}"
    )
    if suggested.unknown:
        text += f" ({suggested.unknown:,} more have no recent status)"
    if suggested.result is None:
        return f"Dry run, nothing was changed: {text}."
    result = suggested.result
    return (
        f"{text}: {result.inserted:,} inserted, {result.refreshed:,} refreshed,"
        f" {result.removed:,} removed."
    )
