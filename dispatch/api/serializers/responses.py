"""Response bodies of the API."""

from typing import Any, TypeVar

from django.db import models
from drf_spectacular.utils import extend_schema_field, inline_serializer
from rest_framework import serializers

from ...models import Station, Suggestion, Task, TaskEvent
from ...services import Outcome, Proposal

M = TypeVar("M", bound=models.Model)


# The fields of a serializer describe the schema only: building them for each response would take
# longer than the rest of the request. Docstrings are part of the schema, too.
class RowSerializer(serializers.ModelSerializer[M]):
    """A row's columns, unchanged; times are in UTC."""

    class Meta:
        fields: list[str]

    def to_representation(self, instance: M) -> dict[str, Any]:
        return {name: getattr(instance, name) for name in self.Meta.fields}


class SuggestionSerializer(RowSerializer[Suggestion]):
    """A move that an ML job proposes."""

    class Meta:
        model = Suggestion
        fields = ["id", "from_station_id", "to_station_id", "qty", "reason"]
        read_only_fields = fields


class PrioritizedSuggestionSerializer(RowSerializer[Suggestion]):
    """A suggestion with its priority, source and expiry. Times are in UTC."""

    class Meta:
        model = Suggestion
        fields = [*SuggestionSerializer.Meta.fields, "priority", "source", "expires_at"]
        read_only_fields = fields


class TaskSerializer(RowSerializer[Task]):
    """An approved move. `worker_id` is null until a crew claims it."""

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
    """A task with all fields. Times are in UTC, and null if it has not come to that."""

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
            "area",
            "system",
        ]
        read_only_fields = fields


class EventSerializer(RowSerializer[TaskEvent]):
    """One entry of the history: an event, its time and its actor."""

    details = serializers.DictField(
        read_only=True, help_text="More about the event; the keys depend on `kind`."
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
    """A station with its latest status; the status fields are null if there is none."""

    bikes = serializers.IntegerField(allow_null=True)
    docks = serializers.IntegerField(
        allow_null=True, help_text="Free docks. Null: the feed does not count them."
    )
    bikes_disabled = serializers.IntegerField(allow_null=True)
    docks_disabled = serializers.IntegerField(allow_null=True)
    in_service = serializers.BooleanField(allow_null=True)
    area = serializers.CharField(
        help_text="The region's name, else the prefix of the short name. Empty: unknown."
    )
    as_of = serializers.DateTimeField(
        allow_null=True,
        help_text="When the station last reported. Null: never.",
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
            "area",
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


class ProposedSerializer(serializers.Serializer[Proposal]):
    """The outcome of one proposed move."""

    id = serializers.IntegerField(
        source="suggestion.pk",
        read_only=True,
        allow_null=True,
        default=None,
        help_text="The open suggestion. Null if the outcome is `under_way`.",
    )
    outcome = serializers.ChoiceField(
        [(outcome.value, outcome.name) for outcome in Outcome],
        help_text="`under_way`: an open task already makes this move; nothing was created.",
    )


class HealthSerializer(serializers.Serializer[None]):
    message = serializers.CharField()


@extend_schema_field(
    {
        "type": "object",
        "additionalProperties": {
            "oneOf": [
                {"type": "array", "items": {"type": "string"}},
                {
                    "type": "object",
                    "additionalProperties": {"type": "array", "items": {"type": "string"}},
                },
            ]
        },
    }
)
class FieldErrorsField(serializers.DictField):
    """Field -> sentences. If the body is an array: index of the row -> field -> sentences."""


ErrorSerializer = inline_serializer(
    "Error",
    {
        "detail": serializers.CharField(help_text="One sentence."),
        "errors": FieldErrorsField(
            required=False,
            help_text=(
                "The errors of each invalid field. For an array of suggestions: by index of the "
                "row, then by field."
            ),
        ),
    },
)
