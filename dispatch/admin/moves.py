"""The common base of the admin pages of suggestions and tasks."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.timesince import timesince

from ..models import INT4_MAX, Station, TaskEvent
from ..overview.moves import view_moves
from ..overview.station_search import search_stations
from ..planning.verdicts import about_crossing
from ..services.guard import capacities_of
from .base import ID
from .csv_lists import CsvMoves
from .history import LINKED, describe_event
from .operations import Operation, OperationsAdmin
from .station_field import StationField

ENDS = ("from_station_id", "to_station_id")
PRIORITY_STEP = 10
# There is no full-text index: it would make every claim slower. Scanning this many rows takes a
# tenth of a second.
MAX_SEARCHED = 20_000


class BoundedPaginator(Paginator):
    """Stops counting at MAX_ROWS, so that a list of millions opens at once."""

    MAX_ROWS = 10_000

    @property
    def is_capped(self) -> bool:
        return self.count == self.MAX_ROWS

    @cached_property
    def count(self) -> int:
        rows = cast(QuerySet[Model], self.object_list)
        return rows.order_by()[: self.MAX_ROWS].count()


def priority_operations(
    run: Callable[..., Any], possible: Callable[[Any], bool] = lambda _: True
) -> Iterator[Operation]:
    for name, done, step in (
        ("raise", "raised", PRIORITY_STEP),
        ("lower", "lowered", -PRIORITY_STEP),
    ):
        yield Operation(
            name=name,
            label=f"{name.capitalize()} priority",
            done=f"{done} in priority",
            permission="prioritize",
            run=partial(run, by=step),
            possible=possible,
            asks=lambda _: False,
        )


@dataclass(frozen=True)
class Button:
    """`refused`: the reason why the operation would fail now; empty: it may succeed."""

    name: str
    label: str
    url: str
    refused: str = ""


class MoveForm(forms.ModelForm):
    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        numbers = [cleaned[end] for end in ENDS if end in cleaned]
        if len(numbers) == len(ENDS):
            capacities = capacities_of(numbers)
            if crossing := about_crossing(*(capacities[number] for number in numbers)):
                self.add_error(ENDS[1], crossing)
        return cleaned


class MoveAdmin(CsvMoves, OperationsAdmin):
    LOOKUPS = {
        "system": r"[^\0]+",
        "source": r"[^\0]+",
        "urgency": "[a-z]+",
        "attention": "[a-z_]+",
        "worker": r"[^\0]+",
        "status__exact": "[a-z]+",
        "created_at__year": "[12][0-9]{3}",
        "created_at__month": "[1-9]|1[0-2]",
        "created_at__day": "[1-9]|[12][0-9]|3[01]",
    }

    form = MoveForm
    paginator = BoundedPaginator
    show_full_result_count = False
    change_list_template = "admin/dispatch/list.html"
    list_per_page = 50
    list_max_show_all = 200
    # Columns that an index can sort.
    sortable_by = ("id", "route", "age", "since")
    add_fields: tuple[str, ...] = ()
    text_fields: tuple[str, ...] = ()

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        changelist = super().get_changelist_instance(request)
        rows: Any = list(changelist.result_list)
        attach_views(rows)
        back = request.GET.urlencode()
        offered = [operation for operation in self.offered(request) if operation.in_list]
        for row in rows:
            row.buttons = self.buttons_of(row, offered, back=back)
        if not any(row.buttons for row in rows):
            shown = [name for name in changelist.list_display if name != "buttons"]
            changelist.list_display = shown
        changelist.result_list = rows
        return changelist

    def buttons_of(self, move: Any, offered: Iterable[Operation], **query: str) -> list[Button]:
        """The operations that are possible now. `move` has its view."""
        buttons = (
            self.button(operation, move, self.button_url(operation, move, **query))
            for operation in offered
            if operation.possible(move)
        )
        return [button for button in buttons if button]

    def button(self, operation: Operation, move: Any, url: str) -> Button | None:
        """None: the operation would change nothing now."""
        return Button(operation.name, operation.label, url)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.add_fields if obj is None else self.filled_fields(obj)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.name in ENDS:
            return StationField(label=capfirst(db_field.verbose_name))
        return super().formfield_for_dbfield(db_field, request, **options)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context["show_save_and_continue"] = False
        return super().render_change_form(request, context, *args, **kwargs)

    def response_post_save_add(self, request: HttpRequest, obj: Any) -> HttpResponseRedirect:
        if "board" in request.GET:
            return redirect("board:page")
        return super().response_post_save_add(request, obj)

    # Columns

    @admin.display(description="Move", ordering="from_station_id")
    def route(self, move: Any) -> str:
        context = {"item": move.view, "reason": move.reason}
        return render_to_string("admin/dispatch/move_summary.html", context)

    @admin.display(description="Actions", empty_value="")
    def buttons(self, move: Any) -> str:
        if not move.buttons:
            return ""
        return render_to_string(
            "admin/dispatch/buttons.html", {"buttons": move.buttons, "move": move}
        )

    def search(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Match numbers exactly, as a station or an id. Match words in texts and station names of
        the newest rows."""
        terms = search_term.split()
        numbers = [term for term in terms if ID.fullmatch(term)]
        for number in numbers:
            matches = Q(id=number)
            if int(number) <= INT4_MAX:
                matches |= Q(from_station_id=number) | Q(to_station_id=number)
            queryset = queryset.filter(matches)
        words = [term for term in terms if term not in numbers]
        if words:
            queryset = self.newest(request, queryset)
        for word in words:
            stations = search_stations(Station.objects.all(), word).values("pk")
            matches = Q(from_station_id__in=stations) | Q(to_station_id__in=stations)
            for field in self.text_fields:
                matches |= Q((f"{field}__icontains", word))
            queryset = queryset.filter(matches)
        return queryset, False

    def newest(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The rows to search for words, with a message if older rows are left out."""
        ids = queryset.order_by("-id").values_list("id", flat=True)
        cutoff = list(ids[MAX_SEARCHED - 1 : MAX_SEARCHED + 1])
        if len(cutoff) < 2:
            return queryset
        if request.method == "GET":
            self.message_user(
                request,
                f"Only the newest {MAX_SEARCHED:,} {self.opts.verbose_name_plural} were searched"
                " for words. Filter, or add a station number, to search older ones.",
                messages.WARNING,
            )
        return queryset.filter(id__gte=cutoff[0])

    # The page of one move

    def page_context(self, request: HttpRequest, object_id: str) -> dict[str, Any]:
        move = self.get_object(request, object_id) if ID.fullmatch(object_id) else None
        if move is None:
            return {}
        attach_views([move])
        events = self.events_about(move.pk).order_by("id")
        return {
            "title": str(move),
            "subtitle": "",
            "move": move,
            "buttons": self.buttons_of(move, self.offered(request), page="1"),
            "history": [(event.at, *describe_event(event, LINKED)) for event in events],
        }

    def events_about(self, pk: int) -> QuerySet[TaskEvent]:
        return TaskEvent.objects.filter(**{f"{self.opts.model_name}_id": pk})


def attach_views(moves: Sequence[Any]) -> None:
    """Set `view`, the board's view, on each move. All are of one model."""
    views = view_moves(moves, timezone.now())
    for move in moves:
        move.view = views[move.pk]


def ago(moment: Any) -> str:
    """The time since then, in one unit, with the exact time as a tooltip."""
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        moment.strftime("%Y-%m-%d %H:%M:%S %Z"),
        timesince(moment, depth=1),
    )
