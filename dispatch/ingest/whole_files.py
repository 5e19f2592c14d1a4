"""Reads a CSV file. All of its rows are entered, or none."""

from collections.abc import Callable, Iterator
from typing import BinaryIO, TypeVar

from ..exceptions import Refusal
from ..services.crews import first_of
from .formats import BadRow, read_csv
from .kinds import find_format
from .row_source import read_head
from .rows import Columns

YES, NO = ("yes", "true", "1", "1.0", ""), ("no", "false", "0", "0.0")

R = TypeVar("R")


def read_all(
    name: str, file: BinaryIO, to_row: Callable[[dict[str, str]], R], columns: Columns
) -> list[R]:
    """Refusal: names every invalid row by its line."""
    find_format(name, read_head(name, file), "csv")
    records = list(read_csv(file, to_row, columns))
    if bad := [record for record in records if isinstance(record, BadRow)]:
        raise Refusal("\n".join(complaint(bad)))
    rows = [record for record in records if not isinstance(record, BadRow)]
    if not rows:
        raise Refusal(f"{name} has no rows.")
    return rows


def complaint(bad: list[BadRow]) -> Iterator[str]:
    rows = "row is" if len(bad) == 1 else "rows are"
    yield f"{len(bad):,} {rows} invalid; nothing was changed."
    yield from first_of([f"line {row.line}: {row.error}" for row in bad])
