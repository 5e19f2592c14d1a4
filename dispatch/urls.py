from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from .admin.activity import activity_page
from .admin.audit import audit_page
from .admin.crew_day import crew_day_page
from .admin.kpi import kpi_page
from .admin.my_mail import my_mail_page
from .admin.search import search_page
from .admin.station_choice import move_verdict, station_choices
from .api.urls import urlpatterns as api_urls

urlpatterns = [
    # Tried first: crews' phones send most of the requests.
    *api_urls,
    path("crew", RedirectView.as_view(pattern_name="crew:page")),
    path("crew/", include("dispatch.crew.urls")),
    path("admin/activity/", admin.site.admin_view(activity_page), name="activity"),
    path("admin/audit/", admin.site.admin_view(audit_page), name="audit"),
    path("admin/crew-day/", admin.site.admin_view(crew_day_page), name="crew-day"),
    path("admin/kpi/", admin.site.admin_view(kpi_page), name="kpi"),
    path("admin/my-mail/", admin.site.admin_view(my_mail_page), name="my-mail"),
    path("admin/search/", admin.site.admin_view(search_page), name="search"),
    path("admin/stations.json", admin.site.admin_view(station_choices), name="station-choices"),
    path("admin/verdict/", admin.site.admin_view(move_verdict), name="move-verdict"),
    path("admin/board/", include("dispatch.board.urls")),
]
