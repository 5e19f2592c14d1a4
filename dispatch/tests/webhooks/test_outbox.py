"""Each change writes its deliveries itself: over HTTP, in the console, by commands and by SQL."""

import json
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models.functions import Now
from django.urls import reverse

from dispatch import services
from dispatch.models import (
    FeedKind,
    RejectionCode,
    StationFeed,
    Task,
    TaskEvent,
    WebhookDelivery,
    WebhookType,
)
from dispatch.models.events import LEASE_EXPIRED
from dispatch.webhooks.states import read_states

from ..support.factories import CrewFactory, SuggestionFactory, TaskFactory, claimed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def endpoint():
    return services.create_endpoint("https://example.org/hooks", actor="root")


def types():
    return [*WebhookDelivery.objects.order_by("id").values_list("type", flat=True)]


def data(webhook_type):
    [delivery] = WebhookDelivery.objects.filter(type=webhook_type)
    body = json.loads(delivery.body)
    assert body.keys() == {"type", "timestamp", "data"}
    assert body["type"] == webhook_type
    return body["data"]


def test_change_through_the_api_enqueues_a_delivery(endpoint, client):
    suggestion = SuggestionFactory()

    client.post("/task/approve", {"suggestion_id": suggestion.pk}, content_type="application/json")

    approved = data("suggestion.approved")
    [task] = Task.objects.all()
    assert (approved["task_id"], approved["suggestion_id"]) == (task.pk, suggestion.pk)
    assert approved["move"] == {"from_station_id": 100, "to_station_id": 200, "qty": 5}
    assert approved["id"] == TaskEvent.objects.get(kind="approved").pk


def test_rejection_in_the_console_enqueues_its_code_and_move(endpoint, dispatcher):
    suggestion = SuggestionFactory(qty=7)
    url = reverse("admin:dispatch_suggestion_changelist") + f"{suggestion.pk}/reject/"

    dispatcher.post(url, {"confirmed": "1", "code": RejectionCode.NO_CREW, "reason": ""})

    rejected = data("suggestion.rejected")
    assert rejected["details"]["code"] == "no_crew"
    assert rejected["move"]["qty"] == 7
    assert rejected["actor"] == "maria"


def test_release_by_the_sweep_enqueues_a_delivery_and_claims_none(endpoint):
    task = claimed()
    Task.objects.update(lease_expires_at=Now() - timedelta(minutes=1))

    call_command("sweep")
    task = services.claim_next_task("van-2", actor="api")
    services.release_task(task.pk, worker_id="van-2", actor="api", reason="Van is full.")

    assert types() == ["task.released"]
    assert data("task.released")["worker_id"] == "van-1"


def test_completion_enqueues_a_delivery(endpoint):
    services.complete_task(claimed().pk, actor="api")

    assert data("task.completed")["details"]["moved_qty"] == 5


def test_bulk_insert_by_sql_enqueues_a_delivery_for_each_event(endpoint):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO task_events (kind, task_id, actor, details) VALUES"
            " ('late_report', 7, 'psql', '{}'), ('problem', 8, 'psql', '{}'),"
            " ('claimed', 9, 'psql', '{}'), ('released', 9, 'psql', '{}')"
        )

    assert types() == ["task.late_report", "task.problem"]


def test_rolled_back_change_leaves_no_delivery(endpoint):
    with transaction.atomic():
        TaskEvent.objects.create(kind="problem", actor="api")
        assert types() == ["task.problem"]
        transaction.set_rollback(True)

    assert types() == []


def test_endpoint_gets_the_types_that_it_wants():
    services.create_endpoint("https://example.org", actor="root", types=["task.problem"])

    TaskEvent.objects.create(kind="problem", actor="api")
    TaskEvent.objects.create(kind="late_report", actor="api")

    assert types() == ["task.problem"]


