"""Everything on the board, read in a number of queries that does not grow with the city."""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from ..kpi import Hour, last_24_hours
from ..models import Suggestion, Task
from ..overview.fill_levels import FillLevel
from ..overview.moves import (
    OpenSuggestion,
    OpenTask,
    TaskCounts,
    count_tasks,
    read_suggestions,
    read_tasks,
)
from ..overview.roster import Roster, roster_of
from ..overview.station_views import StationView, StationViews, read_stations
from .calls import Call, read_calls
from .crews import (
    CompletedTask,
    CrewView,
    count_problems,
    read_completed,
    read_holders,
    read_listed,
    summarize_crews,
)
from .feeds import Feed, read_feeds
from .filters import ALL_SHOWN, SUGGESTION_STATES, WARNED, BoardFilters


@dataclass(frozen=True)
class Summary:
    suggestions: int
    tasks: TaskCounts
    empty: int
    full: int
    stockout_percent: float | None
    bikes_today: int
    without_crew: int
    with_problem: int
    feeds: list[Feed]

    @property
    def feed(self) -> Feed | None:
        """The feed that needs attention most: a failing one, else the one with the oldest data."""
        never = datetime.min.replace(tzinfo=timezone.get_default_timezone())
        return min(self.feeds, key=lambda f: (not f.trouble, f.as_of or never), default=None)


@dataclass(frozen=True)
class FilterOptions:
    systems: list[str]
    areas: list[str]
    sources: list[str]


@dataclass(frozen=True)
class FoundSuggestions:
    """The first rows that match the filters.

    `total`: the number of matches; if not `complete`, among the ALL_SHOWN most urgent ones only.
    """

    rows: list[OpenSuggestion]
    total: int
    complete: bool = True


@dataclass(frozen=True)
class FoundTasks:
    """The first rows that match the filters, and the counts of all that do."""

    rows: list[OpenTask]
    counts: TaskCounts


@dataclass(frozen=True)
class Board:
    """The filters narrow the suggestions and the tasks, nothing else."""

    now: datetime
    calls: list[Call]
    filters: BoardFilters
    options: FilterOptions
    summary: Summary
    stations: list[StationView]
    suggestions: FoundSuggestions
    tasks: FoundTasks
    crews: list[CrewView]
    hours: list[Hour]


def read_board(now: datetime, filters: BoardFilters) -> Board:
    midnight = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    completed = read_completed(since=midnight)
    stations = read_stations(now)
    suggestions = find_suggestions(filters, stations, now)
    listed = read_listed()
    roster = roster_of(view.crew for view in listed if view.crew and view.crew.active)
    tasks = find_tasks(filters, stations, now, roster)
    feeds = read_feeds()
    with_problem = list(Task.objects.with_problem().order_by("id")[:ALL_SHOWN])
    return Board(
        now,
        read_calls(now, stations, feeds, with_problem, roster),
        filters,
        read_options(filters, stations),
        summarize(stations, completed, roster, feeds, len(with_problem)),
        list(stations.values()),
        suggestions,
        tasks,
        summarize_crews(listed, read_holders(), completed, count_problems(midnight)),
        last_24_hours(now, timezone.get_current_timezone()),
    )


def summarize(
    stations: StationViews,
    completed: list[CompletedTask],
    roster: Roster,
    feeds: list[Feed],
    with_problem: int,
) -> Summary:
    return Summary(
        Suggestion.objects.count(),
        count_tasks(Task.objects.open()),
        stations.count(FillLevel.EMPTY),
        stations.count(FillLevel.FULL),
        stations.stockout_percent,
        sum(task.bikes for task in completed),
        roster.without_crew().count(),
        with_problem,
        feeds,
    )


def find_suggestions(
    filters: BoardFilters, stations: StationViews, now: datetime
) -> FoundSuggestions:
    matching = filters.suggestions(stations)
    if filters.state not in SUGGESTION_STATES:
        rows = read_suggestions(matching, stations, now, filters.limit)
        return FoundSuggestions(rows, matching.count())
    rows = read_suggestions(matching, stations, now, ALL_SHOWN)
    wanted = [row for row in rows if bool(row.fit.shortfalls) == (filters.state == WARNED)]
    return FoundSuggestions(wanted[: filters.limit], len(wanted), len(rows) < ALL_SHOWN)


def find_tasks(
    filters: BoardFilters, stations: StationViews, now: datetime, roster: Roster
) -> FoundTasks:
    matching = filters.tasks(stations, roster)
    rows = read_tasks(matching, stations, now, filters.limit, roster)
    return FoundTasks(rows, count_tasks(matching))


def read_options(filters: BoardFilters, stations: StationViews) -> FilterOptions:
    """The names to choose from, including a chosen one that has no rows any more."""
    sources = Suggestion.objects.order_by("source").values_list("source", flat=True).distinct()
    systems = {station.system for station in stations.values()}
    areas = {
        station.area for station in stations.values() if filters.system in ("", station.system)
    }
    return FilterOptions(
        sorted({*systems, filters.system} - {""}),
        sorted({*areas, filters.area} - {""}),
        sorted({*sources, filters.source} - {""}),
    )
