from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.mixins import ListModelMixin
from rest_framework.viewsets import GenericViewSet

from ...models import TaskEvent
from ..pagination import AlwaysPaged
from ..schema import REJECTED, example, responses
from ..serializers.requests import EventFilterSerializer, valid_query
from ..serializers.responses import EventSerializer


@extend_schema_view(
    list=extend_schema(
        operation_id="list_events",
        summary="Events, oldest first",
        description=(
            "ML jobs can filter by their `source`, and add `kind=rejected` for rejections and "
            "their reasons. To follow new events, ask again with `after_id`. An event may appear a "
            "few seconds after one with a higher id, so start a little earlier each time and skip "
            "the ids that you already have."
        ),
        parameters=[EventFilterSerializer],
        responses=responses(EventSerializer(many=True), 400, examples=[example(REJECTED)]),
        tags=["events"],
    )
)
class EventViewSet(ListModelMixin, GenericViewSet[TaskEvent]):
    authority = {"list": ["view_taskevent"]}
    queryset = TaskEvent.objects.order_by("id")
    serializer_class = EventSerializer
    pagination_class = AlwaysPaged

    def get_queryset(self) -> QuerySet[TaskEvent]:
        filters = valid_query(self.request, EventFilterSerializer)
        after_id = filters.pop("after_id", 0)
        return super().get_queryset().filter(pk__gt=after_id, **filters)
