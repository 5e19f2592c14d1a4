"""A short key that changes whenever the board would look different, and is cheap to compute."""

from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.db.models import Count, Max, Q, Sum
from django.utils import timezone

from ..models import (
    Crew,
    Station,
    StationFeed,
    StationStatus,
    Suggestion,
    Task,
    TaskEvent,
    TaskStatus,
)
from ..overview.roster import with_phone
from .filters import BoardFilters

# Far more than are written while one transaction lasts.
LAST_EVENTS = 200
CREW_COLUMNS = ("worker_id", "name", "system", "areas", "capacity", "active", "last_seen_at")


def version_of(now: datetime, *, user: Any, filters: BoardFilters) -> str:
    """A hash of everything the board shows that can change.

    Operations record an event; the other facts cover SQL, feeds and the passing of time. An event
    may commit after one with a higher id: it changes the sum of the last ids.
    """
    return sha256(repr([filters, *facts(now, user)]).encode()).hexdigest()[:20]


def facts(now: datetime, user: Any) -> list[Any]:
    old = now - timedelta(minutes=settings.STATUS_MAX_AGE_MINUTES)
    return [
        user.pk,
        sorted(user.get_all_permissions()),
        f"{timezone.localtime(now):%F %H %z}",
        TaskEvent.objects.order_by("-id")[:LAST_EVENTS].aggregate(Max("id"), Sum("id")),
        Suggestion.objects.aggregate(Count("id"), Max("id"), Sum("priority"), Sum("qty")),
        Suggestion.objects.filter(expires_at__lte=now).count(),
        Task.objects.open().aggregate(
            Count("id"),
            Max("id"),
            Sum("attempt"),
            Sum("priority"),
            ready=Count("id", filter=Q(status=TaskStatus.READY)),
        ),
        Task.objects.overdue().count(),
        Station.objects.present().aggregate(Count("id")),
        StationStatus.objects.aggregate(
            Max("as_of"),
            Sum("bikes"),
            Sum("docks"),
            working=Count("station", filter=Q(in_service=True)),
            fresh=Count("station", filter=Q(as_of__gte=old)),
        ),
        [*with_phone(Crew.objects.order_by("id")).values_list(*CREW_COLUMNS, "has_phone")],
        [*StationFeed.objects.order_by("id").values_list("id", "made_at", "read_at", "trouble")],
    ]
