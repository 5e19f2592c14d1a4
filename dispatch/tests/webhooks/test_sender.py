"""Claims, attempts and their outcomes, against a real HTTP server."""

import json
import threading
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from dispatch import services
from dispatch.exceptions import Conflict
from dispatch.models import DeliveryState, EndpointState, TaskEvent, WebhookDelivery
from dispatch.models import WebhookEndpoint as Endpoint
from dispatch.services import webhook_queue
from dispatch.services.sweep import sweep
from dispatch.services.webhook_queue import (
    BACK_OFF,
    MOST_TRIES,
    Answer,
    claim_deliveries,
    record_attempt,
    wait_after,
)
from dispatch.webhooks import Sender

from ..support.concurrency import background, wait_until_blocked
from ..support.receivers import answering, receive, respond

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

FAILURE = Answer(500, "down")


def enqueue(number=1):
    return [TaskEvent.objects.create(kind="problem", actor="api").pk for _ in range(number)]


def make_due():
    WebhookDelivery.objects.update(next_try_at=Now(), leased_until=None)
    Endpoint.objects.update(next_try_at=None)


def states():
    return [*WebhookDelivery.objects.order_by("id").values_list("state", flat=True)]


# The request


def test_delivery_is_sent_once_and_the_signature_is_valid(endpoint, receiver):
    [event_id] = enqueue()

    call_command("send_webhooks")
    call_command("send_webhooks")

    [(headers, body)] = receiver.requests
    verified = Webhook(endpoint.secret).verify(body, headers)
    assert (verified["type"], verified["data"]["id"]) == ("task.problem", event_id)
    assert headers["webhook-id"] == f"event_{event_id}"
    assert headers["content-type"] == "application/json"
    assert states() == ["sent"]


def test_both_secrets_are_valid_for_a_day_after_a_rotation(endpoint, receiver):
    rotated = services.rotate_secret(endpoint.pk)
    enqueue()
    Sender().run()
    Endpoint.objects.update(former_until=Now())
    enqueue()
    Sender().run()

    [(headers, body), (later, later_body)] = receiver.requests
    for secret in (endpoint.secret, rotated.secret):
        assert Webhook(secret).verify(body, headers)
    assert Webhook(rotated.secret).verify(later_body, later)
    with pytest.raises(WebhookVerificationError):
        Webhook(endpoint.secret).verify(later_body, later)


def test_answer_is_kept_without_its_rest(endpoint, receiver):
    receiver.answer = answering(500, "no\0pe" + "x" * 5000)
    enqueue()

    Sender().run()

    [delivery] = WebhookDelivery.objects.all()
    assert (delivery.last_status, delivery.state) == (500, "pending")
    assert delivery.last_answer.startswith("no pex")
    assert len(delivery.last_answer) == 1000


def test_redirect_is_a_failure_and_is_not_followed(endpoint, receiver):
    receiver.answer = lambda handler: respond(handler, 302, Location=receiver.url)
    enqueue()

    Sender().run()

    assert len(receiver.requests) == 1
    assert states() == ["pending"]


# Retries


@pytest.mark.parametrize("tries", range(1, MOST_TRIES))
def test_attempts_follow_the_table_with_a_random_part(tries):
    planned = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400][tries - 1]

    assert planned <= wait_after(tries, 0) <= planned * 1.2


def test_retry_after_is_honoured_up_to_a_day():
    assert wait_after(1, 1000) == 1000
    assert wait_after(1, 10**9) <= BACK_OFF[-1] * 1.2


def test_endpoint_is_left_alone_for_as_long_as_it_asks(endpoint, receiver):
    receiver.answer = answering(429, Retry_After="3600")
    enqueue(3)

    Sender().run()

    endpoint.refresh_from_db()
    assert len(receiver.requests) <= 2
    assert endpoint.next_try_at > timezone.now() + timedelta(minutes=59)


