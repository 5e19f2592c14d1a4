"""All open tasks of one crew are given to another."""

import re
from unittest.mock import patch

import pytest
from django.contrib.auth.models import Permission

from dispatch import services
from dispatch.models import Task, TaskEvent

from ..support.factories import CrewFactory, TaskFactory, UserFactory, claimed
from ..support.pages import words

pytestmark = pytest.mark.django_db

HAND_OVER = "/admin/dispatch/task/hand-over/"
DAY = "/admin/crew-day/"


@pytest.fixture(autouse=True)
def crews():
    CrewFactory(worker_id="van-1")
    CrewFactory(worker_id="van-2")


def ask(client, worker="van-1", **form):
    return client.post(f"{HAND_OVER}?worker={worker}", form)


def give(client, tasks, worker="van-1", **form):
    answers = {"worker_id": "van-2", "reason": "Engine trouble", **form}
    shown = {"confirmed": "1", "_selected_action": [task.pk for task in tasks]}
    return client.post(f"{HAND_OVER}?worker={worker}", {**shown, **answers}, follow=True)


def holders(*tasks):
    return [Task.objects.get(pk=task.pk).worker_id for task in tasks]


def test_all_tasks_are_given_in_the_order_in_which_the_crew_got_them(dispatcher):
    low, high = TaskFactory(), TaskFactory(priority=5)
    first, second = (services.claim_next_task("van-1", actor="api") for _ in range(2))
    assert [first, second] == [high, low]
    other = claimed("van-3")

    question = words(ask(dispatcher).content.decode())
    assert "Give 2 tasks of van-1 to another crew?" in question
    assert "van-1 ·" not in question, "it is no choice"

    answer = words(give(dispatcher, [first, second]).content.decode())
    assert "2 given." in answer
    assert holders(first, second, other) == ["van-2", "van-2", "van-3"]
    events = TaskEvent.objects.filter(kind="reassigned").order_by("id")
    assert [event.task_id for event in events] == [first.pk, second.pk]
    assert {event.details["reason"] for event in events} == {"Engine trouble"}


def test_single_task_is_given_with_its_own_sentence(dispatcher):
    task = claimed()

    answer = give(dispatcher, [task])

    assert f"Task {task.pk} given to van-2" in words(answer.content.decode())
    assert answer.redirect_chain[-1][0] == f"{DAY}?crew=van-1"


def test_reason_is_required_and_crew_is_chosen_from_the_roster(dispatcher):
    task = claimed()

    assert "This field is required." in give(dispatcher, [task], reason="").content.decode()
    refused = give(dispatcher, [task], worker_id="", other="van-9").content.decode()
    assert "Tick this to assign a crew that is not on the roster." in refused
    assert holders(task) == ["van-1"]

    give(dispatcher, [task], worker_id="", other="van-9", unlisted="on")
    assert holders(task) == ["van-9"]


def test_task_that_the_crew_no_longer_holds_is_not_taken_from_another(dispatcher):
    kept, lost, done = claimed(), claimed(), claimed()
    services.reassign_task(lost.pk, "van-3", actor="tom", reason="Nearer")
    services.complete_task(done.pk, actor="crew van-1")

    answer = words(give(dispatcher, [kept, lost, done]).content.decode())

    assert "1 given, 2 not given." in answer
    assert f"Task {lost.pk} is not held by van-1 any more." in answer
    assert f"Task {done.pk} is not held by van-1 any more." in answer
    assert holders(kept, lost, done) == ["van-2", "van-3", "van-1"]


def test_task_that_another_crew_claims_at_the_same_moment_stays_with_it(dispatcher):
    task = claimed()
    reassign = services.reassign_task

    def claim_first(*args, **options):
        services.release_task(task.pk, actor="crew van-1", reason="Lunch")
        services.claim_next_task("van-3", actor="api")
        return reassign(*args, **options)

    with patch("dispatch.services.reassign_task", claim_first):
        answer = give(dispatcher, [task]).content.decode()

    assert "has been claimed again, by van-3." in answer
    assert holders(task) == ["van-3"]


def test_task_that_the_dispatcher_has_not_seen_is_not_given(dispatcher):
    shown = claimed()
    ask(dispatcher)
    new = claimed()

    give(dispatcher, [shown])

    assert holders(shown, new) == ["van-2", "van-1"]


def test_crew_without_tasks_has_none_to_give(dispatcher):
    answer = dispatcher.post(f"{HAND_OVER}?worker=van-1", follow=True)

    assert "Crew van-1 holds no task." in answer.content.decode()


def test_board_is_the_way_back_from_the_board(dispatcher):
    task = claimed()

    page = dispatcher.get("/admin/board/").content.decode()
    assert re.search(rf'formaction="{HAND_OVER}\?worker=van-1"', page)
    question = ask(dispatcher, board="state=ready").content.decode()
    assert '<input type="hidden" name="board" value="state=ready">' in question
    answer = give(dispatcher, [task], board="state=ready")

    assert answer.redirect_chain[-1][0] == "/admin/board/?state=ready"


def test_hand_over_needs_the_right_to_reassign(client):
    task = claimed()
    user = UserFactory(is_superuser=False)
    able = Permission.objects.filter(codename__in=["view_task", "release_task"])
    user.user_permissions.set(able)
    client.force_login(user)

    assert give(client, [task]).status_code == 403
    assert holders(task) == ["van-1"]


@pytest.mark.parametrize("worker", ["{x}", "{", "%00", "%0A", "x" * 300, ""])
def test_hostile_names_are_answered(dispatcher, worker):
    assert ask(dispatcher, worker).status_code == 302
    assert dispatcher.get(f"{HAND_OVER}?worker={worker}").status_code == 302


def test_name_with_braces_is_shown_as_it_is(dispatcher):
    claimed("{rows}")

    assert "Give task " in ask(dispatcher, "{rows}").content.decode()
    assert "of {rows} to another crew?" in ask(dispatcher, "{rows}").content.decode()


def test_faulty_ids_are_refused(dispatcher):
    claimed()
    form = {"confirmed": "1", "_selected_action": ["x"], "worker_id": "van-2", "reason": "Ill"}

    assert dispatcher.post(f"{HAND_OVER}?worker=van-1", form).status_code == 400
