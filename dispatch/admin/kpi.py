"""The page of reports."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from ..exceptions import Refusal
from ..kpi import KpiReport, Period, build_report, period_of
from ..kpi.charts import Chart, charts_over_time
from ..kpi.document import table_to_csv, to_csv
from ..kpi.episodes import Episode
from ..kpi.periods import to_date
from ..kpi.places import Place
from ..kpi.stockouts import stockout_goal
from ..kpi.tables import TABLES

REQUIRED_PERMISSIONS = ["dispatch.view_task", "dispatch.view_station"]
CLUSTERS_SHOWN = 20
# Without rollups, a year would keep a server thread busy for most of a minute.
MOST_DAYS_READ = 31
# On narrower bars, the marks of a week earlier would run together.
MOST_DAYS_MARKED = 62
HOURS = [f"{hour:02}:00" for hour in range(24)]


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
        check_length(period, request.GET.get("as"))
        place = requested_place(request)
        found = build_report(period, timezone.now(), place, most_read=MOST_DAYS_READ)
    except Refusal as error:
        context["error"] = str(error)
        return TemplateResponse(request, "admin/dispatch/kpi.html", context, status=400)
    match request.GET.get("as"):
        case "csv":
            return as_file(found, "figures", to_csv(found))
        case name if name in TABLES:
            return as_file(found, name, table_to_csv(found, name))
    return TemplateResponse(request, "admin/dispatch/kpi.html", context | shown(found))


def shown(report: KpiReport) -> dict[str, Any]:
    stockouts, work = report.stockouts.by_hour, report.work.by_hour
    return {
        "first": str(report.period.first),
        "last": str(report.period.last),
        "report": report,
        "charts": charts_over_time(HOURS, stockouts, work, stockout_goal()),
        "hit_rate_hours": settings.HIT_RATE_HOURS,
        "charts_by_day": charts_of_days(report),
        "cluster_outages": worst_clusters(report),
        "hours": zip(HOURS, stockouts, work, strict=True),
    }


def requested_period(request: HttpRequest) -> Period:
    first, last = (
        to_date(text) if (text := request.GET.get(name)) else None for name in ("from", "to")
    )
    zone = timezone.get_default_timezone()
    return period_of(first, last, timezone.localdate(), zone)


def requested_place(request: HttpRequest) -> Place | None:
    area = request.GET.get("area")
    return None if area is None else Place(request.GET.get("system", ""), area)


def check_length(period: Period, table: str | None) -> None:
    """Refusal: the table is read from too many days' outages, which no rollup has."""
    if table == "outages" and (period.last - period.first).days >= MOST_DAYS_READ:
        raise Refusal(f"The outages of at most {MOST_DAYS_READ} days can be downloaded here.")


def as_file(found: KpiReport, subject: str, text: str) -> HttpResponse:
    name = f"{subject}-{found.period.first}-{found.period.last}.csv"
    return HttpResponse(
        text,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def charts_of_days(found: KpiReport) -> list[Chart]:
    """None for a single day: it would be one bar."""
    days = found.days
    if len(days) == 1:
        return []
    labels = [f"{day.first:%m-%d}" for day in days]
    shares, work = [day.share for day in days], [day.work for day in days]
    before = [day.share_before for day in days], [day.work_before for day in days]
    marked = before if len(days) <= MOST_DAYS_MARKED else None
    return charts_over_time(labels, shares, work, stockout_goal(), marked)


def worst_clusters(found: KpiReport) -> list[tuple[str, Episode]]:
    longest = sorted(found.cluster_outages, key=lambda outage: -outage.minutes)
    return [(found.names.get(outage.station_id, ""), outage) for outage in longest[:CLUSTERS_SHOWN]]
