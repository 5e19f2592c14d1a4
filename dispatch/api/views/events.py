from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.mixins import ListModelMixin
from rest_framework.viewsets import GenericViewSet

from ...models import TaskEvent
from ..pagination import AlwaysPaged
from ..schema import REJECTED, answers, example
from ..serializers.answers import EventSerializer
from ..serializers.requests import EventFilterSerializer, valid_query


@extend_schema_view(
    list=extend_schema(
        summary="What happened, oldest first",
        description=(
            "For ML jobs: `source` gives all that became of a job's suggestions, `kind=rejected` "
            "with it the rejections and their reasons. To follow, ask again with `after_id`. An "
            "event may appear some seconds after one with a higher id: go back a little each time "
            "and pass over the ids that you have."
        ),
        parameters=[EventFilterSerializer],
        responses=answers(EventSerializer(many=True), 400, examples=[example(REJECTED)]),
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
