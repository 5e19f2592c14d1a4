"""The row of a job's input: one suggested move, and the checks of its values."""

from datetime import datetime, timedelta
from typing import Annotated

import msgspec

from ..models import INT4_MAX, PRIORITY_MAX, PRIORITY_MIN, TEXT_LENGTH

EXPIRY_YEARS = range(2001, 8999)
# PostgreSQL rejects this offset and larger ones.
OFFSET_LIMIT = timedelta(hours=16)
StationId = Annotated[int, msgspec.Meta(ge=0, le=INT4_MAX)]


class SuggestionRow(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One suggested move as an ML job writes it.

    `qty`: bikes. `expires_at`: with a time zone; None: it does not expire.

    Rows that msgspec decodes or converts are checked in full. The constructor does not check types
    and ranges; PostgreSQL does.
    """

    from_station_id: StationId
    to_station_id: StationId
    qty: Annotated[int, msgspec.Meta(ge=1, le=INT4_MAX)]
    reason: Annotated[str, msgspec.Meta(max_length=TEXT_LENGTH)]
    priority: Annotated[int, msgspec.Meta(ge=PRIORITY_MIN, le=PRIORITY_MAX)] = 0
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None

    def __post_init__(self) -> None:
        check_stations(self.from_station_id, self.to_station_id)
        check_reason(self.reason)
        check_expiry(self.expires_at)


def check_stations(source: int, target: int) -> None:
    if source == target:
        raise ValueError("from_station_id and to_station_id must differ")


def check_reason(reason: str) -> None:
    if not reason.strip():
        raise ValueError("reason: must not be empty")
    if not is_storable(reason):
        raise ValueError("reason: cannot store a NUL or half a surrogate pair")


def check_expiry(expires_at: datetime | None) -> None:
    if expires_at is None:
        return
    if expires_at.tzinfo is None:
        raise ValueError("expires_at: needs a time zone")
    if abs(expires_at.utcoffset() or timedelta()) >= OFFSET_LIMIT:
        raise ValueError("expires_at: the time zone's offset must be less than 16 hours")
    if expires_at.year not in EXPIRY_YEARS:
        first, last = EXPIRY_YEARS[0], EXPIRY_YEARS[-1]
        raise ValueError(f"expires_at: the year must be from {first} to {last}")


def is_storable(text: str) -> bool:
    """Return True if PostgreSQL can store the text: no NUL and no half of a surrogate pair."""
    return "\0" not in text and (text.isascii() or not any("\ud800" <= c < "\ue000" for c in text))
