"""Suggestions and tasks as the board, lists and pages show them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from django.db.models import Count, Min, Q

from ..models import OPEN_STATUSES, Station, Suggestion, Task, TaskStatus
from ..models.suggestions import SuggestionQuerySet
from ..models.tasks import TaskQuerySet, overdue_after
from ..planning.geo import in_words, kilometres
from .exchanges import NOTHING_SAID, Exchange, read_exchanges
from .fit_checks import FitCheck, check_fit
from .roster import Roster, read_roster
from .station_views import StationView, StationViews, read_stations


@dataclass(frozen=True)
class Route:
    """The two ends of a move."""

    source: StationView
    target: StationView
    # The move is still to be made, so the stations' present bikes matter.
    is_open: ClassVar = False

    @property
    def km(self) -> float | None:
        """None: the position of one of the stations is unknown."""
        here, there = self.source.place, self.target.place
        if here is None or there is None:
            return None
        return kilometres(here.lat, here.lon, there.lat, there.lon)

    @property
    def distance(self) -> str:
        return "" if self.km is None else in_words(self.km)

    @property
    def areas(self) -> str:
        """Both areas, or the one that both ends share; empty if one of them is unknown."""
        names = list(dict.fromkeys([self.source.area, self.target.area]))
        return " → ".join(names) if all(names) else ""


@dataclass(frozen=True)
class OpenSuggestion(Route):
    suggestion: Suggestion
    expired: bool
    fit: FitCheck
    is_open: ClassVar = True

    @property
    def refused(self) -> str:
        """The reason why it cannot be approved as it is; empty: it can."""
        return self.fit.refused

    @property
    def needs_confirmation(self) -> bool:
        return self.fit.needs_confirmation


@dataclass(frozen=True)
class OpenTask(Route):
    """`state` is ready, assigned or overdue; `since` is when that state began.

    `no_crew`: for a ready task that no active crew may take, the reason; else empty.
    `exchange`: messages and reports between dispatchers and the crew's phone.
    """

    task: Task
    state: str
    since: datetime
    no_crew: str = ""
    exchange: Exchange = NOTHING_SAID
    is_open: ClassVar = True


@dataclass(frozen=True)
class TaskCounts:
    ready: int
    ready_since: datetime | None
    assigned: int
    overdue: int

    @property
    def open(self) -> int:
        return self.ready + self.assigned


def count_tasks(tasks: TaskQuerySet) -> TaskCounts:
    totals = tasks.aggregate(
        ready=Count("id", filter=Q(status=TaskStatus.READY)),
        ready_since=Min("created_at", filter=Q(status=TaskStatus.READY)),
        assigned=Count("id", filter=Q(status=TaskStatus.ASSIGNED)),
    )
    return TaskCounts(overdue=tasks.overdue().count(), **totals)


def read_suggestions(
    suggestions: SuggestionQuerySet, stations: StationViews, now: datetime, limit: int
) -> list[OpenSuggestion]:
    """The most urgent first: by priority, then by age."""
    first = list(suggestions.order_by("-priority", "created_at", "id")[:limit])
    checks = check_fit(first)
    return [open_suggestion(each, stations, now, checks[each.pk]) for each in first]


def open_suggestion(
    suggestion: Suggestion, stations: StationViews, now: datetime, fit: FitCheck | None = None
) -> OpenSuggestion:
    return OpenSuggestion(
        stations[suggestion.from_station_id],
        stations[suggestion.to_station_id],
        suggestion,
        suggestion.expires_at is not None and suggestion.expires_at <= now,
        fit or FitCheck(),
    )


def read_tasks(
    tasks: TaskQuerySet, stations: StationViews, now: datetime, limit: int, roster: Roster
) -> list[OpenTask]:
    """Assigned tasks, longest first; then ready tasks in the order crews will get them."""
    assigned = tasks.assigned().order_by("assigned_at", "id")[:limit]
    ready = tasks.ready().dispatch_order()[:limit]
    return open_tasks([*assigned, *ready][:limit], stations, now, roster)


def open_tasks(
    tasks: Sequence[Task], stations: StationViews, now: datetime, roster: Roster
) -> list[OpenTask]:
    exchanges = read_exchanges(tasks, roster.phones)
    return [open_task(task, stations, now, roster, exchanges[task.pk]) for task in tasks]


def open_task(
    task: Task, stations: StationViews, now: datetime, roster: Roster, exchange: Exchange
) -> OpenTask:
    since = task.assigned_at or task.created_at
    overdue = task.assigned_at is not None and now - since >= overdue_after()
    return OpenTask(
        stations[task.from_station_id],
        stations[task.to_station_id],
        task,
        "overdue" if overdue else task.status,
        since,
        roster.why_no_crew(task.system, task.area, task.qty)
        if task.status == TaskStatus.READY
        else "",
        exchange,
    )


def view_moves(moves: Sequence[Suggestion] | Sequence[Task], now: datetime) -> dict[int, Route]:
    """Each move by its id, as the board shows it; a task that has ended has only its route."""
    ends = {end for move in moves for end in (move.from_station_id, move.to_station_id)}
    stations = read_stations(now, Station.objects.filter(pk__in=ends))
    checks = check_fit([move for move in moves if isinstance(move, Suggestion)])
    tasks = [move for move in moves if isinstance(move, Task) and move.status in OPEN_STATUSES]
    roster = read_roster() if tasks else Roster()
    exchanges = read_exchanges(tasks, roster.phones) if tasks else {}

    def view(move: Suggestion | Task) -> Route:
        if isinstance(move, Suggestion):
            return open_suggestion(move, stations, now, checks.get(move.pk))
        if move.pk in exchanges:
            return open_task(move, stations, now, roster, exchanges[move.pk])
        return Route(stations[move.from_station_id], stations[move.to_station_id])

    return {move.pk: view(move) for move in moves}
