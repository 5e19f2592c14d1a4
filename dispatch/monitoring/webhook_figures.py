"""Endpoints of webhooks, and what waits for them."""

from collections.abc import Iterator

from django.db.models import Count, Min, Sum
from prometheus_client.metrics_core import Metric

from ..models import DeliveryState, EndpointState, WebhookDelivery, WebhookEndpoint
from .samples import counter, gauge


def webhooks() -> Iterator[Metric]:
    yield from endpoint_figures()
    yield from delivery_figures()


def endpoint_figures() -> Iterator[Metric]:
    endpoints = WebhookEndpoint.objects.order_by()
    states = dict(endpoints.values_list("state").annotate(Count("id")))
    yield gauge(
        "dispatch_webhook_endpoints",
        "Endpoints of webhooks by state; failed: disabled by the service.",
        (([state], states.get(state, 0)) for state in EndpointState.values),
        ["state"],
    )
    enabled = endpoints.filter(state=EndpointState.ENABLED)
    yield gauge(
        "dispatch_webhook_failing_since_timestamp_seconds",
        "Of the enabled endpoints, the longest time without a success after a failure.",
        [((), enabled.aggregate(at=Min("failing_since"))["at"])],
    )
    outcomes = endpoints.aggregate(succeeded=Sum("succeeded"), failed=Sum("failed"))
    yield counter(
        "dispatch_webhook_attempts",
        "Attempts to deliver webhooks, by outcome.",
        (([outcome], number or 0) for outcome, number in outcomes.items()),
        ["outcome"],
    )


def delivery_figures() -> Iterator[Metric]:
    pending = WebhookDelivery.objects.filter(
        state=DeliveryState.PENDING, endpoint__state=EndpointState.ENABLED
    ).aggregate(n=Count("id"), at=Min("created_at"))
    yield gauge("dispatch_webhook_pending", "Deliveries to be sent.", [((), pending["n"])])
    yield gauge(
        "dispatch_webhook_oldest_pending_timestamp_seconds",
        "Creation of the oldest of them.",
        [((), pending["at"])],
    )
