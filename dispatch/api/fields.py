import re
from datetime import datetime
from typing import Any

from rest_framework import serializers

from ..models import TEXT_LENGTH, WORKER_ID_LENGTH
from ..texts import is_printable
from ..values import time_with_zone, whole_number

INT8_MAX = 9_223_372_036_854_775_807
SPACE_OF_OFFSET = re.compile(r" (?=\d\d:\d\d\Z)", re.ASCII)


def one_line(text: str) -> None:
    if not is_printable(text):
        raise serializers.ValidationError("Must be one line of printable characters.")


class StrictIntegerField(serializers.IntegerField):
    """A whole number in any form that files may have it, too; DRF also accepts "5 "."""

    def to_internal_value(self, data: Any) -> int:
        try:
            return whole_number(data)
        except ValueError:
            self.fail("invalid")


class StrictBooleanField(serializers.BooleanField):
    """true or false, in JSON or as text from a form; DRF also accepts "y", 1 and "on"."""

    def to_internal_value(self, data: Any) -> bool:
        if data in ("true", "false"):
            return bool(data == "true")
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class StrictCharField(serializers.CharField):
    """A string; DRF also accepts numbers, which turned 1e400 into the worker "inf"."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictDateTimeField(serializers.DateTimeField):
    """RFC 3339 with a time zone."""

    FORMAT = "Must be like 2026-05-04T08:30:00Z, with a time zone."
    # DRF names a wrong date or offset, such as a second 60, "invalid".
    default_error_messages = {"format": FORMAT, "invalid": FORMAT}

    def to_internal_value(self, data: Any) -> datetime:
        try:
            text = time_with_zone(data)
        except ValueError:
            self.fail("format")
        return super().to_internal_value(text)


class QueryDateTimeField(StrictDateTimeField):
    """A time in a query, where the `+` of its offset arrives as a space unless it is escaped."""

    def to_internal_value(self, data: Any) -> datetime:
        if isinstance(data, str):
            data = SPACE_OF_OFFSET.sub("+", data)
        return super().to_internal_value(data)


class ReportedTimeField(serializers.DateTimeField):
    """A time by a crew's clock, unchecked: it may lack a zone, or be one that cannot be stored."""

    default_error_messages = {"format": "Must be like 2026-05-04T08:30:00Z."}

    def to_internal_value(self, data: Any) -> datetime:
        try:
            return datetime.fromisoformat(data.upper())
        except (AttributeError, ValueError):
            self.fail("format")


class WorkerIdField(StrictCharField):
    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("help_text", "The crew, by any name that you choose.")
        super().__init__(max_length=WORKER_ID_LENGTH, validators=[one_line], **kwargs)


class ReasonField(StrictCharField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=TEXT_LENGTH, **kwargs)
