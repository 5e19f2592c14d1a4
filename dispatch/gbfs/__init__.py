"""Reads bike-share feeds (GBFS 1.0 to 3.0) as real systems publish them, faults included.

Nothing here uses the database or the clock; only `fetch` uses the network.
"""

from .access import Access
from .documents import BadFeed, Document, FeedName, read_document
from .fetch import LONGEST_SOURCE, NO_VALIDATORS, Answer, Validators, fetch
from .sources import Found, find_feed, find_listed
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
    "Access",
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
    "find_listed",
    "read_document",
    "read_information",
    "read_status",
]
