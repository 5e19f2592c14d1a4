"""Bodies of phones' requests: lenient about numbers and missing values, otherwise strict."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from ..api.fields import INT8_MAX, StrictCharField, StrictIntegerField
from ..models import INT4_MAX, TEXT_LENGTH, Problem, ReportKind
from ..texts import printable
from .errors import CrewRefusal

VERSION = 1
TAPPED_AT_LENGTH = 100
# Far more than any clock is wrong by. JSON could not give larger numbers back.
LARGEST_AGE = 1e15
# More than a phone remembers.
MOST_TASKS = 100


class UuidField(serializers.UUIDField):
    """A UUID as text; DRF also accepts numbers."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            self.fail("invalid", value=data)
        return super().to_internal_value(data)


class AgeField(serializers.Field[Any, Any, Any, Any]):
    """Seconds by a phone's clock. None: it sent something else. A wrong clock refuses no report."""

    def to_internal_value(self, data: Any) -> float | None:
        try:
            age = None if isinstance(data, bool) else float(data)
        except (TypeError, ValueError, OverflowError):
            return None
        return age if age is not None and abs(age) < LARGEST_AGE else None


class RawTimeField(serializers.Field[Any, Any, Any, Any]):
    """The time by a phone's clock, kept as it is for people to read."""

    def to_internal_value(self, data: Any) -> str | None:
        text = "" if isinstance(data, bool | list | dict) else str(data)
        return printable(text)[:TAPPED_AT_LENGTH].strip() or None


class TextField(StrictCharField):
    def __init__(self) -> None:
        super().__init__(
            required=False, allow_null=True, allow_blank=True, default="", max_length=TEXT_LENGTH
        )


class ReportSerializer(serializers.Serializer[Any]):
    id = UuidField()
    kind = serializers.ChoiceField(ReportKind.choices)
    task_id = StrictIntegerField(min_value=1, max_value=INT8_MAX)
    attempt = StrictIntegerField(min_value=1, max_value=INT4_MAX)
    age = AgeField(required=False, allow_null=True, default=None)
    tapped_at = RawTimeField(required=False, allow_null=True, default=None)
    moved_qty = StrictIntegerField(
        required=False, allow_null=True, default=None, min_value=0, max_value=INT4_MAX
    )
    note = TextField()
    problems = serializers.ListField(
        child=serializers.ChoiceField(Problem.choices),
        required=False,
        allow_null=True,
        default=list,
        max_length=len(Problem),
    )
    reason = TextField()

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("v") not in (VERSION, str(VERSION)):
            raise CrewRefusal(400, "update", "This page is too old or too new. Reload it.")
        return super().to_internal_value(data)

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        values = {name: value for name, value in data.items() if value is not None}
        values["problems"] = tuple(dict.fromkeys(values.get("problems", ())))
        is_empty = not (values["problems"] or values["note"])
        if data["kind"] == ReportKind.PROBLEM and is_empty:
            raise serializers.ValidationError({"problems": ["Name a problem, or write a note."]})
        return values


class SeenSerializer(serializers.Serializer[Any]):
    task_id = StrictIntegerField(min_value=1, max_value=INT8_MAX)
    attempt = StrictIntegerField(min_value=1, max_value=INT4_MAX)
    message_id = StrictIntegerField(
        required=False, allow_null=True, default=None, min_value=1, max_value=INT8_MAX
    )


class StateSerializer(serializers.Serializer[Any]):
    """`tasks`: ids of the tasks that the phone remembers, such as 12,14."""

    tasks = StrictCharField(required=False, allow_blank=True, default="")

    def validate_tasks(self, text: str) -> list[int]:
        parts = [part for part in text.split(",") if part.strip()]
        if len(parts) > MOST_TASKS:
            raise serializers.ValidationError(f"At most {MOST_TASKS} tasks.")
        number = StrictIntegerField(min_value=1, max_value=INT8_MAX)
        return list(dict.fromkeys(number.run_validation(part.strip()) for part in parts))
