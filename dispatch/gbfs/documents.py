"""The envelope that all feeds share, and the discovery document that lists them."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from ..exceptions import Refusal
from .values import count, identifier, moment, one_line

LONGEST_SYSTEM = LONGEST_REGION = 100
LONGEST_TROUBLE = 500
# Bounds the memory of a parsed document: 20 MB of empty objects would take 1.2 GB.
MOST_VALUES = 2_000_000


class BadFeed(Refusal):
    """A document is not a feed, or is mostly unreadable. The message is one printable line.

    `retry_after`: seconds to wait, as requested by the server, or 0.
    """

    def __init__(self, why: str, retry_after: float = 0) -> None:
        super().__init__(one_line(why, LONGEST_TROUBLE))
        self.retry_after = retry_after


class FeedName(StrEnum):
    DISCOVERY = "gbfs"
    SYSTEM = "system_information"
    INFORMATION = "station_information"
    STATUS = "station_status"
    REGIONS = "system_regions"


@dataclass(frozen=True)
class Document:
    """`name` None: no kind of feed that is read here. `made_at`: the feed's own time, if given.
    `ttl`: the time that caches may keep it."""

    name: FeedName | None
    made_at: datetime | None
    data: dict[str, Any]
    ttl: timedelta = timedelta()

    def is_feed(self, name: FeedName) -> bool:
        """An empty list of stations may be either kind."""
        of_stations = (FeedName.INFORMATION, FeedName.STATUS)
        is_empty = self.data.get("stations") == []
        return self.name == name or (is_empty and name in of_stations)

    @property
    def stations(self) -> list[Any]:
        rows = self.data.get("stations")
        return rows if isinstance(rows, list) else []

    @property
    def system(self) -> str:
        return one_line(str(self.data.get("system_id") or ""), LONGEST_SYSTEM)

    @property
    def time_zone(self) -> str:
        return one_line(self.data.get("timezone"), LONGEST_SYSTEM)

    @property
    def regions(self) -> dict[str, str]:
        """The name of each region by its id. Unnamed ones are left out."""
        listed = self.data.get("regions")
        rows = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
        names = {
            identifier(r.get("region_id")): one_line(r.get("name"), LONGEST_REGION) for r in rows
        }
        return {key: name for key, name in names.items() if key and name}

    def address_of(self, name: FeedName) -> str | None:
        """Return the feed's address as this discovery document lists it."""
        for feed in feeds_listed(self.data):
            if isinstance(feed, dict) and feed.get("name") == name:
                address = feed.get("url")
                return address if isinstance(address, str) else None
        return None


def read_document(content: bytes) -> Document:
    if sum(map(content.count, (b",", b"{", b"["))) > MOST_VALUES:
        raise BadFeed(f"It has more than {MOST_VALUES:,} values.")
    try:
        whole = json.loads(content)
    except (ValueError, RecursionError):
        raise BadFeed("It is not JSON.") from None
    data = whole.get("data") if isinstance(whole, dict) else None
    if not isinstance(data, dict):
        raise BadFeed("It is not a feed: it has no `data`.")
    ttl = timedelta(seconds=count(whole.get("ttl")) or 0)
    return Document(name_of(data), moment(whole.get("last_updated")), data, ttl)


def name_of(data: dict[str, Any]) -> FeedName | None:
    """Judge a document by its content: a file may have any name."""
    if isinstance(data.get("stations"), list):
        keys = {key for row in data["stations"] if isinstance(row, dict) for key in row}
        counts = any(key.startswith("num_") for key in keys) and "lat" not in keys
        return FeedName.STATUS if counts else FeedName.INFORMATION
    if data.get("system_id"):
        return FeedName.SYSTEM
    if isinstance(data.get("regions"), list):
        return FeedName.REGIONS
    return FeedName.DISCOVERY if feeds_listed(data) else None


def feeds_listed(data: dict[str, Any]) -> list[Any]:
    """GBFS 3.0 has one list; earlier versions have one for each language."""
    lists = [data, data.get("en"), *data.values()]
    for each in lists:
        feeds = each.get("feeds") if isinstance(each, dict) else None
        if isinstance(feeds, list) and feeds:
            return feeds
    return []
