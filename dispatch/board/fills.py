"""How full a station is, in a word that its colour on the map also says."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ..stations import is_old, word_of


class Fill(StrEnum):
    EMPTY = "empty"
    LOW = "low"
    FINE = "fine"
    HIGH = "high"
    FULL = "full"
    CLOSED = "closed"
    UNKNOWN = "unknown"

    @property
    def word(self) -> str:
        return WORDS.get(self, self.value)


WORDS = {Fill.CLOSED: "out of service", Fill.UNKNOWN: "not known"}
# In which a customer finds no bike, or no dock.
STOCKOUTS = (Fill.EMPTY, Fill.FULL)
# From what needs nobody to what needs somebody first: drawn last, and so on top.
BY_NEED = [Fill.UNKNOWN, Fill.CLOSED, Fill.FINE, Fill.HIGH, Fill.LOW, Fill.FULL, Fill.EMPTY]


@dataclass(frozen=True)
class Limits:
    """Below `low` and above `high` percent of the working size is bikes; older is not known."""

    low: int
    high: int
    max_age: timedelta


@dataclass(frozen=True)
class Level:
    """What a feed said of a station. `as_of` None: it has never reported."""

    bikes: int
    docks: int
    in_service: bool
    as_of: datetime | None

    def fill(self, limits: Limits, now: datetime) -> Fill:
        if is_old(self.as_of, now, limits.max_age):
            return Fill.UNKNOWN
        low, high = limits.low, limits.high
        return Fill(word_of(self.bikes, self.docks, self.in_service, low=low, high=high))
