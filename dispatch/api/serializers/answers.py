"""What the API answers with."""

from typing import Any, TypeVar

import msgspec
from django.db import models
from django.http import HttpResponse
from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

from ...models import (
    Station,
    Suggestion,
    Task,
    TaskEvent,
)
from ...services import Outcome, Proposal

M = TypeVar("M", bound=models.Model)


class RowSerializer(serializers.ModelSerializer[M]):
    """A row's columns as they are; times are UTC, as the database gives them.

    Its fields are for the schema alone: to build them for each answer takes longer than the answer.
    """

    class Meta:
        fields: list[str]

    def to_representation(self, instance: M) -> dict[str, Any]:
        return {name: getattr(instance, name) for name in self.Meta.fields}

    @classmethod
    def answer(cls, row: M) -> HttpResponse:
        """As JSON, at once: DRF's Response, which could become something else yet, is a fifth
        more work for a claim (docs/performance.md)."""
        columns = {name: getattr(row, name) for name in cls.Meta.fields}
        return HttpResponse(msgspec.json.encode(columns), content_type="application/json")


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


class HealthSerializer(serializers.Serializer[None]):
    message = serializers.CharField()


ErrorSerializer = inline_serializer(
    "Error",
    {
        "detail": serializers.CharField(help_text="One sentence."),
        "errors": serializers.DictField(
            required=False, help_text="What is wrong with which field of the request."
        ),
    },
)
