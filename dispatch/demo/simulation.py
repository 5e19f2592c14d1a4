"""The simulated city: riders ride, vans drive, the suggester proposes, the feed reports."""

import math
from datetime import timedelta

from django.db.models.functions import Now
from django.utils import timezone

from .. import services
from ..exceptions import Refusal
from ..models import Crew, Suggestion, Task, TaskStatus
from .feed import city_from_status, record_status
from .phone import Phone
from .vans import NAMES, Van

ACTOR = "simulation"
STEP_SECONDS = 1.0
# Steps between two recorded statuses and between two runs of the suggester.
STATUS_EVERY, STATUS_EVERY_AT_REST = 5, 30
SUGGEST_EVERY, SUGGEST_EVERY_AT_REST = 30, 600
# Simulated minutes that a dispatcher has before the simulation approves a suggestion.
DECISION_MINUTES = 45
# The simulation approves nothing while this many tasks are ready.
MAX_READY = 2
# Nights pass this much faster: an empty street is dull to watch.
NIGHT_FACTOR = 10
# Commits can become visible out of order, so each step looks at this much of the past.
LOOK_BACK = timedelta(minutes=2)
# A message of the simulation to a crew.
TOO_FULL = "Only {} docks are free at the target now. Move what fits."


def decision_seconds(speed: int) -> int:
    """Seconds that a suggestion waits for a dispatcher."""
    return math.ceil(DECISION_MINUTES / speed)


def code_for(crew: Crew) -> str:
    _, code = services.create_code(crew.pk, actor=ACTOR)
    return code


class Simulation:
    """`speed`: simulated minutes per second. 0: no riders and no vans, only completed tasks
    move bikes."""

    def __init__(self, url: str, speed: int) -> None:
        self.speed = speed
        self.city = city_from_status()
        self.vans = self.vans_at_work(url) if speed else []
        self.seen = {task.pk for task in self.recently_completed()}
        # The tasks about which the simulation has written to their crews.
        self.advised: set[int] = set()
        self.steps = 0

    def vans_at_work(self, url: str) -> list[Van]:
        crews = Crew.objects.active().filter(worker_id__in=NAMES)
        return [Van(Phone(url, code_for(crew)), self.city) for crew in crews]

    def end(self) -> None:
        for van in self.vans:
            van.end_shift()

    def step(self) -> None:
        for van in self.vans:
            van.drive()
        self.move_bikes()
        self.city.ride(self.speed * (NIGHT_FACTOR if self.city.is_night else 1))
        if self.steps % (STATUS_EVERY if self.speed else STATUS_EVERY_AT_REST) == 0:
            record_status(self.city, timezone.now())
        if self.steps % (SUGGEST_EVERY if self.speed else SUGGEST_EVERY_AT_REST) == 0:
            services.suggest_moves(actor=ACTOR)
        if self.speed:
            self.approve()
            self.advise()
        self.steps += 1

    def recently_completed(self) -> list[Task]:
        return list(
            Task.objects.filter(status=TaskStatus.COMPLETED, completed_at__gte=Now() - LOOK_BACK)
        )

    def move_bikes(self) -> None:
        """Apply the tasks that vans and people have completed since the last step."""
        completed = self.recently_completed()
        for task in completed:
            if task.pk not in self.seen:
                self.city.move(task.from_station_id, task.to_station_id, task.moved_qty or 0)
        self.seen = {task.pk for task in completed}

    def approve(self) -> None:
        """Approve a suggestion that was left undecided, so that the vans have work."""
        if Task.objects.ready().count() >= MAX_READY:
            return
        overdue = Now() - timedelta(seconds=decision_seconds(self.speed))
        waiting = Suggestion.objects.filter(created_at__lte=overdue)
        suggestion = waiting.order_by("-priority", "created_at", "id").first()
        if suggestion is None:
            return
        try:
            services.approve_suggestion(suggestion.pk, actor=ACTOR)
        except Refusal:
            # A dispatcher was quicker, or the inventory guard refuses.
            return

    def advise(self) -> None:
        """Write to a crew, once for each task, when its target has become too full."""
        inventories = self.city.inventories()
        for task in (
            Task.objects.assigned().filter(worker_id__in=NAMES).exclude(pk__in=self.advised)
        ):
            target = inventories.get(task.to_station_id)
            if target is not None and target.docks < task.qty:
                self.advised.add(task.pk)
                services.message_crew(task.pk, TOO_FULL.format(target.docks), actor=ACTOR)
