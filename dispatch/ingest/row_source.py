"""Reads rows from a file or stdin and collects invalid ones. Does not touch the database."""

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO

import msgspec

from ..exceptions import Refusal, os_errors_as_refusals
from ..services.suggestion_rows import SuggestionRow
from ..values import whole_number
from .formats import READERS, BadRow, Record
from .kinds import HEAD, STDIN, find_format
from .rows import ReadStation, RowMaker

SHOWN = 20
LINES_BETWEEN_REPORTS = 10_000


@contextmanager
def open_input(name: str) -> Iterator[BinaryIO]:
    """Open the file for reading at disk speed.

    Pipes and terminals are first copied to a temporary file: their producer may take hours, and
    the rows are read inside a transaction.
    """
    with ExitStack() as stack:
        with os_errors_as_refusals("standard input" if name == STDIN else name):
            file = standard_input() if name == STDIN else stack.enter_context(open(name, "rb"))
            if not is_regular(file):
                copy = stack.enter_context(tempfile.TemporaryFile())
                shutil.copyfileobj(file, copy)
                copy.seek(0)
                file = copy
        yield file


def standard_input() -> BinaryIO:
    if sys.stdin is None:
        raise Refusal("Standard input is closed.")
    return sys.stdin.buffer


def is_regular(file: BinaryIO) -> bool:
    return stat.S_ISREG(os.fstat(file.fileno()).st_mode)


@contextmanager
def open_rejects(name: str | None, source: BinaryIO) -> Iterator[BinaryIO | None]:
    if name is None:
        yield None
        return
    if os.path.exists(name) and os.path.samestat(os.stat(name), os.fstat(source.fileno())):
        raise Refusal(f"{name}: the rejects would overwrite the input.")
    with os_errors_as_refusals(name), open(name, "wb") as file:
        yield file


class RowReader:
    """Yields the valid rows one at a time.

    Without `rejects`, one invalid row refuses the whole input: the remaining rows are only
    checked, then a Refusal follows. With `rejects`, invalid rows are written there; a Refusal
    follows if no row was valid.
    """

    def __init__(
        self, records: Iterable[Record], rejects: BinaryIO | None, report: Callable[[int], None]
    ) -> None:
        self.records = records
        self.rejects = rejects
        self.report = report
        self.bad_count = 0
        self.first_bad: list[BadRow] = []
        self.ended = False

    def rows(self) -> Iterator[SuggestionRow]:
        has_valid = False
        for number, record in enumerate(self.records):
            if number % LINES_BETWEEN_REPORTS == 0:
                self.report(number)
            if isinstance(record, BadRow):
                self._note(record)
            elif self.rejects or not self.bad_count:
                has_valid = True
                yield record
        if self.rejects:
            # Notice a full disk before the commit.
            self.rejects.flush()
        if self.bad_count and not (self.rejects and has_valid):
            raise Refusal(self._complaint())
        self.ended = True

    def _note(self, row: BadRow) -> None:
        self.bad_count += 1
        if len(self.first_bad) < SHOWN:
            self.first_bad.append(row)
        if self.rejects:
            self.rejects.write(msgspec.json.encode(row) + b"\n")

    def _complaint(self) -> str:
        rows = "row is" if self.bad_count == 1 else "rows are"
        lines = [f"{self.bad_count:,} {rows} invalid; nothing was entered."]
        lines += [f"line {row.line}: {row.error}" for row in self.first_bad]
        if more := self.bad_count - len(self.first_bad):
            lines.append(f"... and {more:,} more")
        return "\n".join(lines)


@contextmanager
def open_rows(
    name: str,
    data_format: str | None,
    rejects_name: str | None,
    report: Callable[[int], None],
    read_station: ReadStation = whole_number,
) -> Iterator[RowReader]:
    """`report` is called with the number of rows read so far, every 10,000 rows."""
    with open_input(name) as file:
        found = find_format(name, read_head(name, file), data_format)
        with open_rejects(rejects_name, file) as rejects:
            records = READERS[found](file, RowMaker(read_station))
            yield RowReader(read_records(name, records), rejects, report)


def read_head(name: str, file: BinaryIO) -> bytes:
    with os_errors_as_refusals(name):
        start = file.tell()
        head = file.read(HEAD)
        file.seek(start)
    return head


def read_records(name: str, records: Iterator[Record]) -> Iterator[Record]:
    with os_errors_as_refusals(name):
        yield from records
