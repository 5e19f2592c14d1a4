"""Tables for terminals and spreadsheets."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from typing import Any

# The places before a formula: at the beginning, and wherever a spreadsheet with another separator
# may begin a cell. Spreadsheets take the full-width forms of = + - @ for formulas, too.
START, SIGN = r"(?:^|(?<=[;\t\r\n]))", r"(?=[=+\-@\t\r\uff1d\uff0b\uff0d\uff20])"
FORMULA, SAFE_FORMULA = re.compile(START + SIGN), re.compile(START + "'" + SIGN)


def aligned(rows: Iterable[Sequence[str]], sides: str) -> Iterator[str]:
    """Yield each row as a line. `sides` has `<` or `>` for each column: left or right."""
    cells = list(rows)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (
            f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)
        )
        yield "  ".join(padded).rstrip()


def safe_cell(text: str) -> str:
    """Return text that a spreadsheet does not run as a formula, for CSV."""
    return FORMULA.sub("'", text)


def plain_cell(text: str) -> str:
    """Undo `safe_cell`."""
    return SAFE_FORMULA.sub("", text)


def csv_text(rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield the lines of a CSV file. Its byte order mark makes Excel read it as UTF-8."""
    buffer = StringIO()
    buffer.write("\ufeff")
    writer = csv.writer(buffer, lineterminator="\n")
    for row in rows:
        writer.writerow([safe_cell(cell) if isinstance(cell, str) else cell for cell in row])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
