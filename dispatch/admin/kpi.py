"""The page of reports."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from ..exceptions import Refusal
from ..kpi import KpiReport, Period, build_report, period_of
from ..kpi.charts import charts_by_hour
from ..kpi.document import area_table, crew_table, table_to_csv, to_csv
from ..kpi.periods import to_date
from ..kpi.stockouts import Episode

REQUIRED_PERMISSIONS = ["dispatch.view_task", "dispatch.view_station"]
CLUSTERS_SHOWN = 20
# A year would keep a server thread busy for most of a minute.
MAX_DAYS = 31
HOURS = [f"{hour:02}:00" for hour in range(24)]
# The files by the value of `as`, each with the beginning of its name.
FILES: dict[str, tuple[str, Callable[[KpiReport], str]]] = {
    "csv": ("figures", to_csv),
    "crews": ("crews", lambda found: table_to_csv(crew_table(found))),
    "areas": ("areas", lambda found: table_to_csv(area_table(found))),
}


@require_safe
def kpi_page(request: HttpRequest) -> HttpResponse:
    if not request.user.has_perms(REQUIRED_PERMISSIONS):
        raise PermissionDenied
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": "Reports",
        "first": request.GET.get("from", ""),
        "last": request.GET.get("to", ""),
    }
    try:
        period = requested_period(request)
    except Refusal as error:
        context["error"] = str(error)
        return TemplateResponse(request, "admin/dispatch/kpi.html", context, status=400)
    found = build_report(period, timezone.now(), request.GET.get("area"))
    if (form := request.GET.get("as")) in FILES:
        return as_file(found, *FILES[form])
    context |= {
        "first": str(period.first),
        "last": str(period.last),
        "report": found,
        "charts": charts_by_hour(HOURS, found.stockouts.by_hour, found.work.by_hour),
        "cluster_outages": worst_clusters(found),
        "hours": zip(HOURS, found.stockouts.by_hour, found.work.by_hour, strict=True),
    }
    return TemplateResponse(request, "admin/dispatch/kpi.html", context)


def requested_period(request: HttpRequest) -> Period:
    first, last = (
        to_date(text) if (text := request.GET.get(name)) else None for name in ("from", "to")
    )
    zone = timezone.get_default_timezone()
    return period_of(first, last, timezone.localdate(), zone, MAX_DAYS)


def as_file(found: KpiReport, kind: str, write: Callable[[KpiReport], str]) -> HttpResponse:
    name = f"{kind}-{found.period.first}-{found.period.last}.csv"
    return HttpResponse(
        write(found),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def worst_clusters(found: KpiReport) -> list[tuple[str, Episode]]:
    longest = sorted(found.cluster_outages, key=lambda outage: -outage.minutes)
    return [(found.names[outage.station_id], outage) for outage in longest[:CLUSTERS_SHOWN]]