def test_failing_endpoint_gets_one_request_at_a_time(endpoint):
    enqueue(3)
    first, second = claim_deliveries(16)
    record_attempt(first, FAILURE)
    record_attempt(second, FAILURE)
    assert claim_deliveries(16) == []

    make_due()

    assert len(claim_deliveries(16)) == 1


def test_success_ends_the_failure(endpoint):
    enqueue(2)
    first, second = claim_deliveries(16)
    record_attempt(first, FAILURE)
    record_attempt(second, Answer(200, ""))

    endpoint.refresh_from_db()
    assert (endpoint.failing_since, endpoint.next_try_at) == (None, None)
    assert (endpoint.succeeded, endpoint.failed) == (1, 1)


def test_delivery_dies_after_the_last_attempt(endpoint):
    enqueue()
    for _ in range(MOST_TRIES):
        assert states() == ["pending"]
        make_due()
        [attempt] = claim_deliveries(16)
        record_attempt(attempt, FAILURE)

    assert states() == ["dead"]


def test_answer_410_disables_the_endpoint_and_stops_what_is_queued(endpoint, receiver):
    receiver.answer = answering(410)
    enqueue(5)

    Sender().run()

    endpoint.refresh_from_db()
    assert endpoint.state == EndpointState.FAILED
    assert "410" in endpoint.disabled_why
    assert set(states()) == {"dead"}
    assert len(receiver.requests) <= 2


@pytest.mark.parametrize(("age", "state"), [(119, "enabled"), (121, "failed")])
def test_endpoint_is_disabled_after_five_days_of_failures(endpoint, age, state):
    Endpoint.objects.update(failing_since=Now() - timedelta(hours=age))
    enqueue()
    [attempt] = claim_deliveries(16)

    record_attempt(attempt, FAILURE)

    endpoint.refresh_from_db()
    assert endpoint.state == state


def test_nothing_is_sent_to_a_disabled_endpoint(endpoint, receiver):
    enqueue()
    services.disable_endpoint(endpoint.pk, actor="root")

    Sender().run()

    assert (receiver.requests, states()) == ([], ["dead"])


# Repeats


def test_dead_delivery_is_repeated_under_its_id(endpoint, receiver):
    enqueue(2)
    services.disable_endpoint(endpoint.pk, actor="root")
    old, new = WebhookDelivery.objects.order_by("id")
    WebhookDelivery.objects.filter(pk=old.pk).update(created_at=Now() - timedelta(days=2))
    with pytest.raises(Conflict):
        services.repeat_delivery(old.pk)
    services.enable_endpoint(endpoint.pk)

    assert services.repeat_dead(endpoint.pk, timezone.now() - timedelta(days=1)) == 1
    Sender().run()
    services.repeat_delivery(new.pk)
    Sender().run()

    assert receiver.ids == [new.event_id] * 2
    assert states() == ["dead", "sent"]


def test_pending_delivery_is_not_repeated(endpoint):
    enqueue()

    with pytest.raises(Conflict):
        services.repeat_delivery(WebhookDelivery.objects.get().pk)


# Several senders, and killed ones


def test_two_senders_at_once_send_each_delivery_once(endpoint, receiver):
    other = services.create_endpoint(receiver.url, actor="root")
    events = enqueue(10)

    with background() as run:
        for future in [run(Sender().run) for _ in range(2)]:
            future.result(timeout=30)
    while WebhookDelivery.objects.due().exists():
        Sender().run()

    assert sorted(receiver.ids) == sorted(f"event_{each}" for each in events for _ in range(2))
    assert Endpoint.objects.get(pk=other.pk).succeeded == 10


def test_second_sender_skips_an_endpoint_that_another_one_claims_for(endpoint):
    enqueue(4)

    with background() as run, transaction.atomic():
        Endpoint.objects.select_for_update(no_key=True).get()
        assert run(claim_deliveries, 16).result(timeout=10) == []


def test_at_most_two_deliveries_of_an_endpoint_are_in_flight(endpoint):
    enqueue(5)

    assert len(claim_deliveries(16)) == 2
    assert claim_deliveries(16) == []


