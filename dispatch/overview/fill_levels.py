"""The fill level of a station, as one word that matches its colour on the map."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ..stations import is_old, label_of, word_of


class FillLevel(StrEnum):
    """Least urgent first: the map draws in this order, so urgent stations are on top."""

    UNKNOWN = "unknown"
    CLOSED = "closed"
    FINE = "fine"
    HIGH = "high"
    LOW = "low"
    FULL = "full"
    EMPTY = "empty"

    @property
    def label(self) -> str:
        return label_of(self.value)


STOCKOUTS = (FillLevel.EMPTY, FillLevel.FULL)
BY_URGENCY = list(FillLevel)


@dataclass(frozen=True)
class Thresholds:
    """`low` and `high` are percentages of bikes plus docks; older readings count as unknown."""

    low: int
    high: int
    max_age: timedelta


@dataclass(frozen=True)
class Reading:
    """A station's last status. None: the number of docks, or the time of the report, is unknown."""

    bikes: int
    docks: int | None
    in_service: bool
    as_of: datetime | None

    def level(self, limits: Thresholds, now: datetime) -> FillLevel:
        if is_old(self.as_of, now, limits.max_age):
            return FillLevel.UNKNOWN
        low, high = limits.low, limits.high
        return FillLevel(word_of(self.bikes, self.docks, self.in_service, low=low, high=high))
