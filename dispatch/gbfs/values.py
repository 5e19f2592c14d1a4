"""Single values of a feed, in all the shapes that real ones give them."""

import math
from datetime import UTC, datetime
from typing import Any

# 86400, one day after the epoch, is how some feeds say never.
FIRST_MOMENT = datetime(2000, 1, 1, tzinfo=UTC)
LAST_YEAR = 9000
LONGEST_ID = 200
# Sums of what is kept must not leave the integers of the database.
MOST_COUNTED = 100_000


def identifier(value: Any) -> str | None:
    """An id as text: feeds give strings or numbers. None: there is none that can be kept."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        text = str(value).strip()
    except ValueError:
        # Python writes no number of more than 4,300 digits.
        return None
    return text if text.isprintable() and 0 < len(text) <= LONGEST_ID else None


def one_line(value: Any, longest: int) -> str:
    """Printable text, cut to size; of texts in several languages the English or else the first."""
    if isinstance(value, list):
        value = in_english(value)
    if not isinstance(value, str):
        return ""
    # Far longer than what is kept, it need not be looked at.
    text = "".join(c if c.isprintable() else " " for c in value[: 10 * longest])
    text = " ".join(text.split())
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def in_english(texts: list[Any]) -> Any:
    """Of 3.0's list of {text, language}."""
    told = [each for each in texts if isinstance(each, dict) and isinstance(each.get("text"), str)]
    english = [each for each in told if str(each.get("language", "")).lower().startswith("en")]
    return (english or told or [{}])[0].get("text")


def count(value: Any) -> int | None:
    """A whole number from zero up that a station can have, or None."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 10:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= MOST_COUNTED else None


def truth(value: Any) -> bool:
    """What is left out holds: early feeds name only what is unusual."""
    if isinstance(value, str):
        return value.strip().lower() not in ("0", "false")
    return value is None or bool(value)


def degrees(value: Any, most: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and abs(number) <= most else None


def moment(value: Any) -> datetime | None:
    """Seconds since 1970, or RFC 3339 as in 3.0. None: never, or no time that there can be."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        if isinstance(value, str) and not value.strip().isdigit():
            time = datetime.fromisoformat(value.strip())
        else:
            time = datetime.fromtimestamp(float(value), UTC)
        if time.tzinfo is None or time < FIRST_MOMENT or time.year >= LAST_YEAR:
            return None
        return time.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
