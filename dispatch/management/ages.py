"""Ages as arguments of commands."""

import re
from argparse import ArgumentTypeError
from datetime import timedelta

UNITS = {"d": "days", "h": "hours", "m": "minutes"}


def to_age(text: str) -> timedelta:
    parts = re.fullmatch(r"([0-9]{1,6})([dhm])", text)
    if parts is None:
        raise ArgumentTypeError(f"{text!r} is not an age like 90d, 36h or 1500m")
    return timedelta(**{UNITS[parts[2]]: int(parts[1])})
