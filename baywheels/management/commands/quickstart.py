import os
import secrets
import signal
import socket
import subprocess
import sys
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from baywheels.embedded.cluster import DEFAULT as EMBEDDED
from baywheels.embedded.cluster import DevDbError
from dispatch import services
from dispatch.demo import feed, seed
from dispatch.demo.simulation import decision_seconds
from dispatch.demo.smoke_client import SmokeFailure, run_the_loop, wait_until_ready
from dispatch.models import Crew, Station, Suggestion, Task, User
from dispatch.models.phones import CODE_LIFE

DISPATCHER = "dispatcher"
SWEEP_SECONDS = "60"
WELCOME = """
  The Bay Wheels dispatch service is running. Press Ctrl-C to stop it.

  Console    {url}/admin/    user {user}, password {password}
  Crew page  {phone}
  API docs   {url}/docs

  Approve a suggestion on the board and tap "Next task" on the crew page, or in another terminal:

    curl -X POST {url}/task/approve \\
      -H "Content-Type: application/json" -d '{{"suggestion_id": {id}}}'
    curl -X POST {url}/dispatch/next -H "Idempotency-Key: {key}" \\
      -H "Content-Type: application/json" -d '{{"worker_id": "worker_123"}}'
    curl -X POST {url}/task/{task}/complete     # the id from the claim's response

{city}
"""
PHONE = """\
{link}
             signs a browser in as {crew}, once and for {minutes} minutes. A new link:
             {python} manage.py enrol_crew {crew} --url {url}"""
NO_PHONE = "{url}/crew/    Add a crew under Crews in the console, and show its code."
AT_REST = """\
  The demo city is at rest: bikes move only when you complete a task. Add --simulate for riders and
  vans."""
ALIVE = """\
  The demo city is simulated: riders come and go, and two vans work. When the queue is nearly empty,
  suggestions left undecided for {seconds} s are approved by the simulation."""


class Command(BaseCommand):
    help = "Runs the whole service on this machine, on the embedded PostgreSQL, with demo data."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="on 127.0.0.1; default 8000")
        parser.add_argument(
            "--check",
            action="store_true",
            help="run the loop once (ingest, approve, claim, complete), then stop: exit 0 or 1",
        )
        parser.add_argument(
            "--simulate",
            action="store_true",
            help="simulate riders, and vans that work over the API",
        )
        parser.add_argument(
            "--speed",
            type=int,
            choices=range(1, 61),
            metavar="1..60",
            help="with --simulate: simulated minutes per second; default 1",
        )

    def handle(
        self, *args: Any, port: int, check: bool, simulate: bool, speed: int | None, **options: Any
    ) -> None:
        if settings.PRODUCTION:
            raise CommandError("DATABASE_URL is set: quickstart is for the local trial only.")
        if speed and not simulate:
            raise CommandError("--speed needs --simulate.")
        refuse_used_port(port)
        # `kill` ends it as Ctrl-C does, which a shell disables for commands started with &.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        try:
            started_here = EMBEDDED.start()
        except DevDbError as error:
            raise CommandError(str(error)) from error
        try:
            self.serve(port, check, (speed or 1) if simulate else 0)
        except SmokeFailure as failure:
            raise CommandError(str(failure)) from failure
        except KeyboardInterrupt:
            self.stdout.write("\nStopped.")
        finally:
            if started_here:
                EMBEDDED.stop()

    def serve(self, port: int, check: bool, speed: int) -> None:
        self.prepare()
        has_city = Station.objects.filter(system=feed.SYSTEM).exists()
        if speed and not has_city:
            raise CommandError(
                "--simulate needs the demo city, which is created only in an empty database:"
                " `manage.py devdb reset` deletes what this one holds."
            )
        url = f"http://127.0.0.1:{port}"
        processes = [start_gunicorn(port), start("manage.py", "sweep", "--every", SWEEP_SECONDS)]
        try:
            wait_until_ready(url)
            if check:
                self.check_loop(url)
                return
            if has_city:
                processes.append(start("manage.py", "simulate_city", url, "--speed", str(speed)))
            self.welcome(url, renew_dispatcher(), about_the_city(has_city, speed))
            if processes[0].wait():
                raise CommandError("The server ended; its own lines above say why.")
        finally:
            # The vans first, while the server still answers them.
            for process in reversed(processes):
                process.terminate()
                process.wait()

    def prepare(self) -> None:
        self.stdout.write("Preparing the database ...")
        self.stdout.flush()
        call_command("migrate", verbosity=0)
        seed.seed()

    def check_loop(self, url: str) -> None:
        for line in run_the_loop(url):
            self.stdout.write(line)
        self.stdout.write("The whole loop works.")

    def welcome(self, url: str, password: str, city: str) -> None:
        first = Suggestion.objects.order_by("id").values_list("id", flat=True).first()
        # The id of the next claim: a task that is ready already, or the one to be approved.
        next_task = Task.objects.ready().dispatch_order().values_list("id", flat=True).first()
        last_task = Task.objects.order_by("id").values_list("id", flat=True).last()
        text = WELCOME.format(
            url=url,
            user=DISPATCHER,
            password=password,
            phone=how_to_join(url),
            id=first or 1,
            key=secrets.token_hex(4),
            task=next_task or (last_task or 0) + 1,
            city=city,
        )
        self.stdout.write(text.rstrip() + "\n")
        self.stdout.flush()


def refuse_used_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise CommandError(
                f"Port {port} cannot be used: choose another with --port."
            ) from error


def renew_dispatcher() -> str:
    """Set a new password at each start, so that only this terminal's user can sign in."""
    password = secrets.token_urlsafe(9)
    user, _ = User.objects.get_or_create(
        username=DISPATCHER, defaults={"is_staff": True, "is_superuser": True}
    )
    user.set_password(password)
    user.save(update_fields=["password"])
    return password


def how_to_join(url: str) -> str:
    crew = Crew.objects.active().filter(worker_id=seed.YOUR_CREW).first()
    if crew is None:
        return NO_PHONE.format(url=url)
    _, code = services.create_code(crew.pk, actor=seed.ACTOR)
    return PHONE.format(
        link=services.enrolment_link(url, code),
        crew=crew.worker_id,
        url=url,
        minutes=round(CODE_LIFE.total_seconds() / 60),
        python=sys.executable,
    )


def about_the_city(has_city: bool, speed: int) -> str:
    if not has_city:
        return ""
    return ALIVE.format(seconds=decision_seconds(speed)) if speed else AT_REST


def start_gunicorn(port: int) -> subprocess.Popen[bytes]:
    address = f"127.0.0.1:{port}"
    return start("-m", "gunicorn", "baywheels.wsgi", "--bind", address, "--log-level", "warning")


def start(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=settings.BASE_DIR,
        env={"WEB_CONCURRENCY": "2", "LOG_LEVEL": "WARNING", **os.environ},
        # Ctrl-C reaches only this command, which then stops the others in order.
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
