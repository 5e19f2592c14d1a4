import signal
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.db import connection

from ...exceptions import Refusal
from ...ingest.formats import READERS
from ...ingest.row_source import RowReader, open_rows
from ...ingest.rows import ReadStation
from ...models import Station
from ...services import ingest_suggestions
from ...values import whole_number
from ..base import DispatchCommand
from ..periodic import handle_signals

ACTOR = "ingest_suggestions"
QUIET_SECONDS = 2


class Stopped(SystemExit):
    """A signal arrived. psycopg cancels the running statement at a SystemExit only."""


def check_options(options: dict[str, Any]) -> None:
    if options["skip_bad"] != bool(options["rejects"]):
        raise Refusal("--skip-bad and --rejects need each other.")
    if options["allow_empty"] and not options["replace"]:
        raise Refusal("--allow-empty needs --replace.")
    if options["replace"] and not options["source"]:
        raise Refusal("--replace needs --source: it replaces the suggestions of one source.")


def short_name_reader() -> ReadStation:
    numbers: dict[str, list[int]] = defaultdict(list)
    for name, number in Station.objects.present().values_list("short_name", "pk"):
        numbers[name].append(number)

    def read(value: Any) -> int:
        names = [value] if isinstance(value, str) else []
        with suppress(ValueError):
            # A short name of digits alone may have become a number on its way.
            names.append(str(whole_number(value)))
        found = next((numbers[name] for name in names if name in numbers), [])
        if not found:
            raise ValueError("no station has this short name")
        if len(found) > 1:
            raise ValueError(f"{len(found)} stations have this short name")
        return found[0]

    return read


def number_reader() -> ReadStation:
    """If UNKNOWN_STATIONS is "refuse", refuse numbers that no feed has listed: by line, while the
    service would refuse the whole input."""
    if settings.UNKNOWN_STATIONS != "refuse":
        return whole_number
    known = set(Station.objects.values_list("pk", flat=True))
    if not known:
        return whole_number

    def read(value: Any) -> int:
        number = whole_number(value)
        if number not in known:
            raise ValueError("no feed has listed this station")
        return number

    return read


def summary(counts: dict[str, Any], warning: str) -> str:
    names = ("inserted", "refreshed", "removed", "repeated", "under_way", "decided", "rejected")
    text = ", ".join(f"{counts[name]:,} {name.replace('_', ' ')}" for name in names) + "."
    if not any(counts[name] for name in names if name != "removed"):
        text = f"The input has no rows. {text}"
    text = f"{text} {warning}".rstrip()
    return f"Dry run, nothing was changed: {text}" if counts["dry_run"] else text


class Command(DispatchCommand):
    help = "Enters an ML job's suggestions from JSON Lines or CSV, all or none."
    reader: RowReader | None = None

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("file", metavar="FILE", help="a file, or - for standard input")
        add("--format", choices=list(READERS), help="default: by content and extension")
        add("--source", help="the job's name; default: none")
        add(
            "--stations-by",
            choices=["number", "short_name"],
            default="number",
            help="what FILE calls a station; default: number",
        )
        add(
            "--replace",
            action="store_true",
            help="also remove the source's open suggestions that are not in FILE",
        )
        add(
            "--allow-empty",
            action="store_true",
            help="with --replace: an empty FILE removes all of the source's suggestions",
        )
        add(
            "--include-under-way",
            action="store_true",
            help="also enter moves that a ready or assigned task makes already",
        )
        add("--skip-bad", action="store_true", help="enter the valid rows; needs --rejects")
        add("--rejects", metavar="FILE", help="file for the invalid rows; needs --skip-bad")
        add("--dry-run", action="store_true", help="count only; the rejects file is written")
        add("--json", action="store_true", help="print one JSON object, on failure too")

    def handle(self, *args: Any, **options: Any) -> None:
        self.started = time.monotonic()
        self.showed_progress = False
        try:
            with handle_signals(self.stop):
                check_options(options)
                counts, warning = self.ingest(options)
                self.report({"ok": True, **counts} if self.as_json else summary(counts, warning))
        except Stopped as stopped:
            name = signal.Signals(stopped.args[0]).name
            self.fail(f"Stopped by {name}; nothing was entered.", 128 + stopped.args[0])

    def ingest(self, options: dict[str, Any]) -> tuple[dict[str, Any], str]:
        """Return the counts, and a warning or an empty text."""
        source = options["source"] or ""
        given = (options["file"], options["format"], options["rejects"])
        by_short_name = options["stations_by"] == "short_name"
        read_station = short_name_reader() if by_short_name else number_reader()
        try:
            with open_rows(*given, self.show_progress, read_station) as self.reader:
                result = ingest_suggestions(
                    self.reader.rows(),
                    source=source,
                    actor=ACTOR,
                    replace=options["replace"],
                    allow_empty=options["allow_empty"],
                    include_under_way=options["include_under_way"],
                    dry_run=options["dry_run"],
                )
        finally:
            if self.showed_progress:
                self.stderr.write("")
        counts = {**asdict(result), "rejected": self.reader.bad_count}
        return {"source": source, "dry_run": options["dry_run"], **counts}, result.warning

    def failure_details(self) -> dict[str, Any]:
        first_bad = self.reader.first_bad if self.reader else []
        return {
            "bad_rows": self.reader.bad_count if self.reader else 0,
            "errors": [{"line": row.line, "error": row.error} for row in first_bad],
        }

    def stop(self, number: int) -> None:
        if self.reader and self.reader.ended and not connection.in_atomic_block:
            # The COMMIT was sent and cannot be undone: report its outcome.
            return
        raise Stopped(number)

    def show_progress(self, rows: int) -> None:
        if self.stderr.isatty() and time.monotonic() - self.started > QUIET_SECONDS:
            self.showed_progress = True
            self.stderr.write(f"\r{rows:,} rows read", ending="")
            self.stderr.flush()
