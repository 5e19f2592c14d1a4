"""What the lists of suggestions and of tasks share."""

from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.functional import cached_property
from django.utils.html import format_html, format_html_join
from django.utils.timesince import timesince

from ..models import INT4_MAX, Move, Station
from .operations import ID, OperationsAdmin
from .routes import attach_names, route_of

PRIORITY_STEP = 10
# No index finds words inside a text, and one that did would make each claim dearer. So many rows
# are read in a tenth of a second.
MOST_SEARCHED = 20_000


class BoundedPaginator(Paginator):
    """Counts no further than anybody would page, so that a list of millions opens at once."""

    MOST_ROWS = 10_000

    @property
    def is_cut(self) -> bool:
        return self.count == self.MOST_ROWS

    @cached_property
    def count(self) -> int:
        rows = cast(QuerySet[Model], self.object_list)
        return rows.order_by()[: self.MOST_ROWS].count()


class MoveAdmin(OperationsAdmin):
    LOOKUPS = {
        "source": r"[^\0]+",
        "urgency": "[a-z]+",
        "attention": "[a-z_]+",
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
    # What an index has in order.
    sortable_by = ("id", "route", "age", "since")
    add_fields: tuple[str, ...] = ()
    text_fields: tuple[str, ...] = ()

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        title = str(self.opts.verbose_name_plural).capitalize()
        return super().changelist_view(request, {**(extra_context or {}), "title": title})

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        changes = super().get_changelist_instance(request)
        rows: Any = list(changes.result_list)
        attach_names(rows)
        changes.result_list = rows
        return changes

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # A form would write back what it showed minutes ago; every change is an operation instead.
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Of a move that is there, only what there is to say."""
        if obj is None:
            return self.add_fields
        told = [name for name in self.fields or [] if getattr(obj, str(name)) not in (None, "")]
        return ["named_route", *told]

    def _get_obj_does_not_exist_redirect(
        self, request: HttpRequest, opts: Any, object_id: str
    ) -> HttpResponse:
        """Who opens what a colleague has decided meanwhile reads how, on the list."""
        text = self.why_missing(int(object_id)) if ID.fullmatch(object_id) else "No such address."
        self.message_user(request, text, messages.WARNING)
        return HttpResponseRedirect(self.list_url())

    def why_missing(self, pk: int) -> str:
        return f"{str(self.opts.verbose_name).capitalize()} {pk} not found."

    # Columns

    @admin.display(description="Route", ordering="from_station_id")
    def route(self, move: Move) -> str:
        return route_of(move)

    @admin.display(description="Reason")
    def why(self, move: Any) -> str:
        return format_html(
            '<span class="clamped" title="{}">{}</span>', move.reason or "", move.reason or ""
        )

    def get_list_display(self, request: HttpRequest) -> Any:
        """With a column of the row's buttons, for who may press one of them."""
        operations = [operation for operation in self.offered(request) if operation.in_list]
        if not operations:
            return self.list_display
        back = request.GET.urlencode()

        @admin.display(description="Do", empty_value="")
        def buttons(move: Move) -> str:
            return format_html_join(
                " ",
                '<button class="row-action {}" formaction="{}" aria-label="{}">{}</button>',
                (
                    (
                        operation.name,
                        self.button_url(operation, move, back=back),
                        f"{operation.label} {self.opts.verbose_name} {move.pk}",
                        operation.label,
                    )
                    for operation in operations
                    if operation.possible(move)
                ),
            )

        first, *rest = self.list_display
        return [first, buttons, *rest]

    def search(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """A number finds a station or an id, exactly; words are looked for in the texts and in the
        stations' names of the newest rows."""
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
            stations = Station.objects.filter(name__icontains=word).values("pk")
            matches = Q(from_station_id__in=stations) | Q(to_station_id__in=stations)
            for field in self.text_fields:
                matches |= Q((f"{field}__icontains", word))
            queryset = queryset.filter(matches)
        return queryset, False

    def newest(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The rows that are searched for words; a message says so if they are not all of them."""
        ids = queryset.order_by("-id").values_list("id", flat=True)
        cut = list(ids[MOST_SEARCHED - 1 : MOST_SEARCHED + 1])
        if len(cut) < 2:
            return queryset
        if request.method == "GET":
            self.message_user(
                request,
                f"Only the newest {MOST_SEARCHED:,} {self.opts.verbose_name_plural} were searched"
                " for words: choose a filter, or add a station's number, to search further back.",
                messages.WARNING,
            )
        return queryset.filter(id__gte=cut[0])

    # The page of one move

    @admin.display(description="Route")
    def named_route(self, move: Move) -> str:
        attach_names([move])
        return route_of(move)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        move = self.get_object(request, object_id) if ID.fullmatch(object_id) else None
        buttons = [
            (operation, self.button_url(operation, move, page="1"))
            for operation in self.offered(request)
            if move is not None and operation.possible(move)
        ]
        context = {**(extra_context or {}), "title": str(move), "subtitle": "", "buttons": buttons}
        return super().change_view(request, object_id, form_url, context)


def ago(moment: Any) -> str:
    """How long since, to one unit, with the exact time behind it."""
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        moment.strftime("%Y-%m-%d %H:%M:%S %Z"),
        timesince(moment, depth=1),
    )