def test_disabled_endpoint_gets_nothing_and_one_given_up_gets_dead_deliveries(endpoint):
    failed = services.create_endpoint("https://example.org/failed", actor="root")
    services.disable_endpoint(endpoint.pk, actor="root")
    type(failed).objects.filter(pk=failed.pk).update(state="failed")

    TaskEvent.objects.create(kind="problem", actor="api")

    [delivery] = WebhookDelivery.objects.all()
    assert (delivery.endpoint_id, delivery.state) == (failed.pk, "dead")


def test_large_details_are_left_out(endpoint):
    TaskEvent.objects.create(kind="problem", actor="api", details={"note": "x" * 16_001})

    [delivery] = WebhookDelivery.objects.all()
    assert data("task.problem")["details"] is None
    assert len(delivery.body) < 20_000


def test_feed_is_reported_when_it_fails_and_when_it_is_well_again(endpoint):
    arguments = ("bay", FeedKind.STATUS)
    for _ in range(3):
        services.note_trouble(*arguments, "https://example.org/?key=secret", "No answer.")
    StationFeed.objects.update(trouble="", read_at=Now())
    services.note_unmodified(*arguments)

    assert types() == ["feed.failing", "feed.recovered"]
    assert data("feed.failing")["trouble"] == "No answer."
    assert "secret" not in WebhookDelivery.objects.first().body


# States


def test_each_state_is_reported_once_for_each_occurrence(endpoint):
    CrewFactory(capacity=4)
    overdue = claimed(qty=4)
    TaskFactory(qty=5)
    suggestion = SuggestionFactory(priority=50)
    SuggestionFactory(priority=49)
    Task.objects.filter(pk=overdue.pk).update(
        created_at=Now() - timedelta(days=1), assigned_at=Now() - timedelta(hours=2)
    )

    assert services.enqueue_states(read_states) == 3
    assert services.enqueue_states(read_states) == 0

    assert sorted(types()) == ["suggestion.urgent", "task.overdue", "task.without_crew"]
    assert data("task.overdue")["task_id"] == overdue.pk
    assert data("task.without_crew")["why"].endswith("has a van for 5 bikes.")
    assert data("suggestion.urgent")["suggestion_id"] == suggestion.pk


def test_task_that_is_overdue_in_another_attempt_is_reported_again(endpoint):
    TaskFactory()
    for worker in ("van-1", "van-2"):
        task = services.claim_next_task(worker, actor="api")
        Task.objects.update(
            created_at=Now() - timedelta(days=1), assigned_at=Now() - timedelta(hours=2)
        )
        services.enqueue_states(read_states)
        services.release_task(task.pk, worker_id=worker, actor="api", reason="Late.")

    ids = [*WebhookDelivery.objects.values_list("event_id", flat=True)]
    assert sorted(ids) == [f"overdue_{task.pk}_1", f"overdue_{task.pk}_2"]


def test_states_are_not_read_without_an_endpoint(django_assert_num_queries):
    with django_assert_num_queries(1):
        services.enqueue_states(read_states)


@pytest.mark.parametrize(("kind", "calls"), [("claimed", 0), ("problem", 1)])
def test_claims_do_not_call_the_trigger(kind, calls):
    with connection.cursor() as cursor:
        cursor.execute(
            "EXPLAIN (ANALYZE, FORMAT JSON)"
            " INSERT INTO task_events (kind, actor) VALUES (%s, 'psql')",
            [kind],
        )
        [[[plan]]] = cursor.fetchall()

    called = {each["Trigger Name"]: each["Calls"] for each in plan["Triggers"]}
    assert sum(n for name, n in called.items() if "event_to_webhooks" in name) == calls


def test_reason_in_the_trigger_is_that_of_the_sweep():
    [trigger] = [each for each in TaskEvent._meta.triggers if each.name == "event_to_webhooks"]

    assert LEASE_EXPIRED in str(trigger.condition.resolve(TaskEvent))


def test_types_have_no_dots_in_their_ids_and_only_allowed_characters():
    assert all(each.replace(".", "").replace("_", "").isalpha() for each in WebhookType.values)
