"""Reads a system's feed and enters it, for sync_stations and poll_status."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.conf import settings
from django.core.management.base import CommandParser

from .. import services
from ..exceptions import Refusal
from ..gbfs import (
    LONGEST_SOURCE,
    Document,
    FeedName,
    Found,
    Validators,
    find_feed,
    find_listed,
)
from ..gbfs.documents import LONGEST_SYSTEM
from ..gbfs.values import one_line
from ..models import FeedKind, Station, StationFeed, System
from ..polling.reading import access_to
from ..services import FeedReading

NAMES = {FeedKind.INFORMATION: FeedName.INFORMATION, FeedKind.STATUS: FeedName.STATUS}

R = TypeVar("R")


def add_feed_arguments(parser: CommandParser, kind: FeedKind) -> None:
    parser.add_argument(
        "sources",
        nargs="*",
        metavar="SOURCE",
        help=f"http(s) address or file of a gbfs.json or a {NAMES[kind]} feed; default: the "
        "address of the system in the console",
    )
    parser.add_argument("--system", help="the system's name here; default: the source's own id")


@dataclass(frozen=True)
class Entered(Generic[R]):
    """`result` None: the server has no newer feed. `found`: the documents that were read."""

    system: str
    result: R | None
    found: Found


def enter_feed(
    sources: Sequence[str],
    kind: FeedKind,
    system: str | None,
    enter: Callable[[Document, Found, str, FeedReading], R],
    wished: Collection[FeedName] = (),
) -> Entered[R]:
    """Read the feed outside any transaction, then `enter` it.

    `wished`: other documents about the system that `enter` can use.
    Refusal: the feed could not be read or was not entered. The last good state stays. If the
    system is known, the trouble is recorded with its feed.
    """
    check_arguments(sources, system)
    listed = None if sources else find_system(system)
    sources = [listed.address] if listed else sources
    feeds = list(services.find_known_feeds(kind, system))
    owner = system or only({feed.system for feed in feeds if feed.source in sources})
    address = sources[0]
    try:
        found = find(sources, kind, feeds, listed, with_system=system is None, wished=wished)
        address = found.address
        owner = name_system(found, kind, system, feeds)
        if found.document is None:
            services.note_unmodified(owner, kind)
            return Entered(owner, None, found)
        reading = FeedReading(address, found.validators)
        return Entered(owner, enter(found.document, found, owner, reading), found)
    except Refusal as refusal:
        if owner is not None:
            services.note_trouble(owner, kind, address, str(refusal))
        raise


def find_system(name: str | None) -> System:
    """Return the system in the console. Refusal: there is none of that name."""
    system = System.objects.filter(name=name).first()
    if system is None:
        raise Refusal("Name a SOURCE, or by --system a system in the console.")
    return system


def find(
    sources: Sequence[str],
    kind: FeedKind,
    feeds: Sequence[StationFeed],
    listed: System | None,
    *,
    with_system: bool,
    wished: Collection[FeedName],
) -> Found:
    """`listed`: the system in the console, with its headers and the rules for its address."""
    known = {feed.source: Validators(feed.etag, feed.last_modified) for feed in feeds}
    if listed is not None:
        address = listed.address
        return find_listed(address, NAMES[kind], known, access_to(listed), wished=wished)
    return find_feed(
        sources,
        NAMES[kind],
        known,
        with_system=with_system,
        wished=wished,
        headers=settings.STATION_FEED_HEADERS,
    )


def check_arguments(sources: Sequence[str], system: str | None) -> None:
    if system is not None and (not system or one_line(system, LONGEST_SYSTEM) != system):
        raise Refusal(f"A system's name is one line of at most {LONGEST_SYSTEM} characters.")
    if any(len(source) > LONGEST_SOURCE for source in sources):
        raise Refusal(f"A SOURCE has at most {LONGEST_SOURCE} characters.")


def name_system(
    found: Found, kind: FeedKind, system: str | None, feeds: Sequence[StationFeed]
) -> str:
    """Return the name from --system, from the source, or from the last reading of the address.

    A status may also belong to the only system there is. Refusal: none of these gives a name.
    """
    former = only({feed.system for feed in feeds if feed.source == found.address})
    name = system or found.system or former
    if name is None and kind == FeedKind.STATUS:
        systems = Station.objects.order_by("system").values_list("system", flat=True).distinct()
        name = only(set(systems))
    if name is None:
        raise Refusal("The source does not name its system. Give it a name with --system.")
    return name


def only(names: set[str]) -> str | None:
    return next(iter(names)) if len(names) == 1 else None
