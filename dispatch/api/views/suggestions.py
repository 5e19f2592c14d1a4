from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from ... import services
from ...models import Suggestion
from ..authentication import actor_of
from ..pagination import LinkCursorPagination
from ..schema import BODY, REJECTED, SUGGESTION, SUGGESTION_DECIDED, answers, example
from ..serializers import (
    EventSerializer,
    PrioritizedSuggestionSerializer,
    PrioritySerializer,
    RejectSerializer,
    SuggestionSerializer,
    valid,
)


@extend_schema_view(
    list=extend_schema(
        summary="Open suggestions",
        description="All of them in id order, or page by page with `limit` and `cursor`.",
        responses=answers(SuggestionSerializer(many=True), 400, examples=[example(SUGGESTION)]),
        tags=["suggestions"],
    )
)
class SuggestionViewSet(ListModelMixin, GenericViewSet[Suggestion]):
    queryset = Suggestion.objects.order_by("id")
    serializer_class = SuggestionSerializer
    pagination_class = LinkCursorPagination
    lookup_url_kwarg = "suggestion_id"
    lookup_value_converter = "int"

    def get_queryset(self) -> QuerySet[Suggestion]:
        return super().get_queryset().only(*SuggestionSerializer.Meta.fields)

    @extend_schema(
        summary="Reject a suggestion",
        description="It leaves the table. The event that is answered keeps it, and the reason.",
        request=RejectSerializer,
        responses=answers(
            EventSerializer, 404, *BODY, examples=[example(REJECTED)], _404=SUGGESTION_DECIDED
        ),
        examples=[example({"reason": "Road works at station 200"}, request_only=True)],
        tags=["suggestions"],
    )
    @action(detail=True, methods=["post"])
    def reject(self, request: Request, suggestion_id: int) -> Response:
        data = valid(RejectSerializer(data=request.data))
        event = services.reject_suggestion(suggestion_id, actor=actor_of(request), **data)
        return Response(EventSerializer(event).data)

    @extend_schema(
        summary="Set a suggestion's priority",
        description="The higher one is shown first, and its task goes out first.",
        request=PrioritySerializer,
        responses=answers(
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
        data = valid(PrioritySerializer(data=request.data))
        suggestion = services.prioritize_suggestion(suggestion_id, actor=actor_of(request), **data)
        return Response(PrioritizedSuggestionSerializer(suggestion).data)
