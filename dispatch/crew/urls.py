from django.urls import path

from . import pages
from .api import HereView, NextView, ReportsView, SeenView, StateView
from .joining import CodeView, JoinView, SignOutView
from .worker import service_worker

app_name = "crew"
urlpatterns = [
    path("", pages.shell, name="page"),
    # The code stands in the fragment, which browsers do not send.
    path("join", pages.shell, name="join"),
    path("sw.js", service_worker, name="worker"),
    path("texts-<slug:language>.json", pages.Texts.as_view(), name="texts"),
    path("manifest-<slug:language>.webmanifest", pages.manifest, name="manifest"),
    path("api/state", StateView.as_view(), name="api-state"),
    path("api/next", NextView.as_view(), name="api-next"),
    path("api/reports", ReportsView.as_view(), name="api-reports"),
    path("api/here", HereView.as_view(), name="api-here"),
    path("api/seen", SeenView.as_view(), name="api-seen"),
    path("api/code", CodeView.as_view(), name="api-code"),
    path("api/join", JoinView.as_view(), name="api-join"),
    path("api/signout", SignOutView.as_view(), name="api-signout"),
]
