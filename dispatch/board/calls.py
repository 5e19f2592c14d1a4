"""Calls for a dispatcher's attention: failing feeds, problems that crews report, overdue tasks and
urgent suggestions."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.template.defaultfilters import pluralize

from ..models import Suggestion, Task, TaskEvent
from ..overview.exchanges import problem_of
from ..overview.station_views import StationViews
from ..texts import isolated
from .feeds import Feed

CALLS_SHOWN = 40


@dataclass(frozen=True)
class Call:
    """`key` stays the same while the cause lasts. `priority`: a suggestion's; None for others."""

    key: str
    text: str
    priority: int | None = None


def read_calls(
    stations: StationViews, feeds: list[Feed], with_problem: Sequence[Task]
) -> list[Call]:
    """All calls; the board's filters do not apply."""
    return [
        *failing(feeds),
        *problems(with_problem[:CALLS_SHOWN], stations),
        *overdue(stations),
        *urgent(stations),
    ]


def failing(feeds: list[Feed]) -> Iterator[Call]:
    for feed in feeds:
        if feed.trouble:
            yield Call(f"feed {feed.system}", f"Station feed {isolated(feed.system)} is failing.")


def problems(tasks: Iterable[Task], stations: StationViews) -> Iterator[Call]:
    moves: dict[int | None, str] = {task.pk: describe(task, stations) for task in tasks}
    for report in TaskEvent.objects.open_problems().filter(task_id__in=moves).order_by("id"):
        problem, move = problem_of(report), moves[report.task_id]
        what = f"Task {report.task_id} has a problem: {problem.text}, reported by"
        yield Call(f"problem {report.pk}", f"{what} {isolated(problem.worker_id)}: {move}")


def overdue(stations: StationViews) -> Iterator[Call]:
    for task in Task.objects.overdue().order_by("assigned_at", "id")[:CALLS_SHOWN]:
        crew, move = isolated(task.worker_id or ""), describe(task, stations)
        yield Call(f"task {task.pk} {task.attempt}", f"Task {task.pk} of {crew} is overdue: {move}")


def urgent(stations: StationViews) -> Iterator[Call]:
    found = Suggestion.objects.urgent()
    for suggestion in found.order_by("-priority", "created_at", "id")[:CALLS_SHOWN]:
        text = f"Urgent suggestion {suggestion.pk}: {describe(suggestion, stations)}"
        yield Call(f"suggestion {suggestion.pk}", text, suggestion.priority)


def describe(move: Suggestion | Task, stations: StationViews) -> str:
    source, target = stations[move.from_station_id].name, stations[move.to_station_id].name
    bikes = f"{move.qty} bike{pluralize(move.qty)}"
    return f"{bikes}, {isolated(source)} to {isolated(target)}."
