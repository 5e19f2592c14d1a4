"""Reads the documents of a system. Runs in threads, and does not use the database."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from django.conf import settings

from .. import services
from ..gbfs import (
    Access,
    BadFeed,
    Document,
    FeedName,
    Found,
    Validators,
    find_listed,
    read_information,
    read_status,
)
from ..models import FeedKind, StationFeed, System
from ..services import FeedReading, StatusResult, SyncResult, SystemLease
from ..values import header_fields

logger = logging.getLogger(__name__)

# Seconds for each document.
DEADLINE = 20.0
ABOUT = (FeedName.SYSTEM, FeedName.REGIONS)


Result = SyncResult | StatusResult | None


@dataclass(frozen=True)
class Reading:
    """One feed. `enter` records it; None: the server has no newer one. `error`: it was not read."""

    kind: FeedKind
    address: str
    enter: Callable[[], Result] | None = None
    ttl: timedelta | None = None
    error: BadFeed | None = None


def read_system(lease: SystemLease) -> list[Reading]:
    """Read the stations, if they are due, and the status."""
    if not lease.with_stations:
        return [read_feed(lease, FeedKind.STATUS)]
    stations = read_feed(lease, FeedKind.INFORMATION)
    if stations.error is not None and (stations.error.retry_after or is_new(lease)):
        # The server wants no request now, or the status would have no stations.
        return [stations]
    return [stations, read_feed(lease, FeedKind.STATUS)]


def is_new(lease: SystemLease) -> bool:
    feed = lease.feeds.get(FeedKind.INFORMATION)
    return feed is None or feed.read_at is None


def read_feed(lease: SystemLease, kind: FeedKind) -> Reading:
    address = lease.system.address
    try:
        found = find(lease, kind)
        if found.document is None:
            return Reading(kind, found.address)
        enter = entry(lease.system.name, kind, found, found.document)
        return Reading(kind, found.address, enter, found.document.ttl)
    except BadFeed as error:
        return Reading(kind, address, error=error)
    except Exception as error:
        # One feed must not stop all others.
        logger.exception("Could not read a feed of %s", lease.system)
        return Reading(kind, address, error=BadFeed(f"It could not be read: {error!r}"))


def find(lease: SystemLease, kind: FeedKind) -> Found:
    system = lease.system
    is_status = kind == FeedKind.STATUS
    return find_listed(
        system.address,
        FeedName.STATUS if is_status else FeedName.INFORMATION,
        validators_of(lease.feeds.get(kind)),
        access_to(system),
        wished=() if is_status else ABOUT,
        listed=listed_address(lease) if is_status else None,
        deadline=DEADLINE,
    )


def access_to(system: System) -> Access:
    """Operators of the console need not be those of the network: only public hosts are read."""
    headers = header_fields(system.headers)
    return Access([system.address], headers, settings.FEED_ALLOW_NETWORKS)


def validators_of(feed: StationFeed | None) -> Mapping[str, Validators]:
    return {} if feed is None else {feed.source: Validators(feed.etag, feed.last_modified)}


def listed_address(lease: SystemLease) -> str | None:
    """Return the status feed's address as last read. None: ask the discovery document again."""
    feed = lease.feeds.get(FeedKind.STATUS)
    if feed is None or feed.read_at is None or lease.with_stations or lease.system.failures:
        return None
    return feed.source if feed.source.startswith(("http://", "https://")) else None


def entry(system: str, kind: FeedKind, found: Found, document: Document) -> Callable[[], Result]:
    reading = FeedReading(found.address, found.validators)
    if kind == FeedKind.STATUS:
        status = read_status(document)
        return partial(services.record_status, status, system=system, reading=reading)
    information = read_information(document, found.regions)
    return partial(services.sync_stations, information, system=system, reading=reading)
