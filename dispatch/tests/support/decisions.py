"""Decisions on suggestions, and the time that passes after them."""

from datetime import timedelta
from typing import Any

import pgtrigger
from django.db import transaction
from django.db.models import F, QuerySet

from dispatch import services
from dispatch.models import Suggestion, Task, TaskEvent


def approve(suggestion: Suggestion) -> Task:
    return services.approve_suggestion(suggestion.id, actor="maria").task


def remarks_on_approval() -> dict[str, Any]:
    """The details of the only event, an approval, beyond what an undo needs."""
    details = TaskEvent.objects.get().details
    assert {"suggested_at", "expires_at"} <= details.keys()
    return {name: details[name] for name in details.keys() - {"suggested_at", "expires_at"}}


def reject(suggestion: Suggestion) -> TaskEvent:
    return services.reject_suggestion(suggestion.id, actor="maria", reason="Road works")


def grow_old(decisions: QuerySet[TaskEvent]) -> None:
    """Make the decisions too old for an undo."""
    age = timedelta(seconds=services.UNDO_SECONDS + 1)
    with pgtrigger.ignore("dispatch.TaskEvent:event_is_append_only"), transaction.atomic():
        decisions.update(at=F("at") - age)
