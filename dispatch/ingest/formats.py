"""Parses JSON Lines or CSV into valid rows, and into a value for each invalid row.

Memory is bounded for any input: no record is read past MAX_RECORD.
"""

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar

from .. import strict_json
from ..exceptions import Refusal
from ..services.suggestion_rows import SuggestionRow
from .kinds import SEPARATOR_LINE
from .rows import SUGGESTIONS, Columns, RowError, printable

# A reason takes up to 24,000 bytes if JSON escapes each of its characters.
MAX_RECORD = 65_536
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
TOO_LONG = f"longer than {MAX_RECORD:,} bytes"
NOT_UTF8 = "not valid UTF-8: save the file as UTF-8"
DELIMITERS = (b",", b";", b"\t")
# pandas writes its index under no name, and reads that as "Unnamed: 0".
INDEX_COLUMNS = ("", "Unnamed: 0")
DECIMALS = re.compile(r",(?=0+\Z)")


@dataclass(frozen=True)
class BadRow:
    """An invalid row. `line`: its first line; `text`: its original text, up to MAX_RECORD."""

    line: int
    error: str
    text: str


Record = SuggestionRow | BadRow
Row = TypeVar("Row")


class Lines:
    """Iterates over a file's lines. A line longer than MAX_RECORD is cut just past that length."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.number = 0

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> bytes:
        line = self.file.readline(MAX_RECORD + 1)
        if not line:
            raise StopIteration
        self.number += 1
        rest = line
        while len(rest) > MAX_RECORD and not rest.endswith(b"\n"):
            rest = self.file.readline(MAX_RECORD + 1)
        return line.removeprefix(BYTE_ORDER_MARK) if self.number == 1 else line


def read_jsonl(file: BinaryIO, to_row: Callable[[Any], Row]) -> Iterator[Row | BadRow]:
    """`to_row` makes the row of a record, or raises RowError."""
    lines = Lines(file)
    for line in lines:
        if not line.strip():
            continue
        try:
            yield to_row(parse_json(line))
        except RowError as error:
            yield bad_row(lines.number, error, line)


def parse_json(line: bytes) -> Any:
    if len(line) > MAX_RECORD:
        raise RowError(TOO_LONG)
    try:
        return strict_json.loads(line)
    except strict_json.InvalidJson as error:
        not_utf8 = isinstance(error.__context__, UnicodeDecodeError)
        raise RowError(NOT_UTF8 if not_utf8 else str(error)) from None


class CsvLines:
    """Feeds csv.reader and keeps the lines of the current record."""

    def __init__(self, file: BinaryIO) -> None:
        self.lines = Lines(file)
        self.begin()

    def begin(self) -> None:
        self.first_line = self.lines.number + 1
        self.record = bytearray()

    def __iter__(self) -> "CsvLines":
        return self

    def __next__(self) -> str:
        line = next(self.lines)
        self.record += line
        if len(self.record) > MAX_RECORD:
            raise csv.Error(TOO_LONG)
        # An invalid byte must not hide the end of its record; parse_cells rejects the record.
        return line.decode(errors="surrogateescape")


def find_delimiter(file: BinaryIO) -> bytes:
    """Return the separator that the first line has most often."""
    start = file.tell()
    first = next((line for line in Lines(file) if line.strip()), b"")
    file.seek(start)
    return max(DELIMITERS, key=first.count)


def read_csv(
    file: BinaryIO, to_row: Callable[[Any], Row], columns: Columns = SUGGESTIONS
) -> Iterator[Row | BadRow]:
    """The first record is the header. Refusal: the header is invalid."""
    delimiter = find_delimiter(file).decode()
    # In files with semicolons between the fields, numbers have a decimal comma.
    numbers = columns.numbers if delimiter == ";" else set()
    lines = CsvLines(file)
    reader = csv.reader(lines, strict=True, delimiter=delimiter)
    header: list[str] | None = None
    while True:
        lines.begin()
        try:
            cells = next(reader)
            if not any(cell.strip() for cell in cells):
                continue
            if header is None and lines.record.startswith(SEPARATOR_LINE):
                continue
            if header is None:
                header = checked_header(cells, columns)
            else:
                yield to_row(parse_cells(header, cells, numbers))
        except StopIteration:
            return
        except (csv.Error, RowError) as error:
            if header is None:
                raise Refusal(f"line {lines.first_line}: {error}") from None
            yield bad_row(lines.first_line, error, lines.record)


def checked_header(cells: list[str], columns: Columns) -> list[str]:
    check_utf8(cells)
    names = cells[1:] if cells[0] in INDEX_COLUMNS else cells
    for name in names:
        if name not in columns.known:
            known = ", ".join(columns.known)
            raise RowError(f"unknown column {printable(name)!r}; known are {known}")
        if names.count(name) > 1:
            raise RowError(f"column {name} appears twice")
    if missing := [name for name in columns.required if name not in names]:
        raise RowError(f"column {missing[0]} is missing")
    return cells


def check_utf8(cells: list[str]) -> None:
    if any("\udc80" <= character <= "\udcff" for cell in cells for character in cell):
        raise RowError(NOT_UTF8)


def parse_cells(header: list[str], cells: list[str], numbers: set[str]) -> dict[str, str]:
    """`numbers`: the columns whose numbers have a decimal comma."""
    check_utf8(cells)
    if len(cells) != len(header):
        raise RowError(f"{len(cells)} fields where the header has {len(header)}")
    values = {n: cell for n, cell in zip(header, cells, strict=True) if n not in INDEX_COLUMNS}
    for name in numbers & values.keys():
        values[name] = DECIMALS.sub(".", values[name])
    return values


def bad_row(line: int, error: Exception, text: bytes | bytearray) -> BadRow:
    original = text[:MAX_RECORD].decode(errors="backslashreplace")
    return BadRow(line, str(error), original.rstrip("\r\n"))


READERS = {"jsonl": read_jsonl, "csv": read_csv}
