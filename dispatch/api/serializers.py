from datetime import datetime
from typing import Any, TypeVar

from django.db import models
from drf_spectacular.utils import inline_serializer
from rest_framework import serializers
from rest_framework.request import Request

from ..models import (
    PRIORITY_MAX,
    PRIORITY_MIN,
    EventKind,
    Station,
    Suggestion,
    Task,
    TaskEvent,
    TaskStatus,
)
from ..services import Outcome, Proposal
from .fields import (
    INT4_MAX,
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

M = TypeVar("M", bound=models.Model)

# Answers


class RowSerializer(serializers.ModelSerializer[M]):
    """A row's columns as they are; times are UTC, as the database gives them.

    Its fields are for the schema alone: to build them for each answer took half as long again
    as a whole claim (docs/performance.md).
    """

    def to_representation(self, instance: M) -> dict[str, Any]:
        return {name: getattr(instance, name) for name in self.Meta.fields}


class SuggestionSerializer(RowSerializer[Suggestion]):
    class Meta:
        model = Suggestion
        fields = ["id", "from_station_id", "to_station_id", "qty", "reason"]
        read_only_fields = fields


class PrioritizedSuggestionSerializer(RowSerializer[Suggestion]):
    class Meta:
        model = Suggestion
        fields = [*SuggestionSerializer.Meta.fields, "priority", "source", "expires_at"]
        read_only_fields = fields


class TaskSerializer(RowSerializer[Task]):
    """As the contract has it, and no field more."""

    class Meta:
        model = Task
        fields = [
            "id",
            "from_station_id",
            "to_station_id",
            "qty",
            "reason",
            "status",
            "worker_id",
            "created_at",
        ]
        read_only_fields = fields


class TaskInFullSerializer(RowSerializer[Task]):
    class Meta:
        model = Task
        fields = [
            *TaskSerializer.Meta.fields,
            "priority",
            "source",
            "suggestion_id",
            "attempt",
            "assigned_at",
            "lease_expires_at",
            "completed_at",
            "reported_completed_at",
            "moved_qty",
            "note",
            "cancelled_at",
        ]
        read_only_fields = fields


class EventSerializer(RowSerializer[TaskEvent]):
    details = serializers.DictField(
        read_only=True, help_text="What else there is to say: depends on `kind`."
    )

    class Meta:
        model = TaskEvent
        fields = [
            "id",
            "at",
            "kind",
            "task_id",
            "suggestion_id",
            "attempt",
            "worker_id",
            "actor",
            "source",
            "details",
        ]
        read_only_fields = fields


STATUS_FIELDS = ["bikes", "docks", "bikes_disabled", "docks_disabled", "in_service", "as_of"]


class StationSerializer(RowSerializer[Station]):
    """With its latest status; null where there is none."""

    bikes = serializers.IntegerField(allow_null=True)
    docks = serializers.IntegerField(allow_null=True)
    bikes_disabled = serializers.IntegerField(allow_null=True)
    docks_disabled = serializers.IntegerField(allow_null=True)
    in_service = serializers.BooleanField(allow_null=True)
    as_of = serializers.DateTimeField(
        allow_null=True,
        help_text="When the station last reported; null: never, or nothing is known.",
    )

    class Meta:
        model = Station
        fields = [
            "id",
            "system",
            "name",
            "short_name",
            "lat",
            "lon",
            "capacity",
            "region",
            "gone_at",
            *STATUS_FIELDS,
        ]
        read_only_fields = fields

    def to_representation(self, instance: Station) -> dict[str, Any]:
        status = getattr(instance, "status", None)
        return {
            name: getattr(status, name, None) if name in STATUS_FIELDS else getattr(instance, name)
            for name in self.Meta.fields
        }


# Requests


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


class ProposedSerializer(serializers.Serializer[Proposal]):
    id = serializers.IntegerField(
        source="suggestion.pk",
        allow_null=True,
        default=None,
        help_text="Of the open suggestion; null: `under_way`.",
    )
    outcome = serializers.ChoiceField(
        [outcome.value for outcome in Outcome],
        help_text="`under_way`: an open task makes this move already, so nothing was entered.",
    )


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


class HealthSerializer(serializers.Serializer[None]):
    message = serializers.CharField()


def valid_query(request: Request, filters: type[serializers.Serializer[None]]) -> dict[str, Any]:
    """The query parameters that the serializer names; 400 if one is wrong or there twice."""
    for name, values in request.query_params.lists():
        if len(values) > 1:
            raise serializers.ValidationError({name: ["Given more than once."]})
    # A plain dict: of a form's data, empty values would pass for missing ones.
    return valid(filters(data=request.query_params.dict()))


def valid(serializer: serializers.BaseSerializer[Any]) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    data: dict[str, Any] = serializer.validated_data
    return data


ErrorSerializer = inline_serializer(
    "Error",
    {
        "detail": serializers.CharField(help_text="One sentence."),
        "errors": serializers.DictField(
            required=False, help_text="What is wrong with which field of the request."
        ),
    },
)
