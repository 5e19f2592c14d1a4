"""Everything on the board, read in a number of queries that does not grow with the city."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from django.db.models.functions import Coalesce
from django.utils import timezone

from ..kpi import Hour, last_24_hours
from ..models import FeedKind, StationFeed
from ..overview.fill_levels import FillLevel
from ..overview.moves import (
    Counts,
    OpenSuggestion,
    OpenTask,
    read_counts,
    read_suggestions,
    read_tasks,
)
from ..overview.station_views import StationView, read_stations
from .city_map import CityMap, draw_map
from .crews import Crew, read_completed, read_holders, summarize_crews


class Feed(NamedTuple):
    system: str
    as_of: datetime | None
    trouble: str


@dataclass(frozen=True)
class Summary:
    counts: Counts
    empty: int
    full: int
    stockout_percent: float | None
    bikes_today: int
    feeds: list[Feed]

    @property
    def feed(self) -> Feed | None:
        """The feed that needs attention most: a failing one, else the one with the oldest data."""
        never = datetime.min.replace(tzinfo=timezone.get_default_timezone())
        return min(self.feeds, key=lambda f: (not f.trouble, f.as_of or never), default=None)


@dataclass(frozen=True)
class Board:
    now: datetime
    summary: Summary
    stations: list[StationView]
    map: CityMap
    suggestions: list[OpenSuggestion]
    tasks: list[OpenTask]
    crews: list[Crew]
    hours: list[Hour]


def read_board(now: datetime) -> Board:
    midnight = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    stations = read_stations(now)
    suggestions, tasks = read_suggestions(stations, now), read_tasks(stations, now)
    completed = read_completed(since=midnight)
    return Board(
        now,
        Summary(
            read_counts(),
            stations.count(FillLevel.EMPTY),
            stations.count(FillLevel.FULL),
            stations.stockout_percent,
            sum(task.bikes for task in completed),
            read_feeds(),
        ),
        sorted(stations.values(), key=lambda each: (-each.urgency, each.name, each.id)),
        draw_map(stations, suggestions, tasks),
        suggestions,
        tasks,
        summarize_crews(read_holders(), completed),
        last_24_hours(now, timezone.get_current_timezone()),
    )


def read_feeds() -> list[Feed]:
    """Age is taken from the feed's own timestamp: a stuck publisher still answers requests."""
    feeds = StationFeed.objects.filter(kind=FeedKind.STATUS).order_by("system")
    as_of = Coalesce("made_at", "read_at")
    return [Feed(*row) for row in feeds.values_list("system", as_of, "trouble")]