def test_delivery_of_a_killed_sender_is_sent_again_with_its_id(endpoint, receiver):
    enqueue()
    [attempt] = claim_deliveries(16)
    Sender().run()
    assert receiver.requests == []

    WebhookDelivery.objects.update(leased_until=Now())
    Sender().run()
    record_attempt(attempt, FAILURE)

    assert receiver.ids == [attempt.event_id]
    assert states() == ["sent"]


def test_late_outcome_of_a_former_attempt_changes_nothing(endpoint):
    enqueue()
    [former] = claim_deliveries(16)
    WebhookDelivery.objects.update(leased_until=Now())
    claim_deliveries(16)

    record_attempt(former, Answer(200, ""))

    assert states() == ["pending"]
    assert WebhookDelivery.objects.in_flight().count() == 1


def test_endpoint_that_hangs_delays_no_other(endpoint, receiver):
    release = threading.Event()
    receiver.answer = lambda handler: release.wait(20) and respond(handler, 204)
    with receive() as quick:
        services.create_endpoint(quick.url, actor="root")
        enqueue(6)
        with background() as run:
            sending = run(Sender().run)
            try:
                for _ in range(100):
                    if len(quick.requests) == 6:
                        break
                    release.wait(0.1)
                assert len(quick.requests) == 6
                assert len(receiver.requests) == 2
            finally:
                release.set()
            sending.result(timeout=30)


def test_no_transaction_is_open_while_a_request_is_under_way(endpoint, receiver):
    def look(handler):
        # These would wait for a lock that the sender holds.
        with background() as run:
            run(services.rotate_secret, endpoint.pk).result(timeout=5)
            run(WebhookDelivery.objects.update, type="task.problem").result(timeout=5)
        respond(handler, 204)

    receiver.answer = look
    enqueue()

    Sender().run()

    assert states() == ["sent"]


def test_stopped_sender_begins_no_request(endpoint, receiver):
    enqueue()

    Sender(stopped=lambda: True).run()

    assert (receiver.requests, states()) == ([], ["pending"])


# Locks


def test_record_waits_for_an_operation_on_the_endpoint_and_then_changes_nothing(endpoint):
    enqueue()
    [attempt] = claim_deliveries(16)
    with background() as run:
        with transaction.atomic():
            Endpoint.objects.select_for_update(no_key=True).get()
            recording = run(record_attempt, attempt, FAILURE)
            wait_until_blocked(recording)
            webhook_queue.give_up(endpoint, "Enough.")
        recording.result(timeout=10)

    assert WebhookDelivery.objects.get().last_status is None
    assert states() == [DeliveryState.DEAD]


def test_change_does_not_wait_for_the_sender(endpoint):
    with background() as run, transaction.atomic():
        Endpoint.objects.select_for_update().get()
        run(enqueue).result(timeout=10)

    assert states() == ["pending"]


def test_sweep_deletes_old_deliveries_and_skips_locked_ones(endpoint):
    enqueue(5)
    for delivery, (state, days) in zip(
        WebhookDelivery.objects.order_by("id"),
        [("sent", 31), ("sent", 29), ("dead", 91), ("dead", 89), ("sent", 31)],
        strict=True,
    ):
        WebhookDelivery.objects.filter(pk=delivery.pk).update(
            state=state, finished_at=Now() - timedelta(days=days)
        )
    locked = WebhookDelivery.objects.order_by("-id").first()

    with background() as run, transaction.atomic():
        WebhookDelivery.objects.select_for_update().get(pk=locked.pk)
        assert run(sweep, actor="sweep").result(timeout=10).deliveries == 2

    assert states() == ["sent", "dead", "sent"]


def test_ping_is_sent_whatever_types_the_endpoint_wants(endpoint, receiver):
    Endpoint.objects.update(types=["task.overdue"])

    services.ping_endpoint(endpoint.pk, actor="root")
    Sender().run()

    [(_, body)] = receiver.requests
    assert json.loads(body)["type"] == "ping"
