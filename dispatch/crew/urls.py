from django.urls import path

from . import pages
from .worker import service_worker

app_name = "crew"
urlpatterns = [
    path("", pages.shell, name="page"),
    # The code stands in the fragment, which browsers do not send.
    path("join", pages.shell, name="join"),
    path("sw.js", service_worker, name="worker"),
    path("texts-<slug:language>.json", pages.Texts.as_view(), name="texts"),
    path("manifest-<slug:language>.webmanifest", pages.manifest, name="manifest"),
]
