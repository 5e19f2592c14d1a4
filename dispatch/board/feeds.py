"""The station feeds: the age of their data, and their failures."""

from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import OuterRef, Subquery
from django.db.models.functions import Coalesce

from ..models import FeedKind, StationFeed, StatusPoll


class Feed(NamedTuple):
    """`late_after`: data older than this has missed three polls. None: too few polls so far."""

    system: str
    as_of: datetime | None
    trouble: str
    late_after: timedelta | None


def read_feeds() -> list[Feed]:
    """The age counts from the feed's own timestamp: a stuck publisher still answers requests."""
    feeds = StationFeed.objects.watched().filter(kind=FeedKind.STATUS).order_by("system")
    as_of = Coalesce("made_at", "read_at")
    last = StatusPoll.objects.filter(system=OuterRef("system")).order_by("-at").values("at")
    three_polls = Subquery(last[:1]) - Subquery(last[3:4])
    return [Feed(*row) for row in feeds.values_list("system", as_of, "trouble", three_polls)]
