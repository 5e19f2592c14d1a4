"""What the API is sent: bodies, and query parameters that are as strict."""

from datetime import datetime
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from ...models import (
    INT4_MAX,
    PRIORITY_MAX,
    PRIORITY_MIN,
    EventKind,
    TaskStatus,
)
from ..fields import (
    INT8_MAX,
    LONGEST_TEXT,
    ReasonField,
    StrictBooleanField,
    StrictCharField,
    StrictDateTimeField,
    StrictIntegerField,
    WorkerIdField,
    one_line,
)


class ApproveSerializer(serializers.Serializer[None]):
    suggestion_id = StrictIntegerField(min_value=1, max_value=INT8_MAX)
    as_much_as_fits = StrictBooleanField(
        default=False,
        help_text="Only as many of the bikes as the two stations can give and take.",
    )


class ClaimSerializer(serializers.Serializer[None]):
    worker_id = WorkerIdField()


class HolderSerializer(serializers.Serializer[None]):
    worker_id = WorkerIdField(
        required=False,
        allow_null=True,
        default=None,
        help_text="Who says so. Another one than the holder is refused; without it, no check.",
    )


class ReleaseSerializer(HolderSerializer):
    reason = ReasonField(help_text="Why the worker gives it back; the dispatcher reads it.")


class ReportSerializer(HolderSerializer):
    moved_qty = StrictIntegerField(
        required=False,
        allow_null=True,
        default=None,
        min_value=0,
        max_value=INT4_MAX,
        help_text="Bikes really moved, at most the task's `qty`. Without it: all of them.",
    )
    note = StrictCharField(
        required=False, allow_null=True, allow_blank=True, default="", max_length=LONGEST_TEXT
    )
    completed_at = StrictDateTimeField(
        required=False,
        allow_null=True,
        default=None,
        help_text="When it really was, if it is reported later; not before the claim.",
    )

    def validate_note(self, note: str | None) -> str:
        return note or ""


class CancelSerializer(serializers.Serializer[None]):
    reason = ReasonField()


class ReassignSerializer(serializers.Serializer[None]):
    worker_id = WorkerIdField()
    reason = ReasonField()


class ProposalSerializer(serializers.Serializer[None]):
    from_station_id = StrictIntegerField(min_value=0, max_value=INT4_MAX)
    to_station_id = StrictIntegerField(min_value=0, max_value=INT4_MAX)
    qty = StrictIntegerField(min_value=1, max_value=INT4_MAX)
    reason = ReasonField()
    priority = StrictIntegerField(
        required=False, default=0, min_value=PRIORITY_MIN, max_value=PRIORITY_MAX
    )
    expires_at = StrictDateTimeField(
        required=False,
        allow_null=True,
        default=None,
        help_text="After this it can no longer be approved. Null: never.",
    )
    source = StrictCharField(  # type: ignore[assignment]  # not the argument of Field
        required=False,
        default="",
        allow_blank=True,
        max_length=100,
        validators=[one_line],
        help_text="The job that proposes it: the same in all rows of a request.",
    )

    def validate_expires_at(self, expires_at: datetime | None) -> datetime | None:
        if expires_at is not None and not 2000 < expires_at.year < 8999:
            raise serializers.ValidationError("The year must be from 2001 to 8998.")
        return expires_at

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        if data["from_station_id"] == data["to_station_id"]:
            raise serializers.ValidationError({"to_station_id": ["The two stations must differ."]})
        return data


class RejectSerializer(serializers.Serializer[None]):
    reason = ReasonField(help_text="The team behind the job that proposed it reads this.")


class PrioritySerializer(serializers.Serializer[None]):
    priority = StrictIntegerField(min_value=PRIORITY_MIN, max_value=PRIORITY_MAX)


# Filters: query parameters, strict as bodies are


class TaskFilterSerializer(serializers.Serializer[None]):
    status = serializers.ChoiceField(TaskStatus.choices, required=False)
    worker_id = WorkerIdField(required=False, help_text="Tasks of this worker.")
    station_id = StrictIntegerField(
        required=False, min_value=0, max_value=INT4_MAX, help_text="Tasks from or to this station."
    )
    created_before = StrictDateTimeField(required=False)
    created_after = StrictDateTimeField(required=False)
    overdue = serializers.ChoiceField(
        ["true"], required=False, help_text="On the way for TASK_OVERDUE_MINUTES or longer."
    )


class EventFilterSerializer(serializers.Serializer[None]):
    kind = serializers.ChoiceField(EventKind.choices, required=False)
    source = StrictCharField(  # type: ignore[assignment]  # not the argument of Field
        required=False, max_length=100, help_text="What became of this job's suggestions."
    )
    suggestion_id = StrictIntegerField(required=False, min_value=1, max_value=INT8_MAX)
    after_id = StrictIntegerField(
        required=False, min_value=0, max_value=INT8_MAX, help_text="Only events behind this one."
    )


def valid_query(request: Request, filters: type[serializers.Serializer[None]]) -> dict[str, Any]:
    """The query parameters that the serializer names; 400 if one is wrong or there twice."""
    for name, values in request.query_params.lists():
        if len(values) > 1:
            raise serializers.ValidationError({name: ["Given more than once."]})
    # A plain dict: of a form's data, empty values would pass for missing ones.
    return valid(filters, request.query_params.dict())


def valid(kind: type[serializers.Serializer[None]], data: Any) -> dict[str, Any]:
    """Return the validated data. ValidationError: something in it is wrong."""
    serializer = kind(data=data)
    serializer.is_valid(raise_exception=True)
    validated: dict[str, Any] = serializer.validated_data
    return validated
