"""What the lists of suggestions and of tasks share."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import BadRequest, PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.functional import cached_property
from django.utils.html import format_html, format_html_join
from django.utils.timesince import timesince

from ..exceptions import Refusal
from ..models import Move

ID = re.compile(r"[0-9]{1,18}", re.ASCII)
INT4_MAX = 2_147_483_647


class BoundedPaginator(Paginator):
    """Counts no further than anybody would page, so that a list of millions opens at once."""

    MOST_ROWS = 10_000

    @property
    def is_cut(self) -> bool:
        return self.count == self.MOST_ROWS

    @cached_property
    def count(self) -> int:
        rows: QuerySet[Model] = self.object_list  # type: ignore[assignment]
        return rows.order_by()[: self.MOST_ROWS].count()


@dataclass(frozen=True)
class RowAction:
    """A button in a row. `name` is also that of the permission; `offered`: for which rows."""

    name: str
    label: str
    done: str
    run: Callable[[int, str], Any]
    offered: Callable[[Any], bool] = lambda _: True


class MoveAdmin(admin.ModelAdmin):
    MOST_AT_ONCE = 1000
    REFUSALS_SHOWN = 5

    LOOKUPS = {
        "source": r"[^\0]+",
        "urgency": "[a-z]+",
        "worker": r"[^\0]+",
        "status__exact": "[a-z]+",
        "created_at__year": "[12][0-9]{3}",
        "created_at__month": "[1-9]|1[0-2]",
        "created_at__day": "[1-9]|[12][0-9]|3[01]",
    }

    paginator = BoundedPaginator
    show_full_result_count = False
    change_list_template = "admin/dispatch/list.html"
    list_per_page = 50
    list_max_show_all = 200
    row_actions: tuple[RowAction, ...] = ()
    add_fields: tuple[str, ...] = ()
    text_fields: tuple[str, ...] = ()

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        title = str(self.opts.verbose_name_plural).capitalize()
        return super().changelist_view(request, {**(extra_context or {}), "title": title})

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """What an address may filter by. The admin would take any lookup with any value, a broken
        regular expression or the year 99999 among them."""
        pattern = self.LOOKUPS.get(lookup)
        return pattern is not None and re.fullmatch(pattern, str(value), re.ASCII) is not None

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # A form would write back what it showed minutes ago; every change is an action instead.
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def may(self, request: HttpRequest, action: str) -> bool:
        return request.user.has_perm(f"dispatch.{action}_{self.opts.model_name}")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.add_fields if obj is None else self.fields

    # Columns

    @admin.display(description="Route", ordering="from_station_id")
    def route(self, move: Move) -> str:
        return format_html(
            '<span class="route">{} <span class="arrow" aria-label="to">→</span> {}</span>',
            move.from_station_id,
            move.to_station_id,
        )

    @admin.display(description="Reason", ordering="reason")
    def why(self, move: Any) -> str:
        return format_html(
            '<span class="clamped" title="{}">{}</span>', move.reason or "", move.reason or ""
        )

    @admin.display(description="Age", ordering="created_at")
    def age(self, move: Move) -> str:
        return ago(move.created_at)

    def get_list_display(self, request: HttpRequest) -> Any:
        """With a column of the row's buttons, for who may press one of them."""
        actions = [action for action in self.row_actions if self.may(request, action.name)]
        if not actions:
            return self.list_display
        back = urlencode({"back": request.GET.urlencode()})

        @admin.display(description="Do", empty_value="")
        def buttons(move: Move) -> str:
            return format_html_join(
                " ",
                '<button class="row-action {}" formaction="{}?{}">{}</button>',
                (
                    (action.name, self.row_action_url(action, move.pk), back, action.label)
                    for action in actions
                    if action.offered(move)
                ),
            )

        return [*self.list_display, buttons]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """A number finds a station or an id, exactly; words are looked for in the texts."""
        for term in search_term.split():
            if ID.fullmatch(term):
                matches = Q(id=term)
                if int(term) <= INT4_MAX:
                    matches |= Q(from_station_id=term) | Q(to_station_id=term)
            else:
                matches = Q()
                for field in self.text_fields:
                    matches |= Q((f"{field}__icontains", term))
            queryset = queryset.filter(matches)
        return queryset, False

    # What is done to one row or to many

    def get_urls(self) -> list[URLPattern]:
        buttons = [
            path(
                f"<int:pk>/{action.name}/",
                self.admin_site.admin_view(self.row_action_view),
                {"action": action},
                name=self.row_action_name(action),
            )
            for action in self.row_actions
        ]
        return buttons + super().get_urls()

    def row_action_name(self, action: RowAction) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{action.name}"

    def row_action_url(self, action: RowAction, pk: int) -> str:
        return reverse(f"admin:{self.row_action_name(action)}", args=[pk])

    def row_action_view(self, request: HttpRequest, pk: int, action: RowAction) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not (self.has_view_permission(request) and self.may(request, action.name)):
            raise PermissionDenied
        self.run_each(request, [pk], action.done, action.run)
        changelist = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
        return HttpResponseRedirect(f"{changelist}?{request.GET.get('back', '')}")

    def response_action(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if not all(map(ID.fullmatch, request.POST.getlist(ACTION_CHECKBOX_NAME))):
            raise BadRequest("What is selected must be ids.")
        return super().response_action(request, *args, **kwargs)

    def selected_ids(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[int]:
        """What was ticked, in id order, also what has left the table since the page was shown."""
        if request.POST.get("select_across") == "1":
            ids = queryset.order_by("id").values_list("id", flat=True)
            return list(ids[: self.MOST_AT_ONCE + 1])
        return sorted({int(pk) for pk in request.POST.getlist(ACTION_CHECKBOX_NAME)})

    def run_each(
        self,
        request: HttpRequest,
        ids: Iterable[int],
        done: str,
        run: Callable[[int, str], Any],
    ) -> None:
        """Call the service for each id, as the signed-in user, and say truthfully what came of it.

        Each is a decision of its own: one refusal does not undo the others.
        """
        ids = list(ids)
        if len(ids) > self.MOST_AT_ONCE:
            text = f"Nothing was done: select at most {self.MOST_AT_ONCE} at once."
            self.message_user(request, text, messages.ERROR)
            return
        refusals = []
        for pk in ids:
            try:
                run(pk, request.user.get_username())
            except Refusal as refusal:
                refusals.append(str(refusal))
        succeeded = len(ids) - len(refusals)
        level = messages.WARNING if refusals else messages.SUCCESS
        self.message_user(request, self.outcome(succeeded, done, refusals), level)

    def outcome(self, succeeded: int, done: str, refusals: list[str]) -> str:
        text = f"{succeeded} {done}"
        if not refusals:
            return f"{text}."
        shown = " ".join(refusals[: self.REFUSALS_SHOWN])
        more = len(refusals) - self.REFUSALS_SHOWN
        return f"{text}; {len(refusals)} skipped: {shown}" + (f" And {more} more." * (more > 0))


def ago(moment: Any) -> str:
    """How long since, to one unit, with the exact time behind it."""
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        moment.strftime("%Y-%m-%d %H:%M:%S %Z"),
        timesince(moment, depth=1),
    )
