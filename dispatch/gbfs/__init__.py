"""Feeds of bike-share systems (GBFS 1.0 to 3.0), as they are rather than as the standard has them.

No database, settings or clock here; only `fetch` talks to the network.
"""

from .documents import BadFeed, Document, FeedName, read_document
from .fetch import LONGEST_SOURCE, NO_VALIDATORS, Answer, Validators, fetch
from .sources import Found, find_feed
from .station_rows import (
    BadRow,
    Information,
    StationRow,
    Status,
    StatusRow,
    read_information,
    read_status,
)

__all__ = [
    "LONGEST_SOURCE",
    "NO_VALIDATORS",
    "Answer",
    "BadFeed",
    "BadRow",
    "Document",
    "FeedName",
    "Found",
    "Information",
    "StationRow",
    "Status",
    "StatusRow",
    "Validators",
    "fetch",
    "find_feed",
    "read_document",
    "read_information",
    "read_status",
]
