"""Request bodies and query parameters of the API."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from ...models import (
    AREA_LENGTH,
    INT4_MAX,
    PRIORITY_MAX,
    PRIORITY_MIN,
    SOURCE_LENGTH,
    TEXT_LENGTH,
    EventKind,
    RejectionCode,
    TaskStatus,
)
from ...services.suggestion_rows import EXPIRY_YEARS
from ..fields import (
    INT8_MAX,
    QueryDateTimeField,
    ReasonField,
    ReportedTimeField,
    StrictBooleanField,
    StrictCharField,
    StrictDateTimeField,
    StrictIntegerField,
    WorkerIdField,
    one_line,
)

ENDS = ("from_station_id", "to_station_id")
SAME_STATION = {"to_station_id": ["The two stations must differ."]}
STANDARD_REJECTIONS = [code.value for code in RejectionCode if code != RejectionCode.OTHER]


class ApproveSerializer(serializers.Serializer[None]):
    suggestion_id = StrictIntegerField(min_value=1, max_value=INT8_MAX)
    as_much_as_fits = StrictBooleanField(
        required=False,
        allow_null=True,
        default=False,
        help_text="Approve only as many bikes as the stations can give and take.",
    )

    def validate_as_much_as_fits(self, fit: bool | None) -> bool:
        return bool(fit)


class ClaimSerializer(serializers.Serializer[None]):
    worker_id = WorkerIdField()
    area = StrictCharField(
        required=False,
        allow_null=True,
        allow_blank=True,
        default=None,
        max_length=AREA_LENGTH,
        help_text="Only tasks whose source lies in this area. A crew on the roster may name one of "
        "its own areas; without `area`, it gets tasks in all of them.",
    )

    def validate_area(self, area: str | None) -> str | None:
        return area or None


class HolderSerializer(serializers.Serializer[None]):
    worker_id = WorkerIdField(
        required=False,
        allow_null=True,
        default=None,
        help_text="The crew that reports. The request is refused if another crew holds the task; "
        "without this field there is no check.",
    )


class ReleaseSerializer(HolderSerializer):
    reason = ReasonField(help_text="Why the crew returns the task; shown to the dispatcher.")


class ReportSerializer(HolderSerializer):
    moved_qty = StrictIntegerField(
        required=False,
        allow_null=True,
        default=None,
        min_value=0,
        max_value=INT4_MAX,
        help_text="Bikes actually moved. More than a van's load (`VAN_CAPACITY`) is recorded as "
        "that load, never refused. Without it: all.",
    )
    note = StrictCharField(
        required=False, allow_null=True, allow_blank=True, default="", max_length=TEXT_LENGTH
    )
    completed_at = ReportedTimeField(
        required=False,
        allow_null=True,
        default=None,
        help_text="When the move was completed, if it is reported later. A time before the claim "
        "or in the future is corrected, never refused.",
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
        required=False,
        allow_null=True,
        default=0,
        min_value=PRIORITY_MIN,
        max_value=PRIORITY_MAX,
        help_text="Higher priorities are listed and dispatched first. Without it: 0.",
    )
    expires_at = StrictDateTimeField(
        required=False,
        allow_null=True,
        default=None,
        help_text="The suggestion cannot be approved after this time. Null: it does not expire.",
    )
    source = StrictCharField(  # type: ignore[assignment]  # not the argument of Field
        required=False,
        allow_null=True,
        default="",
        allow_blank=True,
        max_length=SOURCE_LENGTH,
        validators=[one_line],
        help_text="The job that proposes the move; the same in all rows of a request.",
    )

    def to_internal_value(self, data: Any) -> Any:
        """Treat optional fields without a value as omitted, as in files."""
        if isinstance(data, Mapping):
            optional = {name for name, field in self.fields.items() if not field.required}
            data = {n: v for n, v in data.items() if n not in optional or v not in (None, "")}
        try:
            return super().to_internal_value(data)
        except serializers.ValidationError as error:
            # DRF calls `validate` only if all fields are valid, but one answer reports all errors.
            errors: Any = error.detail
            if not {"non_field_errors", *ENDS} & errors.keys():
                ends = {self.fields[end].run_validation(data[end]) for end in ENDS}
                if len(ends) == 1:
                    raise serializers.ValidationError({**errors, **SAME_STATION}) from None
            raise

    def validate_expires_at(self, expires_at: datetime | None) -> datetime | None:
        if expires_at is not None and expires_at.year not in EXPIRY_YEARS:
            first, last = EXPIRY_YEARS[0], EXPIRY_YEARS[-1]
            raise serializers.ValidationError(f"The year must be from {first} to {last}.")
        return expires_at

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        if data["from_station_id"] == data["to_station_id"]:
            raise serializers.ValidationError(SAME_STATION)
        return data


class RejectSerializer(serializers.Serializer[None]):
    code = serializers.ChoiceField(
        RejectionCode.choices,
        required=False,
        default=RejectionCode.OTHER,
        help_text="The kind of reason. Without it: `other`.",
    )
    reason = ReasonField(
        required=False,
        help_text="Why; shown to the team that owns the proposing job. Optional with a `code` "
        "other than `other`.",
    )

    def to_internal_value(self, data: Any) -> Any:
        """Treat an empty reason beside a code as omitted."""
        if isinstance(data, Mapping) and data.get("code") in STANDARD_REJECTIONS:
            data = {n: v for n, v in data.items() if n != "reason" or v not in (None, "")}
        return super().to_internal_value(data)

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        if data["code"] == RejectionCode.OTHER and "reason" not in data:
            raise serializers.ValidationError(
                {"reason": [self.fields["reason"].error_messages["required"]]}
            )
        return data


class PrioritySerializer(serializers.Serializer[None]):
    priority = StrictIntegerField(min_value=PRIORITY_MIN, max_value=PRIORITY_MAX)


class TaskFilterSerializer(serializers.Serializer[None]):
    status = serializers.ChoiceField(TaskStatus.choices, required=False)
    worker_id = WorkerIdField(required=False, help_text="Tasks of this crew.")
    station_id = StrictIntegerField(
        required=False, min_value=0, max_value=INT4_MAX, help_text="Tasks from or to this station."
    )
    created_before = QueryDateTimeField(required=False)
    created_after = QueryDateTimeField(required=False)
    overdue = serializers.ChoiceField(
        ["true"],
        required=False,
        help_text="Tasks assigned at least TASK_OVERDUE_MINUTES ago.",
    )


class EventFilterSerializer(serializers.Serializer[None]):
    kind = serializers.ChoiceField(EventKind.choices, required=False)
    source = StrictCharField(  # type: ignore[assignment]  # not the argument of Field
        required=False,
        max_length=SOURCE_LENGTH,
        help_text="Events of this job's suggestions and tasks.",
    )
    suggestion_id = StrictIntegerField(required=False, min_value=1, max_value=INT8_MAX)
    after_id = StrictIntegerField(
        required=False, min_value=0, max_value=INT8_MAX, help_text="Only events with a higher id."
    )


def valid_query(request: Request, filters: type[serializers.Serializer[None]]) -> dict[str, Any]:
    """Return the query parameters that the serializer names.

    ValidationError: one of them is wrong, or any parameter is given twice.
    """
    for name, values in request.query_params.lists():
        if len(values) > 1:
            raise serializers.ValidationError({name: ["Given more than once."]})
    # A plain dict: in a QueryDict, DRF would take an empty value for a missing one.
    return valid(filters, request.query_params.dict())


def valid(kind: type[serializers.Serializer[None]], data: Any) -> dict[str, Any]:
    """Return the validated data. ValidationError: something in it is wrong."""
    validated: dict[str, Any] = validator(kind).run_validation(data)
    return validated


@cache
def validator(kind: type[serializers.Serializer[None]]) -> serializers.Serializer[None]:
    """The serializer that validates for all requests.

    Making one for each request takes a tenth of the CPU time of a claim. So neither it nor its
    fields may use `context` or `initial_data`: they belong to no request.
    """
    return kind()
