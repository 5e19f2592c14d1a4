"""Simulated crews that work with their phones."""

import uuid
from contextlib import suppress
from typing import Any

from ..models import Problem
from ..planning.geo import kilometres
from .city import City
from .phone import Phone, SignedOut
from .smoke_client import SmokeFailure

NAMES = ["van-1", "van-2"]
# Simulated minutes for loading and unloading, and per kilometre.
STOP_MINUTES, MINUTES_PER_KM = 20, 4
# The distance of a move whose stations are not in the city.
UNKNOWN_KM = 2.0

Task = dict[str, Any]


class Van:
    """`claim` is the task and attempt at which it works; it reports at the simulated minute
    `done_at`."""

    def __init__(self, phone: Phone, city: City) -> None:
        self.phone = phone
        self.city = city
        self.claim: tuple[int, int] | None = None
        self.done_at = 0
        # The key changes only after a response: a lost response leaves no task behind.
        self.key = uuid.uuid4().hex
        # The report that is to be repeated until it has a response.
        self.report: dict[str, Any] | None = None

    def drive(self) -> None:
        """Do the next step that is due. A van that was signed out rests.

        OSError: the server is unavailable; the next call continues. SmokeFailure: it answers
        otherwise than the crew page's API does.
        """
        with suppress(SignedOut):
            if not self.phone.has_joined:
                self.phone.join()
            if self.report is not None:
                self.send(self.report)
            task = self.held() or self.next()
            if task is not None:
                self.phone.show(task)
                self.work(task)

    def end_shift(self) -> None:
        """Sign the phone out. A task that the van holds is its own again at the next start."""
        if self.phone.has_joined:
            with suppress(SignedOut, OSError, SmokeFailure):
                self.phone.sign_out()

    def held(self) -> Task | None:
        tasks: list[Task] = self.phone.state()["tasks"]
        return tasks[0] if tasks else None

    def next(self) -> Task | None:
        task = self.phone.claim(self.key)
        self.key = uuid.uuid4().hex
        return task

    def work(self, task: Task) -> None:
        claim = task["id"], task["attempt"]
        if self.claim != claim:
            driving = round(MINUTES_PER_KM * self.distance(task))
            self.claim, self.done_at = claim, self.city.minute + STOP_MINUTES + driving
        elif self.done_at <= self.city.minute:
            self.report = self.report_of(task)
            self.send(self.report)

    def send(self, report: dict[str, Any]) -> None:
        self.phone.report(report)
        self.report = None

    def report_of(self, task: Task) -> dict[str, Any]:
        source, target, qty = task["from"]["id"], task["to"]["id"], task["qty"]
        moved = self.city.movable(source, target, qty)
        report = {"v": 1, "id": str(uuid.uuid4()), "kind": "done", "moved_qty": moved}
        report |= {"task_id": task["id"], "attempt": task["attempt"], "age": 0}
        if moved == qty:
            return report
        has_bikes = self.city.has_bikes(source, qty)
        problem = Problem.STATION_FULL if has_bikes else Problem.STATION_EMPTY
        return {**report, "problems": [problem.value]}

    def distance(self, task: Task) -> float:
        """The distance in kilometres."""
        ends = [self.city.index.get(task[end]["id"]) for end in ("from", "to")]
        places = [self.city.places[index] for index in ends if index is not None]
        if len(places) < 2:
            return UNKNOWN_KM
        start, end = places
        return kilometres(start.lat, start.lon, end.lat, end.lon)
