"""The city lives: time passes, vans drive, the suggester proposes, and the feed tells of it."""

import math
from datetime import timedelta

from django.db.models.functions import Now
from django.utils import timezone

from .. import services
from ..exceptions import Refusal
from ..models import Suggestion, Task, TaskStatus
from .feed import city_as_told, tell
from .vans import NAMES, Van

ACTOR = "simulation"
STEP_SECONDS = 1.0
# Steps from one status, and one run of the suggester, to the next: alive, and at rest.
TELL_EVERY, TELL_EVERY_AT_REST = 5, 30
SUGGEST_EVERY, SUGGEST_EVERY_AT_REST = 30, 600
# In minutes of the city: how long a dispatcher has before the simulation decides.
PATIENCE = 45
# It approves no more than these wait.
QUEUE = 2
# Nobody wants to watch an empty street.
HASTE = 10
# A completion may be seen later than another that was made after it.
LOOK_BACK = timedelta(minutes=2)


def patience(speed: int) -> int:
    """Seconds that a suggestion waits for a dispatcher."""
    return math.ceil(PATIENCE / speed)


class Simulation:
    """`speed`: minutes of the city in a second, 0: at rest. Then only persons move its bikes."""

    def __init__(self, url: str, speed: int) -> None:
        self.speed = speed
        self.city = city_as_told()
        self.vans = [Van(name, url, self.city) for name in NAMES] if speed else []
        self.seen = {task.pk for task in self.lately_completed()}
        self.steps = 0

    def step(self) -> None:
        for van in self.vans:
            van.drive()
        self.move_bikes()
        self.city.ride(self.speed * (HASTE if self.city.is_night else 1))
        if self.steps % (TELL_EVERY if self.speed else TELL_EVERY_AT_REST) == 0:
            tell(self.city, timezone.now())
        if self.steps % (SUGGEST_EVERY if self.speed else SUGGEST_EVERY_AT_REST) == 0:
            services.suggest_moves(actor=ACTOR)
        if self.speed:
            self.approve()
        self.steps += 1

    def lately_completed(self) -> list[Task]:
        return list(
            Task.objects.filter(status=TaskStatus.COMPLETED, completed_at__gte=Now() - LOOK_BACK)
        )

    def move_bikes(self) -> None:
        """As vans and persons have reported it."""
        completed = self.lately_completed()
        for task in completed:
            if task.pk not in self.seen:
                self.city.move(task.from_station_id, task.to_station_id, task.moved_qty or 0)
        self.seen = {task.pk for task in completed}

    def approve(self) -> None:
        """One that nobody has decided for long, so that the vans have work."""
        if Task.objects.ready().count() >= QUEUE:
            return
        long_ago = Now() - timedelta(seconds=patience(self.speed))
        waiting = Suggestion.objects.filter(created_at__lte=long_ago)
        suggestion = waiting.order_by("-priority", "created_at", "id").first()
        if suggestion is None:
            return
        try:
            services.approve_suggestion(suggestion.pk, actor=ACTOR)
        except Refusal:
            # A person was quicker, or the guard refuses.
            return
