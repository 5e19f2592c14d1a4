"""Where rows come from and what becomes of the bad ones. No database here."""

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

from ..exceptions import Refusal
from ..services.ingest import SuggestionRow
from .formats import READERS, BadRow, Record

STDIN = "-"
SHOWN = 20
LINES_BETWEEN_REPORTS = 10_000
FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", STDIN: "jsonl"}


def find_format(name: str) -> str:
    suffix = name if name == STDIN else Path(name).suffix.lower()
    if suffix not in FORMATS:
        raise Refusal(f"{name}: say its format with --format jsonl or --format csv.")
    return FORMATS[suffix]


@contextmanager
def naming(name: str) -> Iterator[None]:
    """An operating system's error as one line that says which file."""
    try:
        yield
    except OSError as error:
        raise Refusal(f"{name}: {error.strerror or error}.") from error


@contextmanager
def open_input(name: str) -> Iterator[BinaryIO]:
    """The file from its beginning to its end, as fast as the disk reads.

    What is no plain file is spooled to one first: its producer may take hours, and the rows are
    consumed inside a transaction.
    """
    with ExitStack() as stack:
        with naming("standard input" if name == STDIN else name):
            file = standard_input() if name == STDIN else stack.enter_context(open(name, "rb"))
            if not is_plain(file):
                spool = stack.enter_context(tempfile.TemporaryFile())
                shutil.copyfileobj(file, spool)
                spool.seek(0)
                file = spool
        yield file


def standard_input() -> BinaryIO:
    if sys.stdin is None:
        raise Refusal("Standard input is closed.")
    return sys.stdin.buffer


def is_plain(file: BinaryIO) -> bool:
    return stat.S_ISREG(os.fstat(file.fileno()).st_mode)


@contextmanager
def open_rejects(name: str | None, source: BinaryIO) -> Iterator[BinaryIO | None]:
    if name is None:
        yield None
        return
    if os.path.exists(name) and os.path.samestat(os.stat(name), os.fstat(source.fileno())):
        raise Refusal(f"{name}: the rejects would overwrite the input.")
    with naming(name), open(name, "wb") as file:
        yield file


class Intake:
    """Hands on the valid rows, one at a time.

    Without `rejects` one bad row refuses them all: the rest is then only checked, and the last
    one is followed by a Refusal. With `rejects` the bad ones are written there; a Refusal follows
    when not one was valid.
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
            # A full disk must show before the commit.
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
        lines = [f"{self.bad_count:,} {rows} bad; nothing was entered."]
        lines += [f"line {row.line}: {row.error}" for row in self.first_bad]
        if more := self.bad_count - len(self.first_bad):
            lines.append(f"... and {more:,} more")
        return "\n".join(lines)


@contextmanager
def open_intake(
    name: str, data_format: str | None, rejects_name: str | None, report: Callable[[int], None]
) -> Iterator[Intake]:
    read = READERS[data_format or find_format(name)]
    with open_input(name) as file, open_rejects(rejects_name, file) as rejects:
        yield Intake(reading(name, read(file)), rejects, report)


def reading(name: str, records: Iterator[Record]) -> Iterator[Record]:
    with naming(name):
        yield from records
