"""Lists as CSV files."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain
from operator import attrgetter
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect, StreamingHttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_safe

from ..models import Station
from ..tables import csv_text

ROWS_AT_ONCE = 2000


class CsvList(admin.ModelAdmin):
    """A list that can be downloaded as filtered, searched and sorted, with all its pages."""

    # A file of millions of rows would fail half-way: the usual statement timeout applies.
    most_exported = 50_000
    csv_columns: tuple[str, ...] = ()

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_safe(self.csv_view))
        return [path("list.csv", view), *super().get_urls()]

    def csv_view(self, request: HttpRequest) -> HttpResponseBase:
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            rows = self.get_changelist_instance(request).queryset[: self.most_exported]
        except IncorrectLookupParameters:
            return HttpResponseRedirect("./?e=1")
        name = f"{self.opts.model_name}s"
        return csv_file(name, chain([self.csv_columns], self.csv_rows(rows)))

    def csv_rows(self, rows: QuerySet[Any]) -> Iterator[list[Any]]:
        for row in self.csv_objects(rows.iterator(chunk_size=ROWS_AT_ONCE)):
            yield [cell(attrgetter(column)(row)) for column in self.csv_columns]

    def csv_objects(self, rows: Iterable[Any]) -> Iterable[Any]:
        """Override this to give the rows more attributes."""
        return rows


class CsvMoves(CsvList):
    """Moves, with the names and areas of their stations."""

    MOVE_COLUMNS = (
        "id",
        "from_station_id",
        "from_station",
        "from_area",
        "to_station_id",
        "to_station",
        "to_area",
        "qty",
        "priority",
        "source",
        "reason",
        "created_at",
    )

    def csv_objects(self, rows: Iterable[Any]) -> Iterator[Any]:
        stations = {pk: ends for pk, *ends in Station.objects.values_list("id", "name", "area")}
        unknown = ["", ""]
        for move in rows:
            move.from_station, move.from_area = stations.get(move.from_station_id, unknown)
            move.to_station, move.to_area = stations.get(move.to_station_id, unknown)
            yield move


def csv_file(name: str, rows: Iterable[Sequence[Any]]) -> StreamingHttpResponse:
    """Stream the rows as a file with this name and the date."""
    header = f'attachment; filename="{name}-{timezone.localdate()}.csv"'
    return StreamingHttpResponse(
        csv_text(rows),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": header},
    )


def cell(value: Any) -> Any:
    """Write times as local times with their offset."""
    return timezone.localtime(value).isoformat() if isinstance(value, datetime) else value
