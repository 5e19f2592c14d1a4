"""Turns records into suggestions, or names every fault of a record."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from ..services.suggestion_rows import SuggestionRow, check_expiry, check_reason, check_stations
from ..values import time_with_zone, whole_number

FIELDS = {field.name: field for field in msgspec.structs.fields(SuggestionRow)}
CHECKS: dict[str, Callable[[Any], None]] = {"reason": check_reason, "expires_at": check_expiry}
MOST_PROBLEMS = 8
LONGEST_SHOWN = 200


@dataclass(frozen=True)
class Columns:
    """The columns that a CSV header may name. `numbers`: those of numbers."""

    known: list[str]
    required: list[str]
    numbers: set[str]


SUGGESTIONS = Columns(
    list(FIELDS),
    [field.name for field in FIELDS.values() if field.required],
    {"from_station_id", "to_station_id", "qty", "priority"},
)
# Return a station's number, or raise ValueError.
ReadStation = Callable[[Any], int]


class RowError(Exception):
    """A row is invalid; the message says why."""


class RowMaker:
    """`read_station` reads the two stations' fields."""

    def __init__(self, read_station: ReadStation = whole_number) -> None:
        self.readers: dict[str, Callable[[Any], Any]] = {
            "from_station_id": read_station,
            "to_station_id": read_station,
            "qty": whole_number,
            "priority": whole_number,
            "expires_at": time_with_zone,
        }

    def __call__(self, record: Any) -> SuggestionRow:
        """RowError: names every invalid field. Fields without a value count as omitted."""
        if not isinstance(record, dict):
            raise RowError("not a JSON object")
        values, problems = self._read(record)
        if not problems:
            try:
                return msgspec.convert(values, SuggestionRow)
            except msgspec.ValidationError:
                problems = dict(invalid(values))
        raise RowError(sentence(problems))

    def _read(self, record: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        values, problems = {}, {}
        for name, value in record.items():
            if name not in FIELDS:
                problems[name] = "unknown field"
            elif value is not None and value != "":
                try:
                    values[name] = self.readers[name](value) if name in self.readers else value
                except ValueError as error:
                    text = f": {value}" if isinstance(value, str | int | float) else ""
                    problems[name] = f"{error}{text}"
        if problems:
            others = {name: error for name, error in invalid(values) if name not in problems}
            problems.update(others)
        return values, problems


def invalid(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each field that is missing or wrong, with the reason; "" stands for both stations."""
    for name, field in FIELDS.items():
        if name in values:
            try:
                value = msgspec.convert(values[name], field.type)
                if name in CHECKS:
                    CHECKS[name](value)
            except ValueError as error:
                yield name, str(error).removeprefix(f"{name}: ")
        elif field.required:
            yield name, "missing"
    if "from_station_id" in values and "to_station_id" in values:
        try:
            check_stations(values["from_station_id"], values["to_station_id"])
        except ValueError as error:
            yield "", str(error)


def sentence(problems: dict[str, str]) -> str:
    known = [name for name in SUGGESTIONS.known if name in problems]
    names = [*known, *(name for name in problems if name not in FIELDS)]
    texts = [printable(f"{name}: {problems[name]}".removeprefix(": ")) for name in names]
    more = [f"and {len(texts) - MOST_PROBLEMS} more"] if len(texts) > MOST_PROBLEMS else []
    return "; ".join([*texts[:MOST_PROBLEMS], *more])


def printable(text: str) -> str:
    """Shorten and escape the text for one line of a terminal or a log."""
    short = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in short)
