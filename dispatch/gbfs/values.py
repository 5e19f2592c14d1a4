"""Reads single values of a feed in every form that real feeds use."""

import math
import re
from datetime import UTC, datetime
from typing import Any

from ..texts import is_printable, printable

# Some feeds say 86400, one day after the epoch, for never.
FIRST_MOMENT = datetime(2000, 1, 1, tzinfo=UTC)
LAST_YEAR = 9000
LONGEST_ID = 200
# Sums of counts must fit an integer column.
MOST_COUNTED = 100_000
# A larger time is in milliseconds: in seconds it would be in the year 5138.
LARGEST_SECONDS = 1e11


def identifier(value: Any) -> str | None:
    """Return a text or number as text. None: not an id that can be stored."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        text = str(value).strip()
    except ValueError:
        # Python does not print integers of more than 4,300 digits.
        return None
    return text if is_printable(text) and 0 < len(text) <= LONGEST_ID else None


def one_line(value: Any, longest: int) -> str:
    """Return printable text, cut to size. Of several languages, take English or else the first."""
    if isinstance(value, list):
        value = in_english(value)
    if not isinstance(value, str):
        return ""
    # Do not clean megabytes for a few characters.
    text = printable(value[: 10 * longest], instead=" ")
    text = " ".join(text.split())
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def in_english(texts: list[Any]) -> Any:
    """Read GBFS 3.0's list of {text, language}."""
    valid = [each for each in texts if isinstance(each, dict) and isinstance(each.get("text"), str)]
    english = [each for each in valid if str(each.get("language", "")).lower().startswith("en")]
    return (english or valid or [{}])[0].get("text")


def count(value: Any) -> int | None:
    """Return a whole number of bikes or docks. None: not a number that a station can have.

    A negative one is 0: feeds report more bikes than docks as negative free docks.
    """
    if isinstance(value, str) and re.fullmatch("-?[0-9]{1,10}", value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return max(0, value) if abs(value) <= MOST_COUNTED else None


def truth(value: Any) -> bool:
    """Read a flag. A missing one is true: early feeds list only exceptions."""
    if isinstance(value, str):
        return value.strip().lower() not in ("0", "false")
    return value is None or bool(value)


def degrees(value: Any, most: float) -> float | None:
    """Return an angle from -`most` to `most`. None: not a number in that range."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and abs(number) <= most else None


def moment(value: Any) -> datetime | None:
    """Read seconds or milliseconds since 1970, or RFC 3339 as in GBFS 3.0.

    None: never, or not a valid time. A time without a zone is not valid.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        if isinstance(value, str) and not value.strip().isdigit():
            time = datetime.fromisoformat(value.strip())
        else:
            number = float(value)
            seconds = number / 1000 if number > LARGEST_SECONDS else number
            time = datetime.fromtimestamp(seconds, UTC)
        if time.tzinfo is None or time < FIRST_MOMENT or time.year >= LAST_YEAR:
            return None
        return time.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
