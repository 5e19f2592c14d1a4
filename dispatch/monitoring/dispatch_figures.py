"""The queue, the crews, the decisions and the stations."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from django.db.models import Count, Exists, Min, OuterRef
from django.utils import timezone
from prometheus_client.metrics_core import Metric

from ..models import (
    ClusterOutage,
    Crew,
    EventKind,
    Heartbeat,
    StationFeed,
    StatusPoll,
    Suggestion,
    System,
    Task,
    TaskEvent,
)
from ..models.events import TaskEventQuerySet
from ..overview.roster import read_roster
from .samples import counter, gauge

# Sources beyond these count together: a label needs a closed set of values.
MOST_SOURCES = 20
OTHER = "other"


def queue() -> Iterator[Metric]:
    yield from ready_tasks()
    yield from held_tasks()


def ready_tasks() -> Iterator[Metric]:
    kinds: Any = Task.objects.ready().order_by().values_list("area", "system", "qty")
    rows = [*kinds.annotate(Count("id"), Min("created_at"))]
    yield gauge(
        "dispatch_ready_tasks",
        "Ready tasks by system and area.",
        sums(((area, system), n) for area, system, _, n, _ in rows),
        ["area", "system"],
    )
    oldest: dict[tuple[str, str], datetime] = {}
    for area, system, _, _, at in rows:
        oldest[area, system] = min(at, oldest.get((area, system), at))
    yield gauge(
        "dispatch_ready_oldest_timestamp_seconds",
        "Creation of the oldest ready task by system and area.",
        oldest.items(),
        ["area", "system"],
    )
    yield from tasks_without_crew(rows)


def tasks_without_crew(rows: list[tuple[str, str, int, int, datetime]]) -> Iterator[Metric]:
    """`rows`: area, system, bikes, number and oldest creation of the ready tasks of one kind."""
    roster = read_roster()
    stuck = [(n, at) for area, system, qty, n, at in rows if roster.why_no_crew(system, area, qty)]
    yield gauge(
        "dispatch_tasks_without_crew",
        "Ready tasks that no active crew may take.",
        [((), sum(n for n, _ in stuck))],
    )
    yield gauge(
        "dispatch_tasks_without_crew_oldest_timestamp_seconds",
        "Creation of the oldest of them.",
        [((), min((at for _, at in stuck), default=None))],
    )


def held_tasks() -> Iterator[Metric]:
    assigned = Task.objects.assigned()
    yield gauge("dispatch_assigned_tasks", "Tasks that crews hold.", [((), assigned.count())])
    overdue = Task.objects.overdue().aggregate(n=Count("id"), at=Min("assigned_at"))
    yield gauge("dispatch_overdue_tasks", "Overdue tasks.", [((), overdue["n"])])
    yield gauge(
        "dispatch_overdue_oldest_timestamp_seconds",
        "Assignment of the longest overdue task.",
        [((), overdue["at"])],
    )


def sums(pairs: Iterable[tuple[Any, int]]) -> list[tuple[Any, int]]:
    totals: dict[Any, int] = {}
    for name, number in pairs:
        totals[name] = totals.get(name, 0) + number
    return sorted(totals.items())


def crews() -> Iterator[Metric]:
    holds = Task.objects.assigned().filter(worker_id=OuterRef("worker_id"))
    active = Crew.objects.active().annotate(busy=Exists(holds))
    busy = active.filter(busy=True).count()
    yield gauge(
        "dispatch_crews",
        "Active crews of the roster.",
        [(["busy"], busy), (["free"], active.count() - busy)],
        ["state"],
    )


def decisions() -> Iterator[Metric]:
    """Counters start from 0 at each midnight, which Prometheus takes for a restart."""
    yield from events_of_today()
    yield from suggestions()


def today() -> TaskEventQuerySet:
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    return TaskEvent.objects.filter(at__gte=midnight).order_by()


def events_of_today() -> Iterator[Metric]:
    by_kind = dict(today().values_list("kind").annotate(Count("id")))
    yield counter(
        "dispatch_events",
        "Events in the history since midnight, by kind.",
        (([kind], by_kind.get(kind, 0)) for kind in EventKind.values),
        ["kind"],
    )
    warned = today().filter(kind=EventKind.APPROVED).exclude(details__warnings=[])
    yield counter(
        "dispatch_approvals_with_warnings",
        "Approvals since midnight that the guard warned about.",
        [((), warned.filter(details__has_key="warnings").count())],
    )


def suggestions() -> Iterator[Metric]:
    kinds = [EventKind.APPROVED, EventKind.REJECTED, EventKind.EXPIRED]
    fates = today().filter(kind__in=kinds).not_undone().values_list("source", "kind")
    counts = {(source, kind): n for source, kind, n in fates.annotate(Count("id"))}
    open_now = dict(Suggestion.objects.order_by().values_list("source").annotate(Count("id")))
    names = known_sources({source for source, _ in counts} | {*open_now})
    yield gauge(
        "dispatch_open_suggestions",
        "Open suggestions by source.",
        (([name], n) for name, n in sums((names[s], n) for s, n in open_now.items())),
        ["source"],
    )
    yield counter(
        "dispatch_decided_suggestions",
        "Suggestions decided or expired since midnight, by source.",
        (
            ([source, kind], n)
            for kind in kinds
            for source, n in sums((names[s], n) for (s, k), n in counts.items() if k == kind)
        ),
        ["source", "outcome"],
    )


def known_sources(sources: set[str]) -> dict[str, str]:
    return {s: s if n < MOST_SOURCES else OTHER for n, s in enumerate(sorted(sources))}


def stations() -> Iterator[Metric]:
    polls = StatusPoll.objects.order_by("system", "-at").distinct("system")
    latest = [poll for poll in polls if poll.in_service]
    for name, text in (("empty", "without bikes"), ("full", "without docks")):
        yield gauge(
            f"dispatch_{name}_stations_ratio",
            f"Share of the open stations {text} at the last poll, by system.",
            (([poll.system], getattr(poll, name) / poll.in_service) for poll in latest),
            ["system"],
        )
    yield cluster_outages(poll.system for poll in latest)
    yield from feeds()


def feeds() -> Iterator[Metric]:
    watched = list(StationFeed.objects.watched())
    labels = ["system", "kind"]
    yield gauge(
        "dispatch_feed_last_success_timestamp_seconds",
        "The last good reading of a station feed.",
        (([feed.system, feed.kind], feed.read_at) for feed in watched),
        labels,
    )
    yield gauge(
        "dispatch_feed_data_timestamp_seconds",
        "The feed's own time in its last good reading.",
        (([feed.system, feed.kind], feed.made_at) for feed in watched),
        labels,
    )
    yield gauge(
        "dispatch_feed_failing",
        "1 if the last reading of a station feed failed.",
        (([feed.system, feed.kind], bool(feed.trouble)) for feed in watched),
        labels,
    )


def cluster_outages(systems: Iterable[str]) -> Metric:
    ongoing = ClusterOutage.objects.ongoing().order_by()
    counts = {(s, kind): n for s, kind, n in ongoing.values_list("system", "kind", Count("id"))}
    return gauge(
        "dispatch_cluster_outages",
        "Groups of neighbouring stations that are all empty, or all full, by system.",
        (([s, kind], counts.get((s, kind), 0)) for s in systems for kind in ("empty", "full")),
        ["system", "kind"],
    )


def systems() -> Iterator[Metric]:
    active = System.objects.filter(active=True).aggregate(n=Count("id"), due_at=Min("due_at"))
    yield gauge("dispatch_polled_systems", "Active systems of the console.", [((), active["n"])])
    yield gauge(
        "dispatch_poll_due_timestamp_seconds",
        "The time of the next poll of any system. In the past: the poller is late.",
        [((), active["due_at"])],
    )


def commands() -> Iterator[Metric]:
    yield gauge(
        "dispatch_command_last_success_timestamp_seconds",
        "The last success of a command that runs again and again.",
        (([beat.name], beat.at) for beat in Heartbeat.objects.all()),
        ["command"],
    )
