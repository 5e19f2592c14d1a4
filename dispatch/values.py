"""Reads values as people and their tools write them, in files, settings and the API."""

import json
import re
from typing import Any

# Many tools write 5 as 5.0. "1.000" is refused, because it may mean a thousand.
WHOLE_NUMBER = re.compile(r"(-?[0-9]{1,20})(?:\.(?!000\Z)0{1,20})?")
# Above this, a float may represent several whole numbers.
INEXACT = 2.0**53
# Django accepts many more formats, and assumes the server's time zone where none is given.
RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:?\d\d)", re.ASCII
)

HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


def whole_number(value: Any) -> int:
    """Read 5, 5.0, "5" or "5.0". ValueError: anything else, such as true or other digits."""
    if type(value) is int:
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < INEXACT:
        return int(value)
    if isinstance(value, str) and (found := WHOLE_NUMBER.fullmatch(value)):
        return int(found[1])
    raise ValueError("not a whole number")


def time_with_zone(value: Any) -> str:
    """Return the text in upper case. ValueError: it is not a time of RFC 3339 with a zone."""
    if isinstance(value, str) and RFC_3339.fullmatch(value):
        return value.upper()
    raise ValueError("not a time like 2026-05-04T08:30:00Z with a time zone")


def header_fields(text: str) -> dict[str, str]:
    """Return HTTP headers from lines like `Name: value` or a JSON object.

    ValueError: text that is neither. Headers may be secret: the message does not repeat them.
    """
    stripped = text.strip()
    try:
        pairs = (
            list(json.loads(stripped).items())
            if stripped.startswith("{")
            else [line.split(":", 1) for line in stripped.splitlines() if line.strip()]
        )
        fields = {key.strip(): value.strip() for key, value in pairs}
    except (AttributeError, ValueError):
        fields = {"": ""}
    if not all(
        HEADER_NAME.fullmatch(key) and HEADER_VALUE.fullmatch(value)
        for key, value in fields.items()
    ):
        raise ValueError('must be lines like "Name: value" or a JSON object of texts')
    return fields
