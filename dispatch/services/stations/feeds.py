"""The record of each feed: its last good reading and any trouble since."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from ...exceptions import Refusal
from ...gbfs import NO_VALIDATORS, Validators
from ...models import FeedKind, StationFeed

# Clocks differ. A feed with a time further ahead would make all later ones look old.
MOST_AHEAD = timedelta(minutes=10)
# The caches in front of a feed may hand out copies of different age, in turns.
LEAST_LAG, MOST_LAG = timedelta(minutes=5), timedelta(hours=1)


@dataclass(frozen=True)
class FeedReading:
    """The address that a feed was read from, and the validators that ask for a newer one."""

    source: str
    validators: Validators = NO_VALIDATORS


def find_known_feeds(kind: FeedKind, system: str | None) -> QuerySet[StationFeed]:
    """Return the feeds of one system, or of all for None."""
    feeds = StationFeed.objects.filter(kind=kind).order_by("system")
    return feeds if system is None else feeds.filter(system=system)


def is_behind(feed: StationFeed | None, made_at: datetime, ttl: timedelta) -> bool:
    """Return whether the feed is a cache's copy from before the last good reading.

    Refusal: it is from the future, or older than a copy in a cache can be.
    """
    if made_at > database_now() + MOST_AHEAD:
        raise Refusal(f"The feed's time, {made_at:%Y-%m-%d %H:%M:%S} UTC, is in the future.")
    if feed is None or feed.made_at is None:
        return False
    if made_at < feed.made_at - min(max(ttl, LEAST_LAG), MOST_LAG):
        raise Refusal(
            f"The feed is old: it is from {made_at:%Y-%m-%d %H:%M:%S} UTC, and the last one was "
            f"from {feed.made_at:%Y-%m-%d %H:%M:%S} UTC."
        )
    return made_at < feed.made_at


def database_now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    moment: datetime = now
    return moment


def note_read(
    system: str,
    kind: FeedKind,
    reading: FeedReading,
    made_at: datetime | None,
    trouble: str = "",
) -> None:
    """Record a good reading. `trouble`: a fault of its content that did not stop the reading."""
    StationFeed.objects.update_or_create(
        system=system,
        kind=kind,
        defaults={
            "source": reading.source,
            # While the content is wrong, "not modified" must not look like a good reading.
            "etag": "" if trouble else reading.validators.etag,
            "last_modified": "" if trouble else reading.validators.last_modified,
            "made_at": made_at,
            "read_at": Now(),
            "trouble": trouble,
            "troubled_at": Now() if trouble else None,
        },
    )


@transaction.atomic(durable=True)
def note_unmodified(system: str, kind: FeedKind) -> None:
    """Record that the server has no newer feed."""
    feeds = StationFeed.objects.filter(system=system, kind=kind)
    feeds.update(read_at=Now(), trouble="", troubled_at=None)


@transaction.atomic(durable=True)
def note_trouble(system: str, kind: FeedKind, source: str, sentence: str) -> None:
    """Mark the feed as in trouble. Its last good reading stays."""
    longest = StationFeed._meta.get_field("trouble").max_length or 0
    trouble = {"trouble": sentence[:longest], "troubled_at": Now()}
    StationFeed.objects.update_or_create(
        system=system,
        kind=kind,
        defaults=trouble,
        create_defaults={**trouble, "source": source},
    )
