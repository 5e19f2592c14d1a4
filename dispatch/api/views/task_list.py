from typing import Any

from django.db.models import Q, QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.viewsets import GenericViewSet

from ...models import Task
from ...models.tasks import TaskQuerySet
from ..authority import OWN_TASKS, authority_of
from ..pagination import NewestFirst
from ..schema import TASK_IN_FULL, example, responses
from ..serializers.requests import TaskFilterSerializer, valid_query
from ..serializers.responses import TaskInFullSerializer


@extend_schema_view(
    list=extend_schema(
        operation_id="list_tasks",
        summary="Tasks, newest first",
        description=(
            "A crew's open tasks: `?worker_id=user_456&status=assigned`. Filters can be combined."
        ),
        parameters=[TaskFilterSerializer],
        responses=responses(TaskInFullSerializer(many=True), 400, examples=[example(TASK_IN_FULL)]),
        tags=["tasks"],
    )
)
class TaskListViewSet(ListModelMixin, GenericViewSet[Task]):
    authority = {"list": ["view_task", OWN_TASKS]}
    queryset = Task.objects.order_by("-id")
    serializer_class = TaskInFullSerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Task]:
        filters = valid_query(self.request, TaskFilterSerializer)
        tasks = visible_tasks(self.request)
        if filters.pop("overdue", None):
            tasks = tasks.overdue()
        return tasks.filter(*(condition(*each) for each in filters.items())).order_by("-id")


def visible_tasks(request: Request) -> TaskQuerySet:
    """All tasks, or only those of the token's own worker."""
    caller = authority_of(request)
    if caller.may("view_task"):
        return Task.objects.all()
    return Task.objects.filter(worker_id=caller.resolve_worker(None, unrestricted_with="view_task"))


def condition(name: str, value: Any) -> Q:
    match name:
        case "station_id":
            return Q(from_station_id=value) | Q(to_station_id=value)
        case "created_before":
            return Q(created_at__lt=value)
        case "created_after":
            return Q(created_at__gt=value)
        case _:
            return Q((name, value))
