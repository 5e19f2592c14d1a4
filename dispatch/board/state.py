"""All that the board shows, read in a number of queries that does not grow with the city."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from django.db.models.functions import Coalesce
from django.utils import timezone

from ..kpi import Hour, last_24_hours
from ..models import FeedKind, StationFeed
from .crews import Crew, read_done, read_holders, with_work
from .fills import Fill
from .moves import Counts, Job, Proposal, read_counts, read_jobs, read_proposals
from .picture import Picture, draw
from .stops import Stop, read_stops


class Feed(NamedTuple):
    system: str
    as_of: datetime | None
    trouble: str


@dataclass(frozen=True)
class Numbers:
    counts: Counts
    empty: int
    full: int
    stockout_percent: float | None
    bikes_today: int
    feeds: list[Feed]

    @property
    def feed(self) -> Feed | None:
        """The one whose state is oldest, one with a trouble before all others."""
        never = datetime.min.replace(tzinfo=timezone.get_default_timezone())
        return min(self.feeds, key=lambda f: (not f.trouble, f.as_of or never), default=None)


@dataclass(frozen=True)
class Board:
    now: datetime
    numbers: Numbers
    stops: list[Stop]
    picture: Picture
    proposals: list[Proposal]
    jobs: list[Job]
    crews: list[Crew]
    hours: list[Hour]


def read_board(now: datetime) -> Board:
    midnight = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    stops = read_stops(now)
    proposals, jobs = read_proposals(stops, now), read_jobs(stops, now)
    done = read_done(since=midnight)
    return Board(
        now,
        Numbers(
            read_counts(),
            stops.count(Fill.EMPTY),
            stops.count(Fill.FULL),
            stops.stockout_percent,
            sum(each.bikes for each in done),
            read_feeds(),
        ),
        sorted(stops.values(), key=lambda stop: (-stop.need, stop.name, stop.id)),
        draw(stops, proposals, jobs),
        proposals,
        jobs,
        with_work(read_holders(), done),
        last_24_hours(now, timezone.get_current_timezone()),
    )


def read_feeds() -> list[Feed]:
    """As of the feed's own time: a publisher that is stuck answers all the same."""
    feeds = StationFeed.objects.filter(kind=FeedKind.STATUS).order_by("system")
    as_of = Coalesce("made_at", "read_at")
    return [Feed(*row) for row in feeds.values_list("system", as_of, "trouble")]
