"""The figures that Prometheus reads from the tables."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone
from prometheus_client import CollectorRegistry

from dispatch import services
from dispatch.models import (
    ClusterOutage,
    EventKind,
    Heartbeat,
    MailMessage,
    MailSubscription,
    Station,
    StationFeed,
    StatusPoll,
    System,
    Task,
    TaskEvent,
    WebhookEndpoint,
)
from dispatch.monitoring import Exporter, exporter

from ..support.factories import (
    CrewFactory,
    StationFactory,
    SuggestionFactory,
    TaskFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def read():
    """Read the tables, and return a function that gives the value of a series, or None."""
    reader, registry = Exporter(), CollectorRegistry()
    registry.register(reader)

    def sample():
        reader.read()
        return lambda name, **labels: registry.get_sample_value(f"dispatch_{name}", labels)

    return sample


def test_ready_tasks_are_counted_by_area_with_the_age_of_the_oldest(read):
    StationFactory(id=1, area="East Bay")
    created = timezone.now() - timedelta(hours=3)
    TaskFactory(from_station_id=1, created_at=created)
    TaskFactory(from_station_id=1)
    TaskFactory(from_station_id=9)

    value = read()

    assert value("ready_tasks", area="East Bay", system="bay") == 2
    assert value("ready_tasks", area="", system="") == 1
    oldest = value("ready_oldest_timestamp_seconds", area="East Bay", system="bay")
    assert oldest == pytest.approx(created.timestamp())


def test_areas_of_the_same_name_are_counted_by_system(read):
    for number, system in ((1, "lyon"), (2, "paris"), (3, "paris")):
        StationFactory(id=number, system=system, area="Centre")
        TaskFactory(from_station_id=number)

    value = read()

    assert value("ready_tasks", area="Centre", system="lyon") == 1
    assert value("ready_tasks", area="Centre", system="paris") == 2


def test_empty_queue_has_no_oldest_task(read):
    assert read()("ready_oldest_timestamp_seconds", area="", system="") is None


def test_tasks_that_no_crew_may_take_are_counted(read):
    CrewFactory(areas=[], capacity=4)
    TaskFactory(qty=4)
    TaskFactory(qty=5)

    value = read()

    assert value("tasks_without_crew") == 1
    assert value("tasks_without_crew_oldest_timestamp_seconds") is not None


def test_crews_are_free_or_busy_and_overdue_tasks_count(read):
    CrewFactory(worker_id="van-1")
    CrewFactory(worker_id="van-2")
    CrewFactory(worker_id="van-3", active=False)
    TaskFactory()
    services.claim_next_task("van-1", actor="api")
    long_ago = Now() - timedelta(days=1)
    Task.objects.update(created_at=long_ago, assigned_at=long_ago)

    value = read()

    assert value("crews", state="busy") == value("crews", state="free") == 1
    assert value("assigned_tasks") == value("overdue_tasks") == 1


def test_events_and_decisions_of_today_are_counted_by_kind_and_source(read):
    approved, rejected, _ = (SuggestionFactory(source="nightly").id for _ in range(3))
    services.approve_suggestion(approved, actor="maria")
    services.reject_suggestion(rejected, actor="maria", reason="No")

    value = read()

    assert value("events_total", kind="approved") == 1
    assert value("events_total", kind="claimed") == 0
    assert value("decided_suggestions_total", source="nightly", outcome="rejected") == 1
    assert value("open_suggestions", source="nightly") == 1


def test_every_kind_of_event_has_a_series(read):
    value = read()

    assert {value("events_total", kind=kind) for kind in EventKind.values} == {0}


def test_many_sources_share_one_label(read):
    for number in range(25):
        SuggestionFactory(source=f"job {number:02}")

    value = read()

    assert value("open_suggestions", source="job 19") == 1
    assert value("open_suggestions", source="job 20") is None
    assert value("open_suggestions", source="other") == 5


def test_stations_and_feeds_are_reported_by_system(read):
    now = timezone.now()
    StatusPoll.objects.create(system="sf", at=now, in_service=8, empty=2, full=1)
    StatusPoll.objects.create(
        system="sf", at=now - timedelta(minutes=1), in_service=8, empty=8, full=0
    )
    StationFeed.objects.create(system="sf", kind="status", read_at=now, trouble="404")
    Station.objects.create(id=1, system="sf", name="S 1", lat=1, lon=1)
    ClusterOutage.objects.create(
        system="sf", station_id=1, station_ids=[1], kind="empty", started_at=now
    )

    value = read()

    assert value("cluster_outages", system="sf", kind="empty") == 1
    assert value("cluster_outages", system="sf", kind="full") == 0

    assert value("empty_stations_ratio", system="sf") == 0.25
    assert value("full_stations_ratio", system="sf") == 0.125
    labels = {"system": "sf", "kind": "status"}
    assert value("feed_failing", **labels) == 1
    assert value("feed_last_success_timestamp_seconds", **labels) == pytest.approx(now.timestamp())


def test_periodic_command_records_its_success(read):
    call_command("sweep")

    value = read()

    assert value("command_last_success_timestamp_seconds", command="sweep") == pytest.approx(
        Heartbeat.objects.get(name="sweep").at.timestamp()
    )


def test_group_that_fails_leaves_the_others_and_is_counted(read, monkeypatch):
    def broken():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(9)")
        return []

    monkeypatch.setattr(exporter, "GROUPS", [broken, *exporter.GROUPS])
    monkeypatch.setattr(exporter, "LIMITS", exporter.LIMITS.replace("2s", "500ms"))
    reader, registry = Exporter(), CollectorRegistry()
    registry.register(reader)

    reader.read()

    errors = registry.get_sample_value("dispatch_exporter_errors_total", {"group": "broken"})
    assert errors == 1
    assert registry.get_sample_value("dispatch_database_up") == 1
    assert registry.get_sample_value("dispatch_assigned_tasks") == 0


def test_command_prints_the_figures_once(capsys):
    call_command("export_metrics")

    assert "\ndispatch_database_up 1.0\n" in capsys.readouterr().out


def test_webhooks_are_counted_by_state_and_outcome(read):
    WebhookEndpoint.objects.create(url="https://a.example", succeeded=3, failed=1)
    failing = timezone.now() - timedelta(hours=1)
    WebhookEndpoint.objects.create(url="https://b.example", failing_since=failing)
    WebhookEndpoint.objects.create(
        url="https://c.example", state="failed", failing_since=failing - timedelta(days=5)
    )
    TaskEvent.objects.create(kind=EventKind.PROBLEM, actor="api")

    value = read()

    assert value("webhook_endpoints", state="enabled") == 2
    assert value("webhook_endpoints", state="failed") == 1
    assert value("webhook_endpoints", state="disabled") == 0
    assert value("webhook_attempts_total", outcome="succeeded") == 3
    assert value("webhook_attempts_total", outcome="failed") == 1
    assert value("webhook_failing_since_timestamp_seconds") == pytest.approx(failing.timestamp())
    # The third delivery is dead from the start.
    assert value("webhook_pending") == 2
    assert value("webhook_oldest_pending_timestamp_seconds") is not None


def test_webhook_series_exist_without_an_endpoint(read):
    value = read()

    assert value("webhook_attempts_total", outcome="failed") == 0
    assert value("webhook_pending") == 0
    assert value("webhook_failing_since_timestamp_seconds") is None


def test_e_mails_are_counted_by_state(read):
    maria = UserFactory(email="maria@example.org")
    subscription = MailSubscription.objects.create(user=maria, types=["task.overdue"])
    MailSubscription.objects.create(user=UserFactory(), types=["task.overdue"])
    created = timezone.now() - timedelta(hours=2)
    for state, finished in [("pending", None), ("dead", created)]:
        MailMessage.objects.create(
            subscription=subscription,
            kind="alerts",
            state=state,
            created_at=created,
            finished_at=finished,
        )
    MailMessage.objects.create(
        subscription=subscription,
        kind="test",
        state="dead",
        finished_at=created - timedelta(days=1),
    )

    value = read()

    assert value("mail_subscriptions") == 1
    assert value("mail_pending") == 1
    oldest = value("mail_oldest_pending_timestamp_seconds")
    assert oldest == pytest.approx(created.timestamp())
    assert value("mail_finished", state="dead") == 1
    assert value("mail_finished", state="sent") == 0


def test_poller_is_late_from_the_time_when_the_first_active_system_is_due(read):
    now = timezone.now()
    assert read()("poll_due_timestamp_seconds") is None
    for name, minutes, active in (("bay", 1, True), ("oslo", 5, True), ("paris", 9, False)):
        due_at = now - timedelta(minutes=minutes)
        System.objects.create(name=name, address="https://a", active=active, due_at=due_at)

    value = read()

    assert value("poll_due_timestamp_seconds") == (now - timedelta(minutes=5)).timestamp()
    assert value("polled_systems") == 2


def test_feeds_of_inactive_systems_have_no_figures(read):
    StationFeed.objects.create(system="bay", kind="status", source="https://a", trouble="Down.")
    assert read()("feed_failing", system="bay", kind="status") == 1

    System.objects.create(name="bay", address="https://a", active=False)

    assert read()("feed_failing", system="bay", kind="status") is None
