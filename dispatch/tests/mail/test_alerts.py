"""Alerts: written with the change, bundled, and only for those who may see them."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.core import mail as outbox
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from dispatch import services
from dispatch.admin.my_mail import LABELS
from dispatch.exceptions import Refusal
from dispatch.mail import MailSender
from dispatch.mail.alerts import TITLES
from dispatch.models import (
    FeedKind,
    MailAlert,
    MailMessage,
    MailState,
    MailSubscription,
    RejectionCode,
    Task,
    TaskEvent,
    User,
    WebhookType,
)
from dispatch.services.mail_subscriptions import permission_for

from ..support.factories import (
    CrewFactory,
    StationFactory,
    SuggestionFactory,
    TaskFactory,
    claimed,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def in_memory(set_up, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


REPORT_ONLY = {"types": [], "daily_report": True}


def problem(**fields):
    return TaskEvent.objects.create(kind="problem", actor="api", task_id=7, **fields)


def send():
    """Return what is sent, as subjects and texts."""
    outbox.outbox = []
    MailSender().run()
    return [(mail.subject.removeprefix("[Bay Wheels] "), mail.body) for mail in outbox.outbox]


def end_pause():
    MailSubscription.objects.update(next_alerts_at=Now())


# The outbox


def test_event_is_an_alert_for_each_user_who_wants_its_type(subscribe):
    maria = subscribe(types=["task.problem"])
    subscribe("tom", types=["task.completed"])

    problem(details={"note": "Flat tyre"})

    [alert] = MailAlert.objects.all()
    assert (alert.subscription, alert.type) == (maria, "task.problem")
    assert alert.data["details"] == {"note": "Flat tyre"}


def test_rolled_back_change_leaves_no_alert(subscribe):
    subscribe()
    with transaction.atomic():
        problem()
        transaction.set_rollback(True)

    assert not MailAlert.objects.exists()


def test_states_and_feeds_are_alerts_once_for_each_occurrence(subscribe):
    subscribe()
    CrewFactory(capacity=4)
    claimed(qty=4)
    TaskFactory(qty=5)
    SuggestionFactory(priority=50)
    services.note_trouble("bay", FeedKind.STATUS, "https://example.org", "No answer.")
    long_ago = Now() - timedelta(days=1)
    Task.objects.filter(status="assigned").update(created_at=long_ago, assigned_at=long_ago)

    [(subject, text)] = send()
    end_pause()

    assert subject == "4 alerts"
    for title in ("is overdue", "No crew can take", "is urgent", "The status feed of bay fails"):
        assert title in text
    assert send() == []


# Bundles


def test_first_alert_is_sent_at_once_and_a_storm_is_one_e_mail(subscribe):
    subscribe()
    problem()
    assert [subject for subject, _ in send()] == ["Problem with task 7"]
    for _ in range(60):
        problem()
    assert send() == []

    end_pause()

    [(subject, text)] = send()
    assert subject == "60 alerts"
    assert text.count("Problem with task 7") == 50
    assert "And 10 more." in text
    end_pause()
    assert send() == []


def test_alerts_wait_while_the_former_e_mail_is_pending(subscribe):
    subscribe()
    problem()
    services.bundle_alerts()
    end_pause()
    problem()

    assert services.bundle_alerts() == 0
    MailMessage.objects.update(state=MailState.SENT, finished_at=Now())
    assert services.bundle_alerts() == 1


def test_alert_that_waited_for_a_day_is_no_longer_news(subscribe):
    subscribe()
    problem()
    MailAlert.objects.update(created_at=Now() - timedelta(hours=25))

    assert send() == []


def test_alerts_and_e_mails_are_removed_after_thirty_days(subscribe):
    subscribe()
    problem()
    send()
    assert services.sweep(actor="sweep").mail == 0
    for model in (MailAlert, MailMessage):
        model.objects.update(created_at=Now() - timedelta(days=31))

    assert services.sweep(actor="sweep").mail == 2
    assert not MailAlert.objects.exists()


# Readers


@pytest.mark.parametrize("lost", [{"is_active": False}, {"is_staff": False}, {"email": ""}])
def test_account_that_may_not_open_the_console_gets_nothing(subscribe, lost):
    subscribe(daily_report=True)
    problem()
    User.objects.update(**lost)

    assert send() == []


def test_reader_gets_only_the_alerts_that_they_may_see(subscribe):
    subscription = subscribe(is_superuser=False)
    subscription.user.user_permissions.add(Permission.objects.get(codename="view_suggestion"))
    problem()
    services.reject_suggestion(SuggestionFactory().pk, actor="tom", code=RejectionCode.NO_CREW)

    [(subject, _)] = send()

    assert subject.endswith("was rejected")
    assert MailMessage.objects.get().alerts.count() == 1


def test_user_cannot_subscribe_to_more_than_they_may_see(subscribe):
    user = subscribe(types=[], is_superuser=False).user

    for choice in ({"types": ["task.problem"], "daily_report": False}, REPORT_ONLY):
        with pytest.raises(Refusal):
            services.subscribe_to_mail(user, **choice)


@pytest.mark.parametrize(
    "change",
    [
        lambda: User.objects.update(is_superuser=False),
        lambda: User.objects.update(is_active=False),
        lambda: MailSubscription.objects.update(types=[]),
    ],
    ids=["right lost", "deactivated", "no longer wanted"],
)
def test_e_mail_is_dropped_if_its_reader_may_no_longer_get_it(subscribe, change):
    subscribe(types=["task.problem"])
    problem()
    services.bundle_alerts()
    change()

    assert send() == []
    assert MailMessage.objects.get().state == MailState.DROPPED


# Texts


def test_alert_names_stations_and_links_to_the_page_of_the_task(subscribe):
    subscribe()
    StationFactory(id=100, name="Pier <1>")
    task = claimed()
    services.complete_task(task.pk, actor="api")

    [(_, text)] = send()

    assert "5 bikes from Pier <1> to #200" in text
    assert f"https://dispatch.example.org/admin/dispatch/task/{task.pk}/change/" in text
    html, _ = outbox.outbox[0].alternatives[0]
    assert "Pier &lt;1&gt;" in html


@pytest.mark.parametrize(
    "details",
    [
        {"note": "a\r\nBcc: x@example.org"},
        {"note": "x" * 9000, "problems": ["station_full", "other"]},
        {"problems": "7", "note": ["2026-13-45T99:00:00Z", {"a": None}]},
        ["no object"],
        "text",
    ],
)
def test_any_details_can_be_shown(subscribe, details):
    subscribe()
    problem(details=details, worker_id="van\r\nBcc: x@example.org"[:50])

    [(subject, text)] = send()

    assert "\nBcc" not in subject + text
    assert len(text) < 2000


@pytest.mark.parametrize(
    ("zone", "moment"),
    [("America/Los_Angeles", "0001-01-01T00:00:00Z"), ("Asia/Tokyo", "9999-12-31T23:59:59Z")],
)
def test_moment_that_the_time_zone_lacks_is_shown_as_it_is(subscribe, zone, moment):
    subscribe()
    problem(details={"note": moment})

    with timezone.override(zone):
        [(_, text)] = send()

    assert f"Note: {moment}" in text


@pytest.mark.parametrize("each", WebhookType)
def test_every_type_of_alert_has_a_title_a_label_and_a_permission(each):
    assert TITLES[each]
    assert LABELS[each]
    assert permission_for(each)


def test_e_mail_that_cannot_be_written_keeps_no_other_back(subscribe):
    broken, _ = subscribe("broken", types=["task.problem"]), subscribe("tom")
    problem()
    MailAlert.objects.filter(subscription=broken).update(data=["no object"])

    assert len(send()) == 1
    stuck = MailMessage.objects.get(state=MailState.PENDING)
    assert stuck.subscription == broken
    assert "cannot be written" in stuck.last_answer
