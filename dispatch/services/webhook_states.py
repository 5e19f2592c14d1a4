"""Webhooks about states that no event marks. The unique id of a delivery keeps it to one each."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from ..models import DeliveryState, EndpointState, WebhookDelivery, WebhookEndpoint, WebhookType
from .webhook_endpoints import body_of

# More than these wait for the next round.
MOST_OF_A_STATE = 500


@dataclass(frozen=True)
class State:
    """`rows`: those in the state, each with an `event_id` that is the same for as long as it lasts.
    `data`: a delivery's account of a row."""

    type: WebhookType
    rows: QuerySet[Any]
    data: Callable[[Any], dict[str, Any]]


def enqueue_states(read_states: Callable[[], Iterable[State]]) -> int:
    """Write deliveries about rows that have entered a state. Return their number.

    Nothing is read if no endpoint wants any.
    """
    endpoints = list(WebhookEndpoint.objects.exclude(state=EndpointState.DISABLED))
    states = list(read_states()) if endpoints else []
    return sum(
        enqueue_state(endpoint, state)
        for endpoint in endpoints
        for state in states
        if not endpoint.types or state.type in endpoint.types
    )


@transaction.atomic(durable=True)
def enqueue_state(endpoint: WebhookEndpoint, state: State) -> int:
    known = WebhookDelivery.objects.filter(endpoint=endpoint, event_id=OuterRef("event_id"))
    rows = state.rows.exclude(Exists(known))[:MOST_OF_A_STATE]
    is_enabled = endpoint.state == EndpointState.ENABLED
    deliveries = [
        WebhookDelivery(
            endpoint=endpoint,
            event_id=row.event_id,
            type=state.type,
            body=body_of(state.type, timezone.now(), state.data(row)),
            state=DeliveryState.PENDING if is_enabled else DeliveryState.DEAD,
            finished_at=None if is_enabled else Now(),
        )
        for row in rows
    ]
    # Another sender may have noticed the same.
    WebhookDelivery.objects.bulk_create(deliveries, ignore_conflicts=True)
    return len(deliveries)
