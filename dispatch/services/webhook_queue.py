"""The queue of webhook deliveries: claim what is due, record the outcome of each attempt.

Every operation locks the endpoint before its deliveries. No lock is held while a request is under
way: a lease keeps other senders off, and a killed sender's deliveries are sent again.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from ..exceptions import NotFound
from ..models import DeliveryState, EndpointState, WebhookDelivery, WebhookEndpoint
from ..models.webhooks import ANSWER_LENGTH

# Seconds before each further attempt: three days in all.
BACK_OFF = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
MOST_TRIES = len(BACK_OFF) + 1
LONGEST_WAIT = BACK_OFF[-1]
# A failing endpoint gets one request at a time, with such a pause after the first failure, and
# after each further one.
FIRST_PAUSE, PAUSE = 5, 300
IN_FLIGHT = 2
# Far longer than an exchange can last.
LEASE = timedelta(minutes=2)
PATIENCE = timedelta(days=5)
GONE = 410
BATCH = 500


@dataclass(frozen=True)
class Attempt:
    """One delivery to send. `tries` counts it already. `secrets`: each signs it."""

    delivery_id: int
    tries: int
    endpoint_id: int
    url: str
    secrets: Sequence[str]
    event_id: str
    body: str


@dataclass(frozen=True)
class Answer:
    """`status` None: there was no answer, and `text` says why. `retry_after`: seconds."""

    status: int | None
    text: str
    retry_after: float = 0

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@transaction.atomic(durable=True)
def claim_deliveries(limit: int) -> list[Attempt]:
    """Lease up to `limit` deliveries that are due, at most two of an endpoint."""
    endpoints = WebhookEndpoint.objects.due().order_by(F("next_try_at").asc(nulls_first=True), "id")
    attempts: list[Attempt] = []
    for endpoint in endpoints.select_for_update(skip_locked=True, no_key=True)[:limit]:
        attempts += lease_of(endpoint, limit - len(attempts))
    return attempts


def lease_of(endpoint: WebhookEndpoint, limit: int) -> list[Attempt]:
    most = 1 if endpoint.failing_since else IN_FLIGHT
    in_flight = WebhookDelivery.objects.in_flight().filter(endpoint=endpoint).count()
    free = max(0, min(most - in_flight, limit))
    due = WebhookDelivery.objects.due().filter(endpoint=endpoint).order_by("next_try_at", "id")
    leased = list(due.select_for_update(skip_locked=True)[:free])
    WebhookDelivery.objects.filter(pk__in=[each.pk for each in leased]).update(
        tries=F("tries") + 1, leased_until=Now() + LEASE
    )
    secrets = secrets_of(endpoint)
    return [
        Attempt(
            each.pk, each.tries + 1, endpoint.pk, endpoint.url, secrets, each.event_id, each.body
        )
        for each in leased
    ]


def secrets_of(endpoint: WebhookEndpoint) -> list[str]:
    former = WebhookEndpoint.objects.filter(pk=endpoint.pk, former_until__gt=Now())
    return [endpoint.secret, *former.values_list("former_secret", flat=True)]


@transaction.atomic(durable=True)
def record_attempt(attempt: Attempt, answer: Answer) -> None:
    """Record the outcome, unless the delivery has been claimed, repeated or given up since."""
    endpoint = lock_endpoint(attempt.endpoint_id)
    delivery = WebhookDelivery.objects.select_for_update().filter(
        pk=attempt.delivery_id, tries=attempt.tries, state=DeliveryState.PENDING
    )
    if not delivery.exists():
        return
    last = {"last_status": answer.status, "last_answer": answer.text[:ANSWER_LENGTH]}
    if answer.is_success:
        delivery.update(state=DeliveryState.SENT, finished_at=Now(), leased_until=None, **last)
        endpoint.succeeded += 1
        endpoint.failing_since = endpoint.next_try_at = None
        endpoint.save(update_fields=["succeeded", "failing_since", "next_try_at"])
        return
    wait = timedelta(seconds=wait_after(attempt.tries, answer.retry_after))
    delivery.update(next_try_at=Now() + wait, leased_until=None, **last)
    if attempt.tries >= MOST_TRIES:
        delivery.update(state=DeliveryState.DEAD, finished_at=Now())
    note_failure(endpoint, answer)


def note_failure(endpoint: WebhookEndpoint, answer: Answer) -> None:
    pause = max(PAUSE if endpoint.failing_since else FIRST_PAUSE, answer.retry_after)
    this = WebhookEndpoint.objects.filter(pk=endpoint.pk)
    this.update(
        failed=F("failed") + 1, next_try_at=Now() + timedelta(seconds=min(pause, LONGEST_WAIT))
    )
    this.filter(failing_since__isnull=True).update(failing_since=Now())
    if answer.status == GONE:
        give_up(endpoint, "It answered 410: it wants no more.")
    elif this.filter(failing_since__lte=Now() - PATIENCE).exists():
        give_up(endpoint, "For five days every attempt has failed.")


def give_up(endpoint: WebhookEndpoint, why: str) -> None:
    WebhookEndpoint.objects.filter(pk=endpoint.pk, state=EndpointState.ENABLED).update(
        state=EndpointState.FAILED, disabled_at=Now(), disabled_why=why
    )
    stop_pending(endpoint)


def lock_endpoint(endpoint_id: int) -> WebhookEndpoint:
    locked = WebhookEndpoint.objects.select_for_update(no_key=True).filter(pk=endpoint_id).first()
    if locked is None:
        raise NotFound(f"Endpoint {endpoint_id} not found.")
    return locked


def stop_pending(endpoint: WebhookEndpoint) -> None:
    """Deliveries of a disabled endpoint are not tried any more. They can be repeated."""
    pending = WebhookDelivery.objects.filter(endpoint=endpoint, state=DeliveryState.PENDING)
    pending.update(state=DeliveryState.DEAD, finished_at=Now(), leased_until=None)


def wait_after(tries: int, retry_after: float) -> float:
    """Seconds until the next attempt. A random part keeps deliveries out of step."""
    planned = BACK_OFF[min(tries, len(BACK_OFF)) - 1] * random.uniform(1, 1.2)  # noqa: S311
    return min(max(planned, retry_after), LONGEST_WAIT * 1.2)


@transaction.atomic(durable=True)
def forget_deliveries(*, limit: int = BATCH) -> int:
    old = WebhookDelivery.objects.old().order_by("finished_at")
    rows = list(old.select_for_update(skip_locked=True)[:limit])
    WebhookDelivery.objects.filter(pk__in=[row.pk for row in rows]).delete()
    return len(rows)
