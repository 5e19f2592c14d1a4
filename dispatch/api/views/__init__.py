from .dispatch import DispatchViewSet
from .events import EventViewSet
from .pages import HealthView, LivenessView, ReadinessView, RedocScriptView, RedocView
from .stations import StationViewSet
from .suggestions import SuggestionViewSet
from .task_list import TaskListViewSet
from .tasks import TaskViewSet

__all__ = [
    "DispatchViewSet",
    "EventViewSet",
    "HealthView",
    "LivenessView",
    "ReadinessView",
    "RedocScriptView",
    "RedocView",
    "StationViewSet",
    "SuggestionViewSet",
    "TaskListViewSet",
    "TaskViewSet",
]
