"""What is remembered of a system's feeds: the last good reading, and what is wrong since."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from ...exceptions import Refusal
from ...gbfs import NO_VALIDATORS, Validators
from ...models import FeedKind, StationFeed

# Clocks differ; a feed from further ahead would make all that follow it old.
MOST_AHEAD = timedelta(minutes=10)


@dataclass(frozen=True)
class FeedReading:
    """Where a feed was read, and what to ask with whether there is a newer one."""

    source: str
    validators: Validators = NO_VALIDATORS


def find_known_feeds(kind: FeedKind, system: str | None) -> QuerySet[StationFeed]:
    """Of this system, or of all."""
    feeds = StationFeed.objects.filter(kind=kind).order_by("system")
    return feeds if system is None else feeds.filter(system=system)


def check_age(feed: StationFeed | None, made_at: datetime) -> None:
    """Refuse what is older than the last good reading, or from the future."""
    if made_at > database_now() + MOST_AHEAD:
        raise Refusal(f"The feed's time, {made_at:%Y-%m-%d %H:%M:%S} UTC, is in the future.")
    if feed is not None and feed.made_at is not None and made_at < feed.made_at:
        raise Refusal(
            f"The feed is old: it is of {made_at:%Y-%m-%d %H:%M:%S} UTC, and the last one was of "
            f"{feed.made_at:%Y-%m-%d %H:%M:%S} UTC."
        )


def database_now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    moment: datetime = now
    return moment


def note_read(system: str, kind: FeedKind, reading: FeedReading, made_at: datetime | None) -> None:
    StationFeed.objects.update_or_create(
        system=system,
        kind=kind,
        defaults={
            "source": reading.source,
            "etag": reading.validators.etag,
            "last_modified": reading.validators.last_modified,
            "made_at": made_at,
            "read_at": Now(),
            "trouble": "",
            "troubled_at": None,
        },
    )


@transaction.atomic(durable=True)
def note_unmodified(system: str, kind: FeedKind) -> None:
    """The server says that there is nothing newer."""
    feeds = StationFeed.objects.filter(system=system, kind=kind)
    feeds.update(read_at=Now(), trouble="", troubled_at=None)


@transaction.atomic(durable=True)
def note_trouble(system: str, kind: FeedKind, source: str, sentence: str) -> None:
    """What was last read stays as it is, and is now marked."""
    longest = StationFeed._meta.get_field("trouble").max_length or 0
    trouble = {"trouble": sentence[:longest], "troubled_at": Now()}
    StationFeed.objects.update_or_create(
        system=system,
        kind=kind,
        defaults=trouble,
        create_defaults={**trouble, "source": source},
    )
