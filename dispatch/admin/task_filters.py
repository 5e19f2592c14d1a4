"""The filters of the task list."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest

from ..models import OPEN_STATUSES, EventKind, Task, TaskEvent, TaskStatus
from ..overview.roster import read_roster


def completed_with_problem(tasks: QuerySet[Any]) -> QuerySet[Any]:
    reports = TaskEvent.objects.with_problems().filter(kind=EventKind.COMPLETED)
    return tasks.filter(Exists(reports.filter(task_id=OuterRef("pk"))))


def without_crew(tasks: QuerySet[Any]) -> QuerySet[Any]:
    return tasks.filter(pk__in=read_roster().without_crew().values("pk"))


class AttentionFilter(admin.SimpleListFilter):
    """Tasks that may need a dispatcher."""

    title = "needs attention"
    parameter_name = "attention"
    CHOICES: ClassVar[dict[str, tuple[str, Callable[[QuerySet[Any]], QuerySet[Any]]]]] = {
        "problem": ("Problem reported", lambda tasks: tasks & Task.objects.with_problem()),
        "overdue": ("Overdue", lambda tasks: tasks & Task.objects.overdue()),
        "waiting": ("Waiting longest", lambda tasks: tasks & Task.objects.ready()),
        "no_crew": ("No crew may take it", without_crew),
        "late_report": (
            "Reported done by a former crew",
            lambda tasks: tasks.filter(late=True, status__in=OPEN_STATUSES),
        ),
        "done_with_problem": ("Completed with a problem", completed_with_problem),
    }
    # The most urgent first.
    ORDERS: ClassVar = {
        "overdue": ["assigned_at", "id"],
        "waiting": ["created_at", "id"],
        "no_crew": ["created_at", "id"],
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(value, label) for value, (label, _) in self.CHOICES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        _, narrow = self.CHOICES.get(self.value() or "", ("", None))
        return narrow(queryset) if narrow else queryset


class CrewFilter(admin.SimpleListFilter):
    """Crews that hold a task now, not all that ever held one."""

    title = "crew"
    parameter_name = "worker"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        holders = Task.objects.assigned().order_by("worker_id").distinct()
        return [(w, w) for w in holders.values_list("worker_id", flat=True) if w]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Task]) -> QuerySet[Task]:
        if not self.value():
            return queryset
        return queryset.filter(status=TaskStatus.ASSIGNED, worker_id=self.value())
