"""Problems, messages and what phones have seen, on the board, in lists and on a task's page."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from dispatch import services
from dispatch.exceptions import Conflict
from dispatch.models import EventKind, Task, TaskEvent
from dispatch.overview.exchanges import read_exchanges

from ..support.crew_phone import Phone
from ..support.factories import CrewFactory, StationFactory, TaskFactory
from ..support.pages import words
from .test_board import BOARD, parts, row

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

TASKS = "/admin/dispatch/task/"


@pytest.fixture
def task():
    """A task that van-1 has claimed."""
    TaskFactory()
    return services.claim_next_task("van-1", actor="api")


def report(kind, task, worker_id="van-1", **details):
    """An event that a phone causes."""
    return TaskEvent.objects.create(
        kind=kind,
        task_id=task.pk,
        attempt=task.attempt,
        worker_id=worker_id,
        actor=f"crew {worker_id}",
        details=details,
    )


def problem(task, *problems, **details):
    return report(EventKind.PROBLEM, task, problems=problems, **details)


def shown(dispatcher, task):
    return words(row(parts(dispatcher)["tasks"], f"t{task.pk}"))


def open_problems(task):
    """As the database finds them, and as they are read for pages: both must agree."""
    task.refresh_from_db()
    found = TaskEvent.objects.open_problems().filter(task_id=task.pk).count()
    assert len(read_exchanges([task], frozenset())[task.pk].problems) == found
    assert Task.objects.with_problem().filter(pk=task.pk).exists() == (found > 0)
    return found


# Problems


def test_problem_appears_on_the_row_in_the_strip_and_as_a_call(dispatcher, task):
    problem(task, "station_closed", "blocked", note="Street fair")
    TaskFactory()

    board = parts(dispatcher)

    assert "Station closed, Blocked" in shown(dispatcher, task)
    assert "van-1 · Street fair" in shown(dispatcher, task)
    assert "1 task with a problem" in words(board["summary"])
    assert words(board["calls"]) == (
        f"Task {task.pk} has a problem: Station closed, Blocked, reported by van-1:"
        " 5 bikes, #100 to #200."
    )
    assert "van-1 not on the roster · 1 problem today 1 task" in words(board["crews"])


def test_problem_appears_on_the_page_and_in_the_history(dispatcher, task):
    problem(task, "broken_bikes", note="Two flat tyres")

    page = words(dispatcher.get(f"{TASKS}{task.pk}/change/").content.decode())

    assert re.search(r"Broken bikes \d\d:\d\d · van-1 · Two flat tyres", page)
    assert "van-1 reported a problem Problem: Broken bikes Note: Two flat tyres" in page


def test_problem_of_only_a_note_is_shown(dispatcher, task):
    problem(task, note="The gate is locked")

    assert re.search(r"Problem \d\d:\d\d · van-1 · The gate is locked", shown(dispatcher, task))
    assert open_problems(task) == 1


def test_problem_shows_the_time_at_which_it_happened(dispatcher, task):
    hour_ago = timezone.now() - timedelta(hours=1)
    problem(task, "station_full", happened_at=hour_ago.isoformat())

    assert f"{timezone.localtime(hour_ago):%H:%M} · van-1" in shown(dispatcher, task)


@pytest.mark.parametrize(
    "answer",
    [
        lambda task: services.message_crew(task.pk, "Skip it", actor="maria"),
        lambda task: services.reassign_task(task.pk, "van-2", actor="maria", reason="Nearer"),
        lambda task: services.release_task(task.pk, actor="maria", reason="Later"),
        lambda task: services.cancel_task(task.pk, actor="maria", reason="Closed"),
        lambda task: services.complete_task(task.pk, actor="maria"),
    ],
    ids=["message", "reassignment", "release", "cancellation", "completion"],
)
def test_answer_ends_a_problem(task, answer):
    problem(task, "station_full")
    problem(task, "blocked")
    assert open_problems(task) == 2

    answer(task)

    assert open_problems(task) == 0
    problem(task, "blocked")
    assert TaskEvent.objects.open_problems().count() == 1


def test_other_events_do_not_end_a_problem(task):
    problem(task, "station_full")

    services.extend_lease(task.pk, actor="van-1")
    services.prioritize_task(task.pk, actor="maria", by=10)
    report(EventKind.SEEN, task, message_id=None)

    assert open_problems(task) == 1


def test_problem_of_a_task_given_back_remains_until_a_dispatcher_answers(dispatcher, task):
    services.release_task(task.pk, actor="crew van-1", reason="Station full")
    assert open_problems(task) == 0, "a reason alone is no problem"
    services.claim_next_task("van-1", actor="api")
    task.refresh_from_db()
    Task.objects.filter(pk=task.pk).update(
        status="ready", worker_id=None, assigned_at=None, lease_expires_at=None
    )
    report(EventKind.RELEASED, task, problems=["station_full"], reason="Station full")

    assert "ready" in shown(dispatcher, task)
    assert "Station full" in shown(dispatcher, task)
    services.claim_next_task("van-2", actor="api")
    assert open_problems(task) == 1, "another crew's claim is no dispatcher's answer"
    services.message_crew(task.pk, "Go to the other side", actor="maria")
    assert open_problems(task) == 0


def test_problem_of_a_former_crew_is_shown_with_its_name(dispatcher, task):
    services.reassign_task(task.pk, "van-2", actor="maria", reason="Nearer")
    problem(task, "blocked")

    assert re.search(r"Blocked \d\d:\d\d · van-1", shown(dispatcher, task))


def test_late_report_warns_that_an_open_task_may_be_done(dispatcher, task):
    services.reassign_task(task.id, "van-2", actor="maria", reason="Nearer")
    assert "Already done?" not in shown(dispatcher, task)

    with pytest.raises(Conflict):
        services.complete_task(task.id, actor="api", report=services.Report("van-1", moved_qty=4))

    row_text = shown(dispatcher, task)
    assert "Already done?" in row_text
    assert "van-1 reported 4 bikes moved" in row_text
    assert "Already done?" in words(dispatcher.get(f"{TASKS}{task.id}/change/").content.decode())


def test_task_list_is_filtered_by_problems(dispatcher, task):
    problem(task, "station_full")
    other, done = TaskFactory(), TaskFactory(completed=True)
    report(EventKind.COMPLETED, done, problems=["broken_bikes"])

    def listed(attention):
        answer = dispatcher.get(f"{TASKS}?attention={attention}")
        return [each.pk for each in answer.context["cl"].result_list]

    assert listed("problem") == [task.pk]
    assert listed("done_with_problem") == [done.pk]
    assert listed("waiting") == [other.pk]


def test_board_is_filtered_by_problems(dispatcher, task):
    problem(task, "station_full")
    TaskFactory()

    tasks = dispatcher.get(f"{BOARD}state.json?state=problem").json()["parts"]["tasks"]

    assert re.findall(r'id="t(\d+)"', tasks) == [str(task.pk)]


def test_reports_of_a_real_phone_reach_the_board(dispatcher, task):
    phone = Phone("van-1")
    message = services.message_crew(task.pk, "Hurry", actor="maria")
    phone.post("seen", {"task_id": task.pk, "attempt": 1, "message_id": message.pk})
    assert re.search(r"Message: Hurry · Seen \d\d:\d\d", shown(dispatcher, task))

    held = {"id": task.pk, "attempt": 1}
    phone.report(held, "problem", problems=["blocked"], note="Road works", age=600)
    assert re.search(r"Blocked \d\d:\d\d · van-1 · Road works", shown(dispatcher, task))
    assert open_problems(task) == 1

    phone.report(held, "give_back", problems=["station_closed"])
    assert "Station closed" in shown(dispatcher, task)
    assert "Blocked" not in shown(dispatcher, task)


# Messages


def send(dispatcher, task, text, **form):
    answers = {"confirmed": "1", "text": text, **form}
    return dispatcher.post(f"{TASKS}{task.pk}/message/?page=1", answers, follow=True)


def test_message_is_sent_and_shown_with_the_task(dispatcher, task):
    Phone("van-1")

    answer = send(dispatcher, task, "  Bring the\nladder ")

    event = TaskEvent.objects.get(kind="message")
    assert (event.worker_id, event.details, event.actor) == (
        "van-1",
        {"text": "Bring the ladder"},
        "maria",
    )
    page = words(answer.content.decode())
    assert f"Task {task.pk} updated with a message for van-1" in page
    assert "Message: Bring the ladder · Not seen yet" in page
    assert "maria sent a message to van-1 “Bring the ladder”" in page


def test_message_is_seen_once_the_phone_has_shown_it(dispatcher, task):
    Phone("van-1")
    first = services.message_crew(task.pk, "One", actor="maria")
    second = services.message_crew(task.pk, "Two", actor="maria")
    report(EventKind.SEEN, task, message_id=first.pk)
    assert "Message: Two · Not seen yet" in shown(dispatcher, task)

    seen = report(EventKind.SEEN, task, message_id=second.pk)

    at = f"{timezone.localtime(seen.at):%H:%M}"
    assert f"Message: Two · Seen {at}" in shown(dispatcher, task)


def test_message_to_a_crew_without_a_phone_says_so(dispatcher, task):
    question = dispatcher.post(f"{TASKS}{task.pk}/message/").content.decode()
    assert "No phone is signed in for van-1." in words(question)

    services.message_crew(task.pk, "Two", actor="maria")
    assert "Message: Two · Not seen: the crew has no phone" in shown(dispatcher, task)


def test_message_on_a_waiting_task_is_for_the_crew_that_claims_it(dispatcher):
    task = TaskFactory()
    send(dispatcher, task, "Mind the step")
    assert "Message: Mind the step · for the next crew" in shown(dispatcher, task)

    services.claim_next_task("van-1", actor="api")

    assert "Message: Mind the step · Not seen" in shown(dispatcher, task)


def test_message_to_a_former_crew_is_not_shown_for_the_present_one(dispatcher, task):
    services.message_crew(task.pk, "Hurry", actor="maria")

    services.reassign_task(task.pk, "van-2", actor="maria", reason="Nearer")

    assert "Hurry" not in shown(dispatcher, task)


@pytest.mark.parametrize("is_reassigned", [True, False])
def test_message_reaches_no_other_crew_than_its_form_named(dispatcher, task, is_reassigned):
    question = dispatcher.post(f"{TASKS}{task.pk}/message/")
    named = question.context["form"]["worker_id"].value()
    services.release_task(task.pk, actor="maria", reason="Nearer")
    if is_reassigned:
        services.reassign_task(task.pk, "van-2", actor="maria")

    answer = send(dispatcher, task, "Come back to the depot", worker_id=named)

    why = "not held by van-1" if is_reassigned else "ready, not assigned"
    assert f"Task {task.pk} is {why}." in words(answer.content.decode())
    assert not TaskEvent.objects.filter(kind="message").exists()


@pytest.mark.parametrize("text", ["", "  ", "x" * 301, "\u202elebal"])
def test_faulty_message_is_refused_beside_its_field(dispatcher, task, text):
    answer = send(dispatcher, task, text)

    assert answer.context["form"].errors["text"]
    assert not TaskEvent.objects.filter(kind="message").exists()


def test_message_about_an_ended_task_is_refused(dispatcher, task):
    services.cancel_task(task.pk, actor="maria", reason="Closed")

    answer = send(dispatcher, task, "Hurry")

    assert f"Task {task.pk} is cancelled." in answer.content.decode()


# Messages that a phone has shown


def test_assignment_that_the_phone_has_not_shown_is_marked(dispatcher):
    Phone("van-1")
    task = services.reassign_task(TaskFactory().pk, "van-1", actor="maria")
    assert "Not seen by the phone yet · since" in shown(dispatcher, task)

    report(EventKind.SEEN, task, message_id=None)

    assert "Not seen" not in shown(dispatcher, task)


def test_former_attempt_that_was_seen_does_not_count(dispatcher):
    Phone("van-1")
    task = services.reassign_task(TaskFactory().pk, "van-1", actor="maria")
    report(EventKind.SEEN, task, message_id=None)
    services.release_task(task.pk, actor="maria", reason="Later")

    task = services.reassign_task(task.pk, "van-1", actor="maria")

    assert "Not seen by the phone yet" in shown(dispatcher, task)


def test_claimed_task_and_crew_without_a_phone_have_no_mark(dispatcher, task):
    assigned = services.reassign_task(TaskFactory().pk, "van-2", actor="maria")
    Phone("van-1")

    assert "Not seen" not in shown(dispatcher, task)
    assert "Not seen" not in shown(dispatcher, assigned)


def test_reports_change_the_version_of_an_open_board(dispatcher, task):
    tags = [dispatcher.get(f"{BOARD}state.json")["ETag"]]
    for change in (
        lambda: problem(task, "station_full"),
        lambda: services.message_crew(task.pk, "Hurry", actor="maria"),
        lambda: report(EventKind.SEEN, task, message_id=None),
        lambda: Phone("van-1"),
    ):
        change()
        tags.append(dispatcher.get(f"{BOARD}state.json")["ETag"])

    assert len(set(tags)) == len(tags)


def test_board_takes_the_same_queries_however_much_was_said(
    dispatcher, django_assert_max_num_queries
):
    def talk(number):
        Phone(f"van-{number}")
        task = services.reassign_task(TaskFactory().pk, f"van-{number}", actor="maria")
        services.message_crew(task.pk, "Hurry", actor="maria")
        report(EventKind.SEEN, task, worker_id=f"van-{number}", message_id=None)
        problem(task, "station_full")

    StationFactory(id=100)
    talk(0)
    with django_assert_max_num_queries(100) as few:
        parts(dispatcher)
    for number in range(1, 21):
        talk(number)

    with django_assert_max_num_queries(len(few)):
        parts(dispatcher)


@pytest.mark.parametrize("crews", [[], [{"areas": ["East Bay"], "capacity": 10}]])
def test_filter_for_tasks_without_a_crew_finds_exactly_those(dispatcher, crews):
    for number, area in {1: "East Bay", 2: "San José", 3: ""}.items():
        StationFactory(id=number, area=area)
    for crew in crews:
        CrewFactory(**crew)
    fine = TaskFactory(from_station_id=1, qty=10)
    stuck = [
        TaskFactory(from_station_id=source, qty=qty) for source, qty in ((1, 11), (2, 1), (3, 1))
    ]
    TaskFactory(from_station_id=2, assigned=True)
    expected = {task.pk for task in stuck} if crews else set()

    summary = parts(dispatcher)["summary"]
    listed = dispatcher.get(f"{TASKS}?attention=no_crew").context["cl"].result_list
    on_board = dispatcher.get(f"{BOARD}state.json?state=no_crew").json()["parts"]["tasks"]

    assert ("attention=no_crew" in summary) == bool(crews)
    assert {task.pk for task in listed} == expected
    assert set(map(int, re.findall(r'id="t(\d+)"', on_board))) == expected
    assert fine.pk not in expected


def test_tasks_with_a_problem_are_found_without_reading_all_events(task):
    TaskFactory.insert_batch(1000)
    event = {"task_id": 9, "kind": EventKind.COMPLETED, "actor": "van-1"}
    TaskEvent.objects.bulk_create(TaskEvent(**event) for _ in range(3000))
    problem(task, "blocked")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE tasks, task_events")

    plan = Task.objects.with_problem().explain()

    assert "event_problems" in plan
    assert "Seq Scan on task_events" not in plan
