"""The endpoints of webhooks: add, rotate the secret, enable, disable, test, repeat deliveries."""

import base64
import json
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from ..exceptions import Conflict, NotFound, Refusal
from ..models import (
    PING,
    DeliveryState,
    EndpointState,
    WebhookDelivery,
    WebhookEndpoint,
)
from ..models.webhooks import URL_LENGTH
from .webhook_queue import lock_endpoint, stop_pending

MARKER = "whsec_"
SECRET_BYTES = 32
FORMER_SECRET_KEPT = timedelta(days=1)
BY_OPERATOR = "Disabled by {}."


def new_secret() -> str:
    return MARKER + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def check_url(url: str) -> None:
    """Refusal: no https address with a host, or one with a user, a fragment or another port.

    With WEBHOOK_ALLOW_NETWORKS, http and any port are accepted. Each delivery then checks that the
    address is in one of them.
    """
    try:
        parts = urlsplit(url)
        is_sound = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_sound = False
    if not (is_sound and url.isascii() and url.isprintable() and " " not in url):
        raise Refusal("Enter an address like https://example.org/hooks.")
    if len(url) > URL_LENGTH or "@" in parts.netloc or parts.fragment:
        raise Refusal("The address must have no user, password or fragment, and be short.")
    schemes = ("https", "http") if settings.WEBHOOK_ALLOW_NETWORKS else ("https",)
    if parts.scheme not in schemes:
        raise Refusal(f"The address must begin with {' or '.join(schemes)}://.")
    if parts.port not in (None, 443) and not settings.WEBHOOK_ALLOW_NETWORKS:
        raise Refusal("The address must be on port 443.")


@transaction.atomic
def create_endpoint(
    url: str, *, actor: str, description: str = "", types: Sequence[str] = ()
) -> WebhookEndpoint:
    """Return an enabled endpoint with its new secret. Not durable: the console's form has its own
    transaction."""
    check_url(url)
    endpoint: WebhookEndpoint = WebhookEndpoint.objects.create(
        url=url,
        description=description,
        types=list(types),
        secret=new_secret(),
        created_by=actor,
    )
    return endpoint


@transaction.atomic(durable=True)
def rotate_secret(endpoint_id: int) -> WebhookEndpoint:
    """Return the endpoint with its new secret. For a day, the former one signs too."""
    endpoint = lock_endpoint(endpoint_id)
    WebhookEndpoint.objects.filter(pk=endpoint_id).update(
        secret=new_secret(),
        former_secret=endpoint.secret,
        former_until=Now() + FORMER_SECRET_KEPT,
    )
    endpoint.refresh_from_db()
    return endpoint


@transaction.atomic(durable=True)
def enable_endpoint(endpoint_id: int) -> WebhookEndpoint:
    """Send to it again, from now on. Its dead deliveries stay dead until they are repeated."""
    endpoint = lock_endpoint(endpoint_id)
    WebhookEndpoint.objects.filter(pk=endpoint_id).update(
        state=EndpointState.ENABLED,
        disabled_at=None,
        disabled_why="",
        failing_since=None,
        next_try_at=None,
    )
    return endpoint


@transaction.atomic(durable=True)
def disable_endpoint(endpoint_id: int, *, actor: str) -> WebhookEndpoint:
    """Send nothing more to it, and write no further deliveries for it."""
    endpoint = lock_endpoint(endpoint_id)
    WebhookEndpoint.objects.filter(pk=endpoint_id).update(
        state=EndpointState.DISABLED,
        disabled_at=Now(),
        disabled_why=BY_OPERATOR.format(actor)[:200],
    )
    stop_pending(endpoint)
    return endpoint


@transaction.atomic(durable=True)
def ping_endpoint(endpoint_id: int, *, actor: str) -> WebhookEndpoint:
    """Enqueue a delivery of the type `ping`. Conflict: the endpoint is disabled."""
    endpoint = lock_enabled(endpoint_id)
    event_id = f"ping_{secrets.token_hex(8)}"
    WebhookDelivery.objects.create(
        endpoint=endpoint,
        event_id=event_id,
        type=PING,
        body=body_of(PING, timezone.now(), {"actor": actor}),
    )
    return endpoint


@transaction.atomic(durable=True)
def repeat_delivery(delivery_id: int) -> WebhookDelivery:
    """Send a sent or dead delivery again, under the same id.

    Conflict: it is pending, or its endpoint is disabled.
    """
    found = WebhookDelivery.objects.filter(pk=delivery_id).first()
    if found is None:
        raise NotFound(f"Delivery {delivery_id} not found.")
    lock_enabled(found.endpoint_id)
    finished = WebhookDelivery.objects.exclude(state=DeliveryState.PENDING)
    if not repeat(finished.filter(pk=delivery_id)):
        raise Conflict(f"Delivery {delivery_id} is pending.")
    return found


@transaction.atomic(durable=True)
def repeat_dead(endpoint_id: int, since: datetime) -> int:
    """Send all dead deliveries created since then again. Return their number."""
    endpoint = lock_enabled(endpoint_id)
    dead = WebhookDelivery.objects.dead().filter(endpoint=endpoint, created_at__gte=since)
    return repeat(dead)


def repeat(deliveries: Any) -> int:
    number: int = deliveries.update(
        state=DeliveryState.PENDING,
        tries=0,
        next_try_at=Now(),
        leased_until=None,
        finished_at=None,
    )
    return number


def lock_enabled(endpoint_id: int) -> WebhookEndpoint:
    endpoint = lock_endpoint(endpoint_id)
    if endpoint.state != EndpointState.ENABLED:
        raise Conflict(f"Endpoint {endpoint_id} is disabled. Enable it first.")
    return endpoint


def body_of(webhook_type: str, at: datetime, data: Any) -> str:
    message = {"type": webhook_type, "timestamp": at.isoformat(), "data": data}
    return json.dumps(message, cls=DjangoJSONEncoder, ensure_ascii=False)
