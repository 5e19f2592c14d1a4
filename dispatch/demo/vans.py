"""Crews that take tasks and complete them over the API, as their phones would."""

import uuid
from typing import Any

from ..planning.geo import kilometres
from .city import City
from .smoke_client import SmokeFailure, call

NAMES = ["van-1", "van-2"]
# Minutes of the city: to load and unload, and for a kilometre; and where a station is not known.
STOP_MINUTES, MINUTES_PER_KM, ANY_KM = 20, 4, 2.0


class Van:
    """`task` is what it holds, and is done at the city's minute `done_at`."""

    def __init__(self, name: str, url: str, city: City) -> None:
        self.name = name
        self.url = url
        self.city = city
        self.task: dict[str, Any] | None = None
        self.done_at = 0
        self.key = uuid.uuid4().hex
        # It knows what it holds: not when it starts, nor after a refusal that it did not expect.
        self.knows = False

    def drive(self) -> None:
        """Whatever is due. OSError: the server is away; SmokeFailure: it does not say what is held.

        The next time it goes on from there.
        """
        if self.task is None:
            self.set_out()
        elif self.done_at <= self.city.minute:
            self.complete(self.task)

    def set_out(self) -> None:
        self.task = (None if self.knows else self.held()) or self.claimed()
        self.knows = True
        if self.task is not None:
            self.done_at = (
                self.city.minute + STOP_MINUTES + round(MINUTES_PER_KM * self.kilometres(self.task))
            )

    def held(self) -> dict[str, Any] | None:
        """What it was on when it was stopped."""
        tasks = call("GET", f"{self.url}/tasks?status=assigned&worker_id={self.name}")
        return tasks[0] if tasks else None

    def claimed(self) -> dict[str, Any] | None:
        try:
            # The same key until it is answered: a lost answer leaves no task behind.
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
        note = "" if moved == task["qty"] else "There were not so many bikes or docks any more."
        report = {"worker_id": self.name, "moved_qty": moved, "note": note}
        try:
            call("POST", f"{self.url}/task/{task['id']}/complete", report)
        except SmokeFailure:
            # Mostly a dispatcher has cancelled it, or given it to another.
            self.knows = False
        self.task = None

    def kilometres(self, task: dict[str, Any]) -> float:
        ends = [self.city.index.get(task[end]) for end in ("from_station_id", "to_station_id")]
        places = [self.city.places[index] for index in ends if index is not None]
        if len(places) < 2:
            return ANY_KM
        start, end = places
        return kilometres(start.lat, start.lon, end.lat, end.lon)
