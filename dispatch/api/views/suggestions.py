from itertools import islice
from tempfile import SpooledTemporaryFile
from typing import IO, Any

import msgspec
from django.db.models import QuerySet
from django.http import FileResponse, HttpResponse
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ListSerializer
from rest_framework.viewsets import GenericViewSet

from ... import services
from ...models import Suggestion
from ...services import SuggestionRow
from ..authority import authority_of
from ..pagination import LinkCursorPagination
from ..schema import (
    BODY,
    PROPOSED_MOVE,
    REJECTED,
    SUGGESTION,
    SUGGESTION_DECIDED,
    example,
    responses,
    warning_header,
)
from ..serializers.requests import PrioritySerializer, ProposalSerializer, RejectSerializer, valid
from ..serializers.responses import (
    EventSerializer,
    PrioritizedSuggestionSerializer,
    ProposedSerializer,
    SuggestionSerializer,
)

ROWS_AT_ONCE = 2_000
LONGEST_IN_MEMORY = 2_000_000
MOST_PROPOSED = 1000


def all_in_one(rows: QuerySet[Suggestion, dict[str, Any]]) -> HttpResponse | FileResponse:
    """Return any number of rows as one JSON array, from a single snapshot.

    Long arrays go through a temporary file. Sending starts after the query has ended, so that a
    slow client does not keep a snapshot open.
    """
    file = SpooledTemporaryFile(max_size=LONGEST_IN_MEMORY)  # noqa: SIM115
    write_array(rows, file)
    length = file.tell()
    file.seek(0)
    if length > LONGEST_IN_MEMORY:
        headers = {"Content-Length": str(length)}
        return FileResponse(file, content_type="application/json", headers=headers)
    with file:
        return HttpResponse(file.read(), content_type="application/json")


def write_array(rows: QuerySet[Suggestion, dict[str, Any]], file: IO[bytes]) -> None:
    iterator = rows.iterator(chunk_size=ROWS_AT_ONCE)
    before = b"["
    while chunk := list(islice(iterator, ROWS_AT_ONCE)):
        file.write(before + msgspec.json.encode(chunk)[1:-1])
        before = b","
    file.write(b"]" if before == b"," else b"[]")


def proposed_rows(data: Any) -> list[dict[str, Any]]:
    if not isinstance(data, list):
        return [valid(ProposalSerializer, data)]
    rows: ListSerializer[Any] = ListSerializer(
        data=data, child=ProposalSerializer(), max_length=MOST_PROPOSED, allow_empty=False
    )
    rows.is_valid(raise_exception=True)
    return list(rows.validated_data)


@extend_schema_view(
    list=extend_schema(
        operation_id="list_suggestions",
        summary="Open suggestions",
        description="All open suggestions in id order, or pages of them with `limit` and `cursor`.",
        responses=responses(SuggestionSerializer(many=True), 400, examples=[example(SUGGESTION)]),
        tags=["suggestions"],
    )
)
class SuggestionViewSet(ListModelMixin, GenericViewSet[Suggestion]):
    queryset = Suggestion.objects.order_by("id")
    serializer_class = SuggestionSerializer
    pagination_class = LinkCursorPagination
    authority = {
        "list": ["view_suggestion"],
        "create": ["add_suggestion"],
        "reject": ["reject_suggestion"],
        "priority": ["prioritize_suggestion"],
    }
    lookup_url_kwarg = "suggestion_id"
    lookup_value_converter = "row_id"

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        if {"limit", "cursor"} & request.query_params.keys():
            return super().list(request)
        return all_in_one(self.get_queryset().values(*SuggestionSerializer.Meta.fields))

    @extend_schema(
        operation_id="propose_suggestions",
        summary="Create one suggestion, or up to 1,000",
        description=(
            "Creates all of them, or none if one is invalid. A move that the source already "
            "suggests is refreshed and keeps its id and age. A move that an open task already "
            "makes is skipped."
        ),
        parameters=[
            warning_header(
                "Some moves have already expired, or name stations that no feed has listed."
            )
        ],
        request=PolymorphicProxySerializer(
            "ProposalOneOrMany",
            [ProposalSerializer, ProposalSerializer(many=True)],
            resource_type_field_name=None,
            many=False,
        ),
        responses=responses(
            PolymorphicProxySerializer(
                "ProposedOneOrMany",
                [ProposedSerializer, ProposedSerializer(many=True)],
                resource_type_field_name=None,
                many=False,
            ),
            422,
            *BODY,
            examples=[example({"id": 1, "outcome": "created"})],
            _422="`UNKNOWN_STATIONS=refuse`, and no feed has listed a station. Nothing changed.",
        ),
        examples=[
            example(
                {**PROPOSED_MOVE, "priority": 20, "source": "demand-v2"}, "One", request_only=True
            ),
            example([PROPOSED_MOVE], "Many", request_only=True),
        ],
        tags=["suggestions"],
    )
    def create(self, request: Request) -> Response:
        rows = proposed_rows(request.data)
        sources = {row.pop("source") for row in rows}
        if len(sources) > 1:
            raise ValidationError({"source": ["All rows of a request must have the same source."]})
        caller = authority_of(request)
        result = services.propose_suggestions(
            [SuggestionRow(**row) for row in rows],
            source=caller.resolve_source(sources.pop()),
            actor=caller.actor,
        )
        outcomes = [ProposedSerializer(proposal).data for proposal in result.proposals]
        response = Response(outcomes if isinstance(request.data, list) else outcomes[0])
        if result.doubts.warning:
            response.headers["X-Warning"] = result.doubts.warning
        return response

    def get_queryset(self) -> QuerySet[Suggestion]:
        return super().get_queryset().only(*SuggestionSerializer.Meta.fields)

    @extend_schema(
        operation_id="reject_suggestion",
        summary="Reject a suggestion",
        description="Deletes the suggestion; the returned event keeps it, the code and the reason.",
        request=RejectSerializer,
        responses=responses(
            EventSerializer, 404, *BODY, examples=[example(REJECTED)], _404=SUGGESTION_DECIDED
        ),
        examples=[
            example(
                {"code": "station_closed", "reason": "Road works at station 200"},
                request_only=True,
            )
        ],
        tags=["suggestions"],
    )
    @action(detail=True, methods=["post"])
    def reject(self, request: Request, suggestion_id: int) -> Response:
        data = valid(RejectSerializer, request.data)
        event = services.reject_suggestion(suggestion_id, actor=authority_of(request).actor, **data)
        return Response(EventSerializer(event).data)

    @extend_schema(
        operation_id="prioritize_suggestion",
        summary="Set a suggestion's priority",
        description="Higher priorities are listed first, and their tasks are dispatched first.",
        request=PrioritySerializer,
        responses=responses(
            PrioritizedSuggestionSerializer,
            404,
            *BODY,
            examples=[example({**SUGGESTION, "priority": 50, "source": "", "expires_at": None})],
            _404=SUGGESTION_DECIDED,
        ),
        examples=[example({"priority": 50}, request_only=True)],
        tags=["suggestions"],
    )
    @action(detail=True, methods=["post"])
    def priority(self, request: Request, suggestion_id: int) -> Response:
        data = valid(PrioritySerializer, request.data)
        suggestion = services.prioritize_suggestion(
            suggestion_id, actor=authority_of(request).actor, **data
        )
        return Response(PrioritizedSuggestionSerializer(suggestion).data)
