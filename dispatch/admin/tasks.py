from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import pluralize
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html

from .. import services
from ..models import OPEN_STATUSES, Task, TaskEvent, TaskStatus
from ..models.tasks import overdue_after
from ..overview.roster import read_roster
from ..texts import isolated
from .assignments import ASSIGN, REASSIGN, hand_over_view, is_assigned
from .drilldown import DAY, MONTH, YEAR, drilldown
from .forms import MessageForm, OperationForm, ReasonForm, ReportForm
from .moves import MoveAdmin, ago, priority_operations
from .operations import Operation
from .routes import link_to
from .stations import SystemFilter
from .task_filters import AttentionFilter, CrewFilter


def is_open(task: Task) -> bool:
    return task.status in OPEN_STATUSES


def may_be_undone(task: Task) -> bool:
    age = timezone.now() - task.created_at
    return (
        task.status == TaskStatus.READY
        and task.attempt == 0
        and task.suggestion_id is not None
        and age <= timedelta(seconds=services.UNDO_SECONDS)
    )


def moved_note(task: Task) -> str:
    bikes = f"{task.moved_qty} bike{pluralize(task.moved_qty)}"
    return format_html("{} moved by <bdi>{}</bdi>", bikes, task.worker_id)


def recipient(message: TaskEvent) -> str:
    return format_html("<bdi>{}</bdi>", message.worker_id or "the next crew")


def missing_phones(tasks: Sequence[Task]) -> dict[int, list[str]]:
    phones = read_roster().phones
    return {
        task.pk: [f"No phone is signed in for {isolated(task.worker_id)}."]
        for task in tasks
        if task.worker_id and task.worker_id not in phones
    }


@admin.register(Task)
class TaskAdmin(MoveAdmin):
    list_display = ["id", "state", "route", "qty", "worker", "since", "priority", "buttons"]
    list_filter = ["status", AttentionFilter, CrewFilter, SystemFilter]
    search_fields = ["reason", "worker_id"]
    search_help_text = "Search by station or task number, crew, station name, area or reason."
    text_fields = ("worker_id", "reason")
    date_hierarchy = "created_at"
    ordering = ["-id"]
    change_form_template = "admin/dispatch/move_page.html"
    add_fields = ("from_station_id", "to_station_id", "qty", "reason", "priority")
    fields = (
        "worker",
        "priority",
        "attempt",
        "suggestion_id",
        "source",
        "created_at",
        "assigned_at",
        "lease_expires_at",
        "completed_at",
        "reported_completed_at",
        "moved_qty",
        "note",
        "cancelled_at",
    )
    csv_columns = (
        *MoveAdmin.MOVE_COLUMNS,
        "status",
        "worker_id",
        "attempt",
        "suggestion_id",
        "assigned_at",
        "completed_at",
        "reported_completed_at",
        "cancelled_at",
        "moved_qty",
        "note",
        "system",
    )
    operations = (
        ASSIGN,
        REASSIGN,
        Operation(
            name="message",
            label="Message",
            done="updated with a message",
            permission="reassign",
            run=services.message_crew,
            form=MessageForm,
            question="Send a message about {rows}",
            possible=is_open,
            in_bulk=False,
            note=recipient,
            joint=" for ",
            cautions=missing_phones,
        ),
        Operation(
            name="complete",
            label="Complete",
            done="completed",
            permission="complete",
            run=services.complete_task,
            form=ReportForm,
            bulk_form=OperationForm,
            possible=is_assigned,
            claim_bound=True,
            in_list=True,
            note=moved_note,
            joint=": ",
            warnings=lambda task: list(task.warnings),
        ),
        Operation(
            name="release",
            label="Release",
            done="released",
            permission="release",
            run=services.release_task,
            form=ReasonForm,
            possible=is_assigned,
            claim_bound=True,
            in_list=True,
        ),
        *priority_operations(services.prioritize_task, is_open),
        Operation(
            name="undo",
            label="Undo approval",
            done="undone",
            permission="approve_suggestion",
            run=services.undo_approval,
            possible=may_be_undone,
            in_bulk=False,
            note=link_to,
            joint=": it is back as ",
        ),
        Operation(
            name="cancel",
            label="Cancel",
            done="cancelled",
            permission="cancel",
            run=services.cancel_task,
            form=ReasonForm,
            possible=is_open,
        ),
    )

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view(self.hand_over)
        return [path("hand-over/", page, name="task_hand_over"), *super().get_urls()]

    def hand_over(self, request: HttpRequest) -> HttpResponse:
        return hand_over_view(self, request)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        # The list itself reports an invalid date.
        links = drilldown(request, Task.objects.all()) if self.dates_are_valid(request) else []
        return super().changelist_view(request, {**(extra_context or {}), "drilldown": links})

    def dates_are_valid(self, request: HttpRequest) -> bool:
        given = {name: request.GET[name] for name in (YEAR, MONTH, DAY) if name in request.GET}
        return all(self.lookup_allowed(name, value, request) for name, value in given.items())

    def get_queryset(self, request: HttpRequest) -> QuerySet[Task]:
        late_reports = TaskEvent.objects.late_reports().filter(task_id=OuterRef("pk"))
        tasks: QuerySet[Task] = super().get_queryset(request)
        return tasks.annotate(late=Exists(late_reports))

    def get_ordering(self, request: HttpRequest) -> Any:
        attention = request.GET.get(AttentionFilter.parameter_name, "")
        return AttentionFilter.ORDERS.get(attention, self.ordering)

    def save_model(self, request: HttpRequest, obj: Task, form: Any, change: bool) -> None:
        approval = services.create_task(obj, actor=request.user.get_username())
        for warning in approval.warnings:
            self.message_user(request, warning, messages.WARNING)

    @admin.display(description="Status")
    def state(self, task: Any) -> str:
        badge = format_html('<span class="badge {0}">{0}</span>', task.status)
        if task.late and is_open(task):
            return format_html('{} <span class="badge late">late report</span>', badge)
        return badge

    @admin.display(description="Crew", empty_value="")
    def worker(self, task: Task) -> str | None:
        return task.worker_id

    @admin.display(description="For", ordering="created_at")
    def since(self, task: Task) -> str:
        """The time the task has been in its status."""
        moment = task.cancelled_at or task.completed_at or task.assigned_at or task.created_at
        if is_assigned(task) and timezone.now() - moment >= overdue_after():
            return format_html('{} <span class="badge overdue">overdue</span>', ago(moment))
        return ago(moment)

    def page_context(self, request: HttpRequest, object_id: str) -> dict[str, Any]:
        context = super().page_context(request, object_id)
        return {**context, "state": self.state(context["move"])} if context else {}
