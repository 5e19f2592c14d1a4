"""Parses suggestions from JSON Lines or CSV into valid rows and, as values too, invalid ones.

Memory is bounded for any input: no record is read past MAX_RECORD.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import msgspec

from .. import strict_json
from ..exceptions import Refusal
from ..services.ingest import SuggestionRow

# A reason takes up to 24,000 bytes if JSON escapes each of its characters.
MAX_RECORD = 65_536
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
TOO_LONG = f"longer than {MAX_RECORD:,} bytes"
NOT_UTF8 = "not valid UTF-8"

COLUMNS = SuggestionRow.__struct_fields__
REQUIRED = [field.name for field in msgspec.structs.fields(SuggestionRow) if field.required]
NUMBERS = {"from_station_id", "to_station_id", "qty", "priority"}
WHOLE_NUMBER = re.compile(r"-?[0-9]{1,20}")


@dataclass(frozen=True)
class BadRow:
    """An invalid row. `line`: its first line; `text`: its original text, up to MAX_RECORD."""

    line: int
    error: str
    text: str


Record = SuggestionRow | BadRow


class RowError(Exception):
    """A row is invalid; the message says why."""


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


def read_jsonl(file: BinaryIO) -> Iterator[Record]:
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
        raise RowError(str(error)) from None


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


def read_csv(file: BinaryIO) -> Iterator[Record]:
    """The first record is the header. Refusal: the header is invalid."""
    lines = CsvLines(file)
    reader = csv.reader(lines, strict=True)
    header: list[str] | None = None
    while True:
        lines.begin()
        try:
            cells = next(reader)
            if not lines.record.strip():
                continue
            if header is None:
                header = checked_header(cells)
            else:
                yield to_row(parse_cells(header, cells))
        except StopIteration:
            return
        except (csv.Error, RowError) as error:
            if header is None:
                raise Refusal(f"line {lines.first_line}: {error}") from None
            yield bad_row(lines.first_line, error, lines.record)


def checked_header(cells: list[str]) -> list[str]:
    for name in cells:
        if name not in COLUMNS:
            raise RowError(f"unknown column {printable(name)!r}; known are {', '.join(COLUMNS)}")
        if cells.count(name) > 1:
            raise RowError(f"column {name} appears twice")
    if missing := [name for name in REQUIRED if name not in cells]:
        raise RowError(f"column {missing[0]} is missing")
    return cells


def parse_cells(header: list[str], cells: list[str]) -> dict[str, Any]:
    """Empty cells count as omitted."""
    if any("\udc80" <= character <= "\udcff" for cell in cells for character in cell):
        raise RowError(NOT_UTF8)
    if len(cells) != len(header):
        raise RowError(f"{len(cells)} fields where the header has {len(header)}")
    values: dict[str, Any] = {n: cell for n, cell in zip(header, cells, strict=True) if cell}
    for name in NUMBERS & values.keys():
        if not WHOLE_NUMBER.fullmatch(values[name]):
            raise RowError(f"{name}: not a whole number: {printable(values[name])}")
        values[name] = int(values[name])
    return values


def to_row(values: Any) -> SuggestionRow:
    try:
        return msgspec.convert(values, SuggestionRow)
    except msgspec.ValidationError as error:
        raise RowError(explain(str(error))) from None
    except UnicodeEncodeError:
        raise RowError("a field name contains half a surrogate pair") from None


def explain(error: str) -> str:
    """Put the field in front of msgspec's message: "qty: Expected `int` >= 1"."""
    if found := re.fullmatch(r"(.*) - at `\$\.?(.*)`", error, re.DOTALL):
        error = f"{found[2]}: {found[1]}"
    elif found := re.fullmatch(r"Object missing required field `(.*)`", error):
        error = f"{found[1]}: missing"
    elif found := re.fullmatch(r"Object contains unknown field `(.*)`", error, re.DOTALL):
        error = f"{found[1]}: unknown field"
    return printable(error)


def printable(text: str) -> str:
    """Shorten and escape the text for one line of a terminal or a log."""
    short = text if len(text) <= 200 else f"{text[:200]}..."
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in short)


def bad_row(line: int, error: Exception, text: bytes | bytearray) -> BadRow:
    original = text[:MAX_RECORD].decode(errors="backslashreplace")
    return BadRow(line, str(error), original.rstrip("\r\n"))


READERS = {"jsonl": read_jsonl, "csv": read_csv}
