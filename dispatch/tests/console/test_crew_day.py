"""The page of a crew's day."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from dispatch import services
from dispatch.admin import stints
from dispatch.models import EventKind, TaskEvent
from dispatch.services import Report

from ..support.crew_phone import Phone
from ..support.factories import CrewFactory, StationFactory, TaskFactory, UserFactory, claimed
from ..support.pages import words

pytestmark = pytest.mark.django_db

DAY = "/admin/crew-day/"


def page(client, crew="van-1", **query):
    answer = client.get(DAY, {"crew": crew, **query})
    assert answer.status_code == 200
    return words(answer.content.decode())


def totals(client, **query):
    found = client.get(DAY, {"crew": "van-1", **query}).context["totals"]
    return (found.completed, found.bikes, found.released, found.late_reports, found.problems)


def test_day_shows_what_became_of_each_task(dispatcher):
    StationFactory(id=100, name="Ferry Pier")
    report = Report(worker_id="van-1", moved_qty=3, note="Two were locked")
    services.complete_task(claimed().pk, actor="crew van-1", report=report)
    services.release_task(claimed().pk, actor="crew van-1", reason="Flat tyre")
    services.release_task(
        services.claim_next_task("van-1", actor="api").pk, actor="maria", reason="Later"
    )
    services.cancel_task(claimed().pk, actor="maria", reason="Closed")
    lost = claimed()
    services.reassign_task(lost.pk, "van-2", actor="maria", reason="Nearer")

    shown = page(dispatcher)

    for expected in (
        "van-1, today",
        "5 bikes Ferry Pier → #200",
        "3 bikes of 5 moved: Two were locked",
        ": Flat tyre",
        "Given back at",
        "Released by maria at",
        "Cancelled by maria at",
        "Given to van-2 by maria at",
    ):
        assert expected in shown, shown
    assert totals(dispatcher) == (1, 3, 2, 0, 0)
    assert "Given to van-2" not in page(dispatcher, "van-2")
    assert "Assigned by maria at" in page(dispatcher, "van-2")


def test_open_tasks_are_listed_once_with_problems_and_messages(dispatcher):
    phone = Phone("van-1", name="Night van", areas=["East Bay"], capacity=20)
    task = services.reassign_task(TaskFactory().pk, "van-1", actor="maria")
    services.message_crew(task.pk, "Hurry", actor="maria")
    phone.report({"id": task.pk, "attempt": 1}, "problem", problems=["blocked"])

    shown = page(dispatcher)

    for expected in (
        "Night van · East Bay · 20 bikes · last seen",
        "Phone: iPhone, Safari",
        "Give all to another crew",
        "Assigned by maria at",
        "Not seen by the phone yet",
        "Blocked",
        "Message: Hurry · Not seen yet",
        "No tasks on this day.",
    ):
        assert expected in shown, shown
    assert shown.count(f"Task {task.pk}") == 1
    assert totals(dispatcher) == (0, None, 0, 0, 1)


def test_late_report_belongs_to_the_task_that_the_crew_lost(dispatcher):
    task = claimed()
    services.reassign_task(task.pk, "van-2", actor="maria", reason="Nearer")
    Phone("van-1").report({"id": task.pk, "attempt": 1}, moved_qty=4)

    shown = page(dispatcher)

    assert "Late report at" in shown
    assert "completed, 4 bikes moved" in shown
    assert totals(dispatcher) == (0, None, 0, 1, 0)
    assert "Late report at" not in page(dispatcher, "van-2")


def test_two_attempts_at_a_task_are_two_entries(dispatcher):
    task = claimed()
    services.release_task(task.pk, actor="crew van-1", reason="Lunch")
    services.claim_next_task("van-1", actor="api")
    services.complete_task(task.pk, actor="crew van-1")

    entries = dispatcher.get(DAY, {"crew": "van-1"}).context["entries"]

    assert [entry.stint.end.kind for entry in entries] == ["completed", "released"]


def test_other_days_have_pages_of_their_own(dispatcher):
    now = timezone.now()
    yesterday = timezone.localdate() - timedelta(days=1)
    task = TaskFactory(completed=True)
    for kind, ago in ((EventKind.CLAIMED, 25), (EventKind.COMPLETED, 24)):
        TaskEvent.objects.create(
            at=now - timedelta(hours=ago),
            kind=kind,
            task_id=task.pk,
            attempt=1,
            worker_id="van-1",
            actor="crew van-1",
            details={"moved_qty": 5},
        )
    claimed()

    assert totals(dispatcher, day=yesterday)[:2] == (1, 5)
    shown = page(dispatcher, day=yesterday)
    assert f"van-1, {yesterday}" in shown
    assert "Give all to another crew" not in shown, "it holds a task now, not then"
    assert "Next day" in shown
    assert totals(dispatcher)[0] == 0


@pytest.mark.parametrize(
    "query",
    ["", "crew=", "crew=%00", "crew=a%0Ab", "crew=x&day=tomorrow", "crew=x&day=9999-01-01"],
)
def test_page_of_no_crew_or_day_is_404(dispatcher, query):
    assert dispatcher.get(f"{DAY}?{query}").status_code == 404


def test_unknown_crew_has_an_empty_day(dispatcher):
    shown = page(dispatcher, "{} & <b>")

    assert "Not on the roster." in shown
    assert "No phone signed in" in shown
    assert "No tasks on this day." in shown


def test_day_needs_permission_to_view_tasks_events_and_crews(client):
    able = ["view_task", "view_taskevent", "view_crew"]
    for missing in able:
        user = UserFactory(is_superuser=False)
        others = Permission.objects.filter(codename__in=set(able) - {missing})
        user.user_permissions.set(others)
        client.force_login(user)
        assert client.get(DAY, {"crew": "van-1"}).status_code == 403


def test_viewer_may_not_give_tasks_away(viewer):
    claimed()

    assert "Give all" not in page(viewer)


def test_queries_do_not_grow_with_the_day(dispatcher, django_assert_max_num_queries):
    CrewFactory(worker_id="van-1")
    services.complete_task(claimed().pk, actor="crew van-1")
    claimed()
    with django_assert_max_num_queries(40) as few:
        page(dispatcher)
    for _ in range(5):
        services.complete_task(claimed().pk, actor="crew van-1")
        claimed()

    with django_assert_max_num_queries(len(few)):
        page(dispatcher)


def test_only_the_newest_tasks_of_a_long_day_are_listed(dispatcher, monkeypatch):
    monkeypatch.setattr(stints, "MOST_TASKS", 2)
    first, *others = [claimed() for _ in range(3)]
    for task in (first, *others):
        services.complete_task(task.pk, actor="crew van-1")

    entries = dispatcher.get(DAY, {"crew": "van-1"}).context["entries"]

    assert [entry.stint.task_id for entry in entries] == [task.pk for task in reversed(others)]


def test_roster_leads_to_the_day(dispatcher):
    crew = CrewFactory(worker_id="van & co")

    shown = dispatcher.get(f"/admin/dispatch/crew/{crew.pk}/change/").content.decode()

    assert f"{DAY}?crew=van+%26+co" in shown
