import sys
from io import StringIO
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from baywheels.embedded.cluster import DEFAULT, DevDbError

NOT_RUNNING = 3
JOB = "job"


def create_job_role() -> None:
    """A login like the one in docs/operations.md for an ML job. Starts the server."""
    call_command("grant_roles", stdout=StringIO())
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", [JOB])
        if not cursor.rowcount:
            cursor.execute(f"CREATE ROLE {JOB} LOGIN IN ROLE baywheels_ml")


class Command(BaseCommand):
    help = "Starts, stops, shows or resets the embedded PostgreSQL of this checkout."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["start", "stop", "status", "url", "reset"])
        parser.add_argument("--yes", action="store_true", help="reset without asking")
        parser.add_argument(
            "--job", action="store_true", help="url: of a role with an ML job's rights only"
        )

    def handle(self, *args: Any, action: str, job: bool, **options: Any) -> None:
        is_used = settings.DATABASES["default"]["ENGINE"] == "baywheels.embedded"
        if (action != "url" or job) and not is_used:
            raise CommandError("DATABASE_URL is set: the embedded PostgreSQL is not used.")
        try:
            getattr(self, action)(job=job, **options)
        except DevDbError as error:
            raise CommandError(str(error)) from error

    def start(self, **options: Any) -> None:
        self.stdout.write("Started." if DEFAULT.start() else "Already running.")

    def stop(self, **options: Any) -> None:
        self.stdout.write("Stopped." if DEFAULT.stop() else "Was not running.")

    def url(self, job: bool, **options: Any) -> None:
        if job:
            create_job_role()
        self.stdout.write(DEFAULT.url_for(JOB) if job else DEFAULT.url)

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
