"""Reports of phones: their answers, repeats, clocks and counts."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db.models import F
from django.utils import timezone

from dispatch import services
from dispatch.maintenance.invariants import violations
from dispatch.models import CrewReport, Task, TaskEvent
from dispatch.services import Report

from ..support.crew_phone import Phone
from ..support.factories import TaskFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def phone():
    return Phone("van-1")


@pytest.fixture
def task(phone):
    services.create_task(TaskFactory.build(qty=5), actor="maria")
    return phone.claim().json()


def kinds():
    return list(TaskEvent.objects.order_by("id").values_list("kind", flat=True))


def last_event():
    return TaskEvent.objects.order_by("id").last()


# Ways to lose a task, and the code of the answer to a late report


def reassign(pk):
    services.reassign_task(pk, "van-2", actor="maria", reason="Nearer")


def cancel(pk):
    services.cancel_task(pk, actor="maria", reason="Road works")


def release(pk):
    services.release_task(pk, actor="maria", reason="Too slow")


def release_and_assign_to_another(pk):
    release(pk)
    reassign(pk)


def reassign_and_release(pk):
    reassign(pk)
    release(pk)


def release_and_claim_again(pk):
    release(pk)
    services.reassign_task(pk, "van-1", actor="maria")


def complete_by_another(pk):
    reassign(pk)
    services.complete_task(pk, actor="api", report=Report("van-2"))


LOSSES = {
    reassign: "reassigned",
    cancel: "cancelled",
    release: "released",
    release_and_assign_to_another: "released",
    reassign_and_release: "reassigned",
    release_and_claim_again: "released",
    complete_by_another: "done_by_other",
}


# Applied reports


def test_done_completes_the_task_and_keeps_what_the_phone_said(phone, task):
    values = {
        "id": str(uuid4()),
        "age": 0.25,
        "tapped_at": "2026-05-04T08:30:00-07:00",
        "moved_qty": 3,
        "note": "Two docks were broken",
        "problems": ["station_full", "station_full"],
    }

    answer = phone.report(task, **values)

    assert answer.status_code == 200
    detail = f"Task {task['id']} is completed: 3 bikes moved."
    assert answer.json() == {"id": values["id"], "code": "done", "detail": detail, "moved_qty": 3}
    stored = Task.objects.get()
    assert (stored.status, stored.moved_qty, stored.note) == ("completed", 3, values["note"])
    event = last_event()
    assert (event.kind, event.actor, event.worker_id) == ("completed", "crew van-1", "van-1")
    assert event.details == {
        "report": values["id"],
        "device": phone.device.pk,
        "age": 0.25,
        "tapped_at": values["tapped_at"],
        "problems": ["station_full"],
        "moved_qty": 3,
        "note": values["note"],
        "completed_at": stored.reported_completed_at.isoformat(),
    }


def test_give_back_releases_the_task(phone, task):
    answer = phone.report(task, "give_back", reason="The van broke down", problems=["other"])

    assert (answer.status_code, answer.json()["code"]) == (200, "given_back")
    assert Task.objects.get().status == "ready"
    event = last_event()
    assert (event.kind, event.actor, event.worker_id) == ("released", "crew van-1", "van-1")
    assert event.details["reason"] == "The van broke down"
    assert event.details["problems"] == ["other"]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"problems": ["blocked", "station_full"]}, "Blocked, Station full"),
        ({"note": "No key"}, "No key"),
        ({}, "No reason was given."),
    ],
)
def test_give_back_without_a_reason_is_not_refused(phone, task, values, reason):
    assert phone.report(task, "give_back", **values).status_code == 200
    assert last_event().details["reason"] == reason


def test_problem_leaves_the_task_with_the_crew(phone, task):
    before = Task.objects.values().get()

    answer = phone.report(task, "problem", problems=["station_closed"], note="Fenced off")

    assert (answer.status_code, answer.json()["code"]) == (200, "problem_noted")
    assert Task.objects.values().get() == before
    event = last_event()
    assert (event.kind, event.worker_id, event.attempt) == ("problem", "van-1", 1)
    assert event.details["problems"] == ["station_closed"]
    assert event.details["note"] == "Fenced off"


@pytest.mark.parametrize(
    ("said", "recorded", "details"),
    [(8, 8, {"moved_qty": 8}), (9000, 12, {"moved_qty": 12, "crew_count": 9000})],
)
def test_count_above_the_most_is_corrected(phone, task, settings, said, recorded, details):
    settings.VAN_CAPACITY = 12

    answer = phone.report(task, moved_qty=said)

    assert (answer.status_code, answer.json()["moved_qty"]) == (200, recorded)
    assert f"{said} were reported" in answer.json()["detail"]
    assert Task.objects.get().moved_qty == recorded
    assert last_event().details.items() >= details.items()


def test_task_may_be_reported_done_twice(phone, task):
    phone.report(task, moved_qty=3)

    again = Phone("van-1").report(task, moved_qty=4)

    assert (again.status_code, again.json()["moved_qty"]) == (200, 3)
    assert kinds().count("completed") == 1
    assert last_event().kind == "completed"


@pytest.mark.parametrize("lose", [None, *LOSSES])
@pytest.mark.parametrize("words", [{"note": "Dock 4 is loose"}, {"problems": ["blocked"]}])
def test_words_of_a_second_done_are_kept(phone, task, lose, words):
    if lose:
        lose(task["id"])
    first = phone.report(task, moved_qty=3)
    before = Task.objects.values().get()

    again = Phone("van-1").report(task, moved_qty=3, **words)

    assert again.status_code == first.status_code
    assert Task.objects.values().get() == before
    event = last_event()
    assert (event.kind, event.worker_id, event.attempt) == ("problem", "van-1", 1)
    assert event.details.items() >= words.items()
    assert "task_history_is_legal" not in violations()


# Late reports


@pytest.mark.parametrize("lose", LOSSES)
def test_late_completion_is_refused_and_kept_once(phone, task, lose):
    lose(task["id"])
    before = Task.objects.values().get()

    for _ in range(2):
        answer = phone.report(task, moved_qty=4)
        assert (answer.status_code, answer.json()["code"]) == (409, LOSSES[lose])
        assert answer.json()["kept"] is True

    assert Task.objects.values().get() == before
    late = TaskEvent.objects.get(kind="late_report")
    assert (late.worker_id, late.attempt, late.actor) == ("van-1", 1, "crew van-1")
    assert late.details["moved_qty"] == 4
    assert "task_history_is_legal" not in violations()


@pytest.mark.parametrize("lose", LOSSES)
def test_late_problem_is_refused_and_kept(phone, task, lose):
    lose(task["id"])
    before = Task.objects.values().get()

    answer = phone.report(task, "problem", problems=["broken_bikes"])

    assert (answer.status_code, answer.json()["code"]) == (409, LOSSES[lose])
    assert answer.json()["kept"] is True
    assert Task.objects.values().get() == before
    event = last_event()
    assert (event.kind, event.worker_id, event.attempt) == ("problem", "van-1", 1)
    assert event.details["problems"] == ["broken_bikes"]
    assert "task_history_is_legal" not in violations()


@pytest.mark.parametrize("lose", LOSSES)
def test_late_give_back_is_kept_unless_the_task_was_released(phone, task, lose):
    lose(task["id"])
    before, kept = Task.objects.values().get(), LOSSES[lose] != "released"

    answer = phone.report(task, "give_back", reason="The van broke down")

    assert (answer.status_code, answer.json()["code"]) == (409, LOSSES[lose])
    assert answer.json()["kept"] is kept
    assert Task.objects.values().get() == before
    reasons = TaskEvent.objects.filter(kind="problem").values_list("details__reason", flat=True)
    assert list(reasons) == ["The van broke down"] * kept


def test_refusal_names_the_other_crew_and_the_time(phone, task):
    reassign(task["id"])
    at = TaskEvent.objects.get(kind="reassigned").at

    answer = phone.report(task).json()

    assert answer.pop("id")
    assert answer == {
        "code": "reassigned",
        "detail": f"Task {task['id']} was reassigned to van-2 at {at:%H:%M}; the report was kept.",
        "worker_id": "van-2",
        "at": at.isoformat(),
        "kept": True,
    }


@pytest.mark.parametrize(("kind", "kept"), [("give_back", False), ("problem", True)])
def test_own_completed_task_cannot_be_given_back(phone, task, kind, kept):
    phone.report(task)

    answer = phone.report(task, kind, problems=["blocked"])

    assert (answer.status_code, answer.json()["code"]) == (409, "already_done")
    assert answer.json()["kept"] is kept
    assert Task.objects.get().status == "completed"


def test_report_of_an_earlier_claim_does_not_complete_the_present_one(phone, task):
    release_and_claim_again(task["id"])

    assert phone.report(task).json()["code"] == "released"
    assert Task.objects.get().status == "assigned"
    assert phone.report({**task, "attempt": 2}).json()["code"] == "done"


@pytest.mark.parametrize("kind", ["done", "give_back", "problem"])
def test_task_of_another_crew_looks_like_one_that_does_not_exist(phone, kind):
    services.create_task(TaskFactory.build(), actor="maria")
    foreign = Phone("van-2").claim().json()
    before = [*TaskEvent.objects.values(), *Task.objects.values()]

    for task in (foreign, {"id": foreign["id"] + 1000, "attempt": 1}):
        answer = phone.report(task, kind, problems=["blocked"], id=(report_id := str(uuid4())))
        assert answer.status_code == 404
        assert answer.json() == {
            "id": report_id,
            "code": "unknown_task",
            "detail": f"Task {task['id']} is not known to this crew.",
        }

    assert [*TaskEvent.objects.values(), *Task.objects.values()] == before


def test_attempt_that_the_crew_never_had_is_unknown(phone, task):
    answer = phone.report({**task, "attempt": 2})

    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_task")
    assert Task.objects.get().status == "assigned"


# Repeats


@pytest.mark.parametrize("lose", [None, *LOSSES])
@pytest.mark.parametrize("kind", ["done", "give_back", "problem"])
def test_repeated_report_gets_the_same_answer_and_changes_nothing(phone, task, kind, lose):
    if lose:
        lose(task["id"])
    values = {"id": str(uuid4()), "problems": ["other"], "note": "Full", "moved_qty": 2}
    first = phone.report(task, kind, **values)
    events = list(TaskEvent.objects.values())

    # A day later, on another phone of the crew.
    again = Phone("van-1").report(task, kind, **values, age=86_400, tapped_at="yesterday")

    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert list(TaskEvent.objects.values()) == events
    assert CrewReport.objects.count() == 1


def test_repeated_report_gets_its_first_answer_after_the_task_has_changed(phone, task):
    values = {"id": str(uuid4()), "reason": "Flat tyre"}
    phone.report(task, "give_back", **values)
    phone.claim()

    assert phone.report(task, "give_back", **values).json()["code"] == "given_back"
    assert Task.objects.get().status == "assigned"


@pytest.mark.parametrize(
    "other",
    [
        {"moved_qty": 4},
        {"note": "Other"},
        {"problems": ["blocked"]},
        {"kind": "give_back"},
        {"attempt": 2},
        {"reason": "Other"},
    ],
)
def test_id_cannot_be_used_for_another_report(phone, task, other):
    report_id = str(uuid4())
    first = phone.report(task, id=report_id)

    answer = phone.report(task, **{"id": report_id, **other})

    assert (answer.status_code, answer.json()["code"]) == (422, "id_reused")
    assert phone.report(task, id=report_id).json() == first.json()


def test_id_of_another_crews_report_is_refused(phone, task):
    report_id = str(uuid4())
    phone.report(task, id=report_id)

    answer = Phone("van-2").report(task, id=report_id)

    assert (answer.status_code, answer.json()["code"]) == (422, "id_reused")


# Clocks


@pytest.fixture
def claimed_an_hour_ago(task):
    Task.objects.update(assigned_at=F("assigned_at") - timedelta(hours=1))
    return task


@pytest.mark.parametrize(
    ("age", "minutes_ago", "corrected"),
    [
        (0, 0, None),
        (600, 10, None),
        ("600.0", 10, None),
        (3600 + 60, 60, None),
        (3600 + 180, 60, True),
        (40 * 86_400, 60, True),
    ],
)
def test_age_is_taken_from_the_servers_clock(
    phone, claimed_an_hour_ago, age, minutes_ago, corrected
):
    answer = phone.report(claimed_an_hour_ago, age=age, tapped_at="12:00")

    assert answer.status_code == 200
    stored = Task.objects.get()
    off = stored.completed_at - stored.reported_completed_at - timedelta(minutes=minutes_ago)
    assert abs(off) < timedelta(seconds=10)
    assert stored.reported_completed_at >= stored.assigned_at
    details = last_event().details
    assert (details["age"], details["tapped_at"]) == (float(age), "12:00")
    assert details.get("time_corrected") is corrected


@pytest.mark.parametrize(
    ("age", "corrected"),
    [(-1, None), (-121, True), (366 * 86_400, True), (1e14, True), (-1e14, True)],
)
def test_impossible_age_takes_the_servers_time(phone, task, age, corrected):
    assert phone.report(task, age=age).status_code == 200

    stored = Task.objects.get()
    assert (stored.status, stored.reported_completed_at) == ("completed", None)
    details = last_event().details
    assert details["age"] == age
    assert details.get("time_corrected") is corrected


@pytest.mark.parametrize("age", [None, True, "soon", "nan", "-inf", [], {"a": 1}, "9" * 500, 1e300])
def test_unreadable_age_refuses_no_report(phone, task, age):
    assert phone.report(task, age=age).status_code == 200
    assert Task.objects.get().status == "completed"
    assert "age" not in last_event().details


@pytest.mark.parametrize("tapped_at", [None, True, 1_700_000_000_000, "\u202eabc\n", "x" * 5000])
def test_phones_raw_time_refuses_no_report(phone, task, tapped_at):
    assert phone.report(task, tapped_at=tapped_at).status_code == 200
    assert len(last_event().details.get("tapped_at", "")) <= 100


@pytest.mark.parametrize("kind", ["problem", "give_back"])
def test_problem_keeps_the_time_of_the_tap(phone, claimed_an_hour_ago, kind):
    phone.report(claimed_an_hour_ago, kind, problems=["blocked"], age=600)

    event = last_event()
    happened = timezone.datetime.fromisoformat(event.details["happened_at"])
    assert abs(event.at - happened - timedelta(minutes=10)) < timedelta(seconds=10)


def test_late_completion_is_not_before_its_claim(phone, task):
    reassign(task["id"])
    claim = TaskEvent.objects.get(kind="claimed")

    phone.report(task, age=7200)

    details = TaskEvent.objects.get(kind="late_report").details
    assert details["completed_at"] == claim.at.isoformat()
    assert details["time_corrected"] is True


# Refusals before a report is stored


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"id": "no uuid"}, "id"),
        ({"id": 7}, "id"),
        ({"kind": "undo"}, "kind"),
        ({"task_id": 0}, "task_id"),
        ({"task_id": "x"}, "task_id"),
        ({"attempt": None}, "attempt"),
        ({"moved_qty": -1}, "moved_qty"),
        ({"moved_qty": 2.5}, "moved_qty"),
        ({"note": "x" * 2001}, "note"),
        ({"note": "\x00"}, "note"),
        ({"note": "\ud800"}, "note"),
        ({"reason": "x" * 2001}, "reason"),
        ({"problems": "blocked"}, "problems"),
        ({"problems": ["flood"]}, "problems"),
        ({"problems": ["blocked"] * 100}, "problems"),
        ({"kind": "problem"}, "problems"),
    ],
)
def test_invalid_report_names_the_field(phone, task, values, field):
    answer = phone.report(task, **values)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert list(answer.json()["errors"]) == [field]
    assert kinds() == ["created", "claimed"]
    assert not CrewReport.objects.exists()


def test_report_of_another_version_asks_for_an_update(phone, task):
    for version in (0, 2, "2", None, "x"):
        answer = phone.report(task, v=version, kind="new")
        assert (answer.status_code, answer.json()["code"]) == (400, "update")
    assert not CrewReport.objects.exists()


def test_numbers_may_be_texts_and_optional_values_missing(phone, task):
    report = {
        "v": "1",
        "id": str(uuid4()),
        "kind": "done",
        "task_id": float(task["id"]),
        "attempt": "1",
        "moved_qty": "3.0",
    }

    answer = phone.post("reports", report)

    assert (answer.status_code, answer.json()["moved_qty"]) == (200, 3)


@pytest.mark.parametrize(
    "body", ["[]", "7", '"x"', '[{"v": 1}]', "{", "", "null", '{"v": 1, "v": 1}']
)
def test_body_that_is_no_report_is_refused(phone, body):
    answer = phone.client.post(
        "/crew/api/reports", body, "application/json", headers={"X-Crew": "1"}
    )

    assert answer.status_code == 400
    assert answer.json()["code"] in ("invalid", "update")
