"""Simulated crews that claim and complete tasks over the API, as their phones would."""

import uuid
from typing import Any

from ..planning.geo import kilometres
from .city import City
from .smoke_client import SmokeFailure, call

NAMES = ["van-1", "van-2"]
# Simulated minutes for loading and unloading, and per kilometre.
STOP_MINUTES, MINUTES_PER_KM = 20, 4
# The distance of a move whose stations are not in the city.
UNKNOWN_KM = 2.0


class Van:
    """`task` is the task it holds; it completes it at the simulated minute `done_at`."""

    def __init__(self, name: str, url: str, city: City) -> None:
        self.name = name
        self.url = url
        self.city = city
        self.task: dict[str, Any] | None = None
        self.done_at = 0
        self.key = uuid.uuid4().hex
        # False at the start and after an unexpected refusal: the van then asks for its tasks.
        self.knows_its_task = False

    def drive(self) -> None:
        """Do the next step that is due; after an error, the next call continues.

        OSError: the server is unavailable. SmokeFailure: it does not say which task the van holds.
        """
        if self.task is None:
            self.set_out()
        elif self.done_at <= self.city.minute:
            self.complete(self.task)

    def set_out(self) -> None:
        self.task = (None if self.knows_its_task else self.find_held()) or self.claim()
        self.knows_its_task = True
        if self.task is not None:
            driving = round(MINUTES_PER_KM * self.distance(self.task))
            self.done_at = self.city.minute + STOP_MINUTES + driving

    def find_held(self) -> dict[str, Any] | None:
        """The task that it held when the simulation stopped."""
        tasks = call("GET", f"{self.url}/tasks?status=assigned&worker_id={self.name}")
        return tasks[0] if tasks else None

    def claim(self) -> dict[str, Any] | None:
        try:
            # The key changes only after a response: a lost response leaves no task behind.
            task: dict[str, Any] = call(
                "POST",
                f"{self.url}/dispatch/next",
                {"worker_id": self.name},
                {"Idempotency-Key": self.key},
            )
        except SmokeFailure:
            # No task is ready.
            return None
        self.key = uuid.uuid4().hex
        return task

    def complete(self, task: dict[str, Any]) -> None:
        moved = self.city.movable(task["from_station_id"], task["to_station_id"], task["qty"])
        note = "" if moved == task["qty"] else "There were not enough bikes or docks."
        report = {"worker_id": self.name, "moved_qty": moved, "note": note}
        try:
            call("POST", f"{self.url}/task/{task['id']}/complete", report)
        except SmokeFailure:
            # Usually a dispatcher has cancelled or reassigned it.
            self.knows_its_task = False
        self.task = None

    def distance(self, task: dict[str, Any]) -> float:
        """The distance in kilometres."""
        ends = [self.city.index.get(task[end]) for end in ("from_station_id", "to_station_id")]
        places = [self.city.places[index] for index in ends if index is not None]
        if len(places) < 2:
            return UNKNOWN_KM
        start, end = places
        return kilometres(start.lat, start.lon, end.lat, end.lon)
