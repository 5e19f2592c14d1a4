from django.urls import path
from drf_spectacular.renderers import OpenApiJsonRenderer2
from drf_spectacular.views import (
    SpectacularJSONAPIView,
    SpectacularSwaggerSplitView,
)
from rest_framework.routers import SimpleRouter

from .views import (
    DispatchViewSet,
    EventViewSet,
    HealthView,
    LivenessView,
    ReadinessView,
    RedocScriptView,
    RedocView,
    StationViewSet,
    SuggestionViewSet,
    TaskListViewSet,
    TaskViewSet,
)

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
# The most frequent requests of phones come first: paths are tried in order.
router.register("dispatch", DispatchViewSet, basename="dispatch")
router.register("task", TaskViewSet)
router.register("suggestions", SuggestionViewSet)
router.register("tasks", TaskListViewSet, basename="tasks")
router.register("events", EventViewSet)
router.register("stations", StationViewSet)

schema = SpectacularJSONAPIView.as_view(renderer_classes=[OpenApiJsonRenderer2])

urlpatterns = [
    *router.urls,
    path("", HealthView.as_view(), name="health"),
    path("healthz", LivenessView.as_view(), name="healthz"),
    path("readyz", ReadinessView.as_view(), name="readyz"),
    path("openapi.json", schema, name="schema"),
    path("docs", SpectacularSwaggerSplitView.as_view(), name="docs"),
    path("redoc.js", RedocScriptView.as_view(), name="redoc-script"),
    path("redoc", RedocView.as_view(), name="redoc"),
]
