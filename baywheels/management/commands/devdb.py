import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from baywheels.embedded.cluster import DEFAULT, DevDbError

NOT_RUNNING = 3


class Command(BaseCommand):
    help = "Starts, stops, shows or resets the embedded PostgreSQL of this checkout."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["start", "stop", "status", "url", "reset"])
        parser.add_argument("--yes", action="store_true", help="reset without asking")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        is_used = settings.DATABASES["default"]["ENGINE"] == "baywheels.embedded"
        if action != "url" and not is_used:
            raise CommandError("DATABASE_URL is set: the embedded PostgreSQL is not used.")
        try:
            getattr(self, action)(**options)
        except DevDbError as error:
            raise CommandError(str(error)) from error

    def start(self, **options: Any) -> None:
        self.stdout.write("Started." if DEFAULT.start() else "Already running.")

    def stop(self, **options: Any) -> None:
        self.stdout.write("Stopped." if DEFAULT.stop() else "Was not running.")

    def url(self, **options: Any) -> None:
        self.stdout.write(DEFAULT.url)

    def status(self, **options: Any) -> None:
        status = DEFAULT.status()
        state = f"is running as pid {status.pid}" if status.running else "is not running"
        self.stdout.write(f"PostgreSQL {status.version} {state} in {status.folder}: {status.url}")
        if not status.running:
            sys.exit(NOT_RUNNING)

    def reset(self, yes: bool, **options: Any) -> None:
        if not yes and not self._confirmed():
            raise CommandError("Nothing was deleted.")
        DEFAULT.reset()
        self.stdout.write("Deleted.")

    def _confirmed(self) -> bool:
        if not sys.stdin.isatty():
            raise CommandError("This deletes all data: repeat it with --yes.")
        return input(f"Delete all data in {DEFAULT.folder}? [y/N] ").strip().lower() == "y"
