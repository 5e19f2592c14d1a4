from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from .metrics import metrics_page

urlpatterns = [
    path("", include("dispatch.urls")),
    path("metrics", metrics_page, name="metrics"),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
]

handler400 = "baywheels.errors.bad_request"
handler403 = "baywheels.errors.permission_denied"
handler404 = "baywheels.errors.page_not_found"
handler500 = "baywheels.errors.server_error"
