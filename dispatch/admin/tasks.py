from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html

from .. import services
from ..models import Task, TaskEvent, TaskStatus
from .moves import MoveAdmin, RowAction, ago


class WorkerFilter(admin.SimpleListFilter):
    """Who is on the way: the few who hold a task now, not all who ever did."""

    title = "worker on the way"
    parameter_name = "worker"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        holders = Task.objects.assigned().order_by("worker_id").distinct()
        return [(w, w) for w in holders.values_list("worker_id", flat=True) if w]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Task]) -> QuerySet[Task]:
        if not self.value():
            return queryset
        return queryset.filter(status=TaskStatus.ASSIGNED, worker_id=self.value())


@admin.register(Task)
class TaskAdmin(MoveAdmin):
    list_display = ["id", "state", "route", "qty", "worker", "age", "held", "priority", "why"]
    list_filter = ["status", WorkerFilter]
    search_fields = ["reason", "worker_id"]
    search_help_text = "A station's or task's number, a worker, or words of the reason."
    text_fields = ("worker_id", "reason")
    date_hierarchy = "created_at"
    ordering = ["-id"]
    actions = ["complete_selected"]
    change_form_template = "admin/dispatch/task_page.html"
    add_fields = ("from_station_id", "to_station_id", "qty", "reason", "priority")
    fields = (
        "status",
        *add_fields,
        "worker_id",
        "attempt",
        "suggestion_id",
        "created_at",
        "assigned_at",
        "lease_expires_at",
        "completed_at",
        "moved_qty",
        "note",
    )
    row_actions = (
        RowAction(
            name="complete",
            label="Complete",
            done="completed",
            run=lambda pk, user: services.complete_task(pk, actor=user),
            offered=lambda task: task.status == TaskStatus.ASSIGNED,
        ),
    )

    def has_complete_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "complete")

    def save_model(self, request: HttpRequest, obj: Task, form: Any, change: bool) -> None:
        services.create_task(obj, actor=request.user.get_username())

    @admin.display(description="Status", ordering="status")
    def state(self, task: Task) -> str:
        return format_html('<span class="badge {0}">{0}</span>', task.status)

    @admin.display(description="Worker", ordering="worker_id", empty_value="")
    def worker(self, task: Task) -> str | None:
        return task.worker_id

    @admin.display(description="On the way", ordering="assigned_at", empty_value="")
    def held(self, task: Task) -> str | None:
        if task.status != TaskStatus.ASSIGNED or task.assigned_at is None:
            return None
        overdue = timedelta(minutes=settings.TASK_OVERDUE_MINUTES)
        if timezone.now() - task.assigned_at < overdue:
            return ago(task.assigned_at)
        return format_html('{} <span class="badge overdue">overdue</span>', ago(task.assigned_at))

    @admin.action(description="Complete selected tasks", permissions=["complete"])
    def complete_selected(self, request: HttpRequest, queryset: QuerySet[Task]) -> None:
        self.run_each(
            request,
            self.selected_ids(request, queryset),
            "completed",
            lambda pk, user: services.complete_task(pk, actor=user),
        )

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        events = TaskEvent.objects.none()
        if object_id.isascii() and object_id.isdigit():
            events = TaskEvent.objects.filter(task_id=object_id).order_by("id")
        context = {**(extra_context or {}), "events": events}
        return super().change_view(request, object_id, form_url, context)
