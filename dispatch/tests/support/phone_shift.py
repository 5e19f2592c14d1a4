"""A shift: crews with phones on a bad network, a dispatcher, and a server that is killed once."""

import random
import threading
import time
from collections import Counter
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from typing import Any

from django.db.models.functions import Now

from deploy.private import free_port
from dispatch import services
from dispatch.exceptions import Refusal
from dispatch.models import Suggestion, Task

from .bad_network import BatteryDied, Fate, Line, Network, NoAnswer
from .concurrency import in_own_connection
from .factories import CrewFactory
from .loads import make_suggestions
from .phone_books import Books
from .phones import Phone, Storage
from .server import Server, kill_nine, serve

PHONES = 30
# Ready tasks that the dispatcher provides.
READY = 15
DISPATCHER = "maria"
# Seconds in which a phone on a healed network must get rid of its reports.
PATIENCE = 60
PROBLEMS = ["station_full", "station_empty", "blocked"]


class User:
    """A crew that works and reports, with or without a network, and asks for the next task."""

    def __init__(self, kind: type[Phone], number: int, network: Network, books: Books) -> None:
        self.random = random.Random(number)
        self.storage = Storage()
        self.line = Line(network, number)
        self.make_phone = lambda: kind(f"van-{number}", self.line, self.storage, books)
        self.phone = self.make_phone()
        self.restarts = 0

    def join(self, code: str) -> None:
        while self.storage.get("cookie") is None:
            self.surviving(self.phone.join, code)

    def work(self, enough: threading.Event, longest_stop: float) -> None:
        """`longest_stop`: the most seconds for which this phone has no network."""
        while not enough.wait(self.random.uniform(0.1, 0.4)):
            if self.random.random() < 0.03:
                self.line.stop(self.random.uniform(0, longest_stop))
            refresh = self.random.choice([self.phone.refresh, self.phone.renew_leases])
            self.surviving(refresh)
            self.surviving(self.phone.send_outbox)
            for task in self.phone.tasks:
                self.surviving(self.phone.show, task)
                self.act(task)
            if all(self.phone.has_ended(task) for task in self.phone.tasks):
                self.surviving(self.phone.claim)

    def act(self, task: dict[str, Any]) -> None:
        if self.phone.has_ended(task):
            return
        chance = self.random.random()
        if chance < 0.4:
            most = self.random.choice([task["qty"], task["most"]])
            moved = self.random.choice([None, self.random.randint(0, most)])
            self.phone.report("done", task, moved_qty=moved, note="")
        elif chance < 0.5:
            self.phone.report("give_back", task, reason="Station full")
        elif chance < 0.65:
            self.phone.report("problem", task, problems=[self.random.choice(PROBLEMS)], note="")

    def finish(self) -> None:
        """Send what is left, on a network that works again."""
        deadline = time.monotonic() + PATIENCE
        while not (self.surviving(self.phone.send_outbox) and self.surviving(self.phone.refresh)):
            assert time.monotonic() < deadline, f"{self.phone.worker_id} still has reports."

    def surviving(self, step: Any, *arguments: Any) -> bool:
        """Do a step. A phone whose battery died starts again with what it had stored."""
        try:
            step(*arguments)
        except NoAnswer:
            return False
        except BatteryDied:
            self.phone = self.make_phone()
            self.restarts += 1
            return False
        return True


class Office:
    """A dispatcher and a sweep at work."""

    def __init__(self, crews: list[str], enough: threading.Event) -> None:
        self.crews = crews
        self.enough = enough
        self.random = random.Random("office")

    def work(self) -> None:
        while not self.enough.wait(0.1):
            for duty in (self.approve, self.reassign, self.cancel, self.write, self.end_leases):
                # A crew was quicker.
                with suppress(Refusal):
                    duty()

    def approve(self) -> None:
        missing = READY - Task.objects.ready().count()
        for suggestion in Suggestion.objects.order_by("id")[: max(missing, 0)]:
            services.approve_suggestion(suggestion.pk, actor=DISPATCHER)

    def reassign(self) -> None:
        crew = self.random.choice(self.crews)
        if task := self.any_held(0.15):
            services.reassign_task(task.pk, crew, actor=DISPATCHER, reason="Nearer")

    def cancel(self) -> None:
        if task := self.any_held(0.1):
            services.cancel_task(task.pk, actor=DISPATCHER, reason="Street closed")

    def write(self) -> None:
        if task := self.any_held(0.3):
            services.message_crew(task.pk, "Please use the side entrance.", actor=DISPATCHER)

    def end_leases(self) -> None:
        if task := self.any_held(0.2):
            Task.objects.assigned().filter(pk=task.pk).update(lease_expires_at=Now())
        services.sweep(actor="sweep")

    def any_held(self, chance: float) -> Task | None:
        """A held task, or None except by this chance."""
        if self.random.random() > chance:
            return None
        tasks = list(Task.objects.assigned().order_by("id"))
        return self.random.choice(tasks) if tasks else None


@dataclass
class Shift:
    """The results of a shift."""

    books: Books
    phones: list[Phone]
    fates: Counter[Fate]
    restarts: int


def run_shift(kind: type[Phone], seconds: float, *, kill: bool = False) -> Shift:
    """Let 30 phones work, then heal the network and let them send what is left.

    `kill`: in the middle, kill the server and start it again.
    """
    port, enough, books = free_port(), threading.Event(), Books()
    network = Network(f"http://127.0.0.1:{port}", books.heard)
    users = [User(kind, number, network, books) for number in range(PHONES)]
    office = Office([user.phone.worker_id for user in users], enough)
    make_suggestions(int(PHONES * seconds))
    with ThreadPoolExecutor(PHONES + 1) as pool, ExitStack() as stack:
        server = stack.enter_context(serve_phones(port))
        all_of(pool, [(user.join, enrol(user.phone.worker_id)) for user in users])
        days = [pool.submit(in_own_connection, office.work)]
        days += [pool.submit(user.work, enough, seconds / 4) for user in users]
        try:
            pass_time(network, seconds / 2, days)
            if kill:
                kill_nine(server.process.pid)
                server.process.wait()
                stack.enter_context(serve_phones(port))
            pass_time(network, seconds / 2, days)
        finally:
            enough.set()
            network.heal()
        wait_for(days)
        all_of(pool, [(user.finish,) for user in users])
    phones, restarts = [user.phone for user in users], sum(user.restarts for user in users)
    return Shift(books, phones, network.fates, restarts)


def serve_phones(port: int) -> AbstractContextManager[Server]:
    return serve(workers=2, port=port, TASK_LEASE_MINUTES="1")


def enrol(worker_id: str) -> str:
    crew = CrewFactory(worker_id=worker_id)
    _, code = services.create_code(crew.pk, actor=DISPATCHER)
    return code


def pass_time(network: Network, seconds: float, days: list[Future[None]]) -> None:
    """Let the network stop for everyone once. An error of anyone cuts the time short."""
    wait(days, seconds / 2, FIRST_EXCEPTION)
    network.stop(seconds / 8)
    wait(days, seconds / 2, FIRST_EXCEPTION)


def all_of(pool: ThreadPoolExecutor, calls: list[tuple[Any, ...]]) -> None:
    wait_for([pool.submit(*call) for call in calls])


def wait_for(calls: list[Future[None]]) -> None:
    for call in calls:
        call.result()
