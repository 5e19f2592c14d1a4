from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from dispatch.admin.kpi import kpi_page

urlpatterns = [
    # First, as phones ask most often.
    path("", include("dispatch.api.urls")),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/kpi/", admin.site.admin_view(kpi_page), name="kpi"),
    path("admin/board/", include("dispatch.board.urls")),
    path("admin/", admin.site.urls),
]

handler400 = "baywheels.errors.bad_request"
handler403 = "baywheels.errors.permission_denied"
handler404 = "baywheels.errors.page_not_found"
handler500 = "baywheels.errors.server_error"
