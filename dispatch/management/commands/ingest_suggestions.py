import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from types import FrameType
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error, OperationalError, connection

from dispatch.exceptions import DatabaseUnavailable, Refusal
from dispatch.ingest.formats import READERS
from dispatch.ingest.source import Intake, open_intake
from dispatch.services import ingest_suggestions

ACTOR = "ingest_suggestions"
QUIET_SECONDS = 2


class Stopped(SystemExit):
    """By a signal. psycopg cancels the running statement on a SystemExit, not on any exception."""


def check_options(options: dict[str, Any]) -> None:
    if options["skip_bad"] != bool(options["rejects"]):
        raise Refusal("--skip-bad and --rejects need each other.")
    if options["allow_empty"] and not options["replace"]:
        raise Refusal("--allow-empty is for --replace.")
    if options["replace"] and not options["source"]:
        raise Refusal("--replace needs --source: without a name it would be everybody's.")


def summary(counts: dict[str, Any]) -> str:
    names = ("inserted", "refreshed", "removed", "repeated", "under_way", "decided", "rejected")
    text = ", ".join(f"{counts[name]:,} {name.replace('_', ' ')}" for name in names) + "."
    return f"Dry run, nothing was changed: {text}" if counts["dry_run"] else text


class Command(BaseCommand):
    help = "Enters an ML job's suggestions from JSON Lines or CSV: all of them or none."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("file", metavar="FILE", help="a file, or - for standard input")
        add("--format", choices=list(READERS), help="default: by extension; jsonl for -")
        add("--source", default="", help="the job's name; without it, nobody's")
        add(
            "--replace",
            action="store_true",
            help="also remove the source's open suggestions that FILE does not name",
        )
        add(
            "--allow-empty",
            action="store_true",
            help="with --replace: an empty FILE removes all of the source's",
        )
        add(
            "--include-under-way",
            action="store_true",
            help="enter also moves that a ready or assigned task makes already",
        )
        add("--skip-bad", action="store_true", help="enter the valid rows; needs --rejects")
        add("--rejects", metavar="FILE", help="where the bad rows go; needs --skip-bad")
        add("--dry-run", action="store_true", help="count only; the rejects file is written")
        add("--json", action="store_true", help="print one JSON object, on failure too")

    def handle(self, *args: Any, **options: Any) -> None:
        self.as_json = options["json"]
        self.intake: Intake | None = None
        self.started = time.monotonic()
        self.reported = False
        with self.one_line_errors(), self.stopped_by_signals():
            check_options(options)
            counts = self.ingest(options)
            self.say({"ok": True, **counts} if self.as_json else summary(counts))

    def ingest(self, options: dict[str, Any]) -> dict[str, Any]:
        given = (options["file"], options["format"], options["rejects"])
        try:
            with open_intake(*given, self.progress) as self.intake:
                result = ingest_suggestions(
                    self.intake.rows(),
                    source=options["source"],
                    actor=ACTOR,
                    replace=options["replace"],
                    allow_empty=options["allow_empty"],
                    include_under_way=options["include_under_way"],
                    dry_run=options["dry_run"],
                )
        finally:
            if self.reported:
                self.stderr.write("")
        told = {name: options[name] for name in ("source", "dry_run")}
        return {**told, **asdict(result), "rejected": self.intake.bad_count}

    def say(self, answer: dict[str, Any] | str) -> None:
        """On standard output, if somebody still reads it: what is done is done."""
        if sys.stdout is None:
            return
        try:
            self.stdout.write(answer if isinstance(answer, str) else json.dumps(answer))
            self.stdout.flush()
        except OSError as error:
            # Else Python tries again at its exit, and complains.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self.stderr.write(f"The outcome could not be printed: {error.strerror}.")

    def fail(self, error: str, returncode: int = 1) -> NoReturn:
        if self.as_json:
            intake = self.intake
            self.say(
                {
                    "ok": False,
                    "error": error.partition("\n")[0],
                    "bad_rows": intake.bad_count if intake else 0,
                    "errors": [
                        {"line": row.line, "error": row.error}
                        for row in (intake.first_bad if intake else [])
                    ],
                }
            )
        raise CommandError(error, returncode=returncode)

    @contextmanager
    def one_line_errors(self) -> Iterator[None]:
        try:
            yield
        except Refusal as error:
            self.fail(str(error))
        except Stopped as stopped:
            name = signal.Signals(stopped.args[0]).name
            self.fail(f"Stopped by {name}; nothing was entered.", 128 + stopped.args[0])
        except OperationalError as error:
            self.fail(str(DatabaseUnavailable(error)))
        except Error as error:
            self.fail(f"The database refuses: {' '.join(str(error).split())}")

    @contextmanager
    def stopped_by_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            for number in before:
                signal.signal(number, self.stop)
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def stop(self, number: int, frame: FrameType | None) -> None:
        if self.intake and self.intake.ended and not connection.in_atomic_block:
            # The COMMIT is on its way and cannot be taken back: say how it went.
            return
        raise Stopped(number)

    def progress(self, rows: int) -> None:
        if self.stderr.isatty() and time.monotonic() - self.started > QUIET_SECONDS:
            self.reported = True
            self.stderr.write(f"\r{rows:,} rows read", ending="")
            self.stderr.flush()
