"""The API beyond the contract's five endpoints."""

import json
from datetime import timedelta
from urllib.parse import quote

import pytest
import requests
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dispatch import services
from dispatch.models import Suggestion, Task, TaskEvent
from dispatch.services import Report

from ..support.factories import MORNING, SuggestionFactory, TaskFactory, claimed
from ..support.hostile_wide import ODD_CLOCKS

pytestmark = pytest.mark.django_db


@pytest.fixture
def api(client):
    """POST a JSON body (None: no body). Return the status and the response."""

    def post(path, body=None, **headers):
        sent = {} if body is None else {"data": body, "content_type": "application/json"}
        answer = client.post(path, headers=headers, **sent)
        return answer.status_code, answer.json()

    return post


@pytest.mark.parametrize("form", ["{}", "{}.0", '"{}"', '"{}.0"', "{}e0"])
def test_whole_ids_are_read_in_every_form_that_tools_write(client, form):
    suggestion = SuggestionFactory()
    body = f'{{"suggestion_id": {form.format(suggestion.id)}}}'

    answer = client.post("/task/approve", body, content_type="application/json")

    assert answer.status_code == 200
    assert Task.objects.get().suggestion_id == suggestion.id


def test_crew_extends_and_releases_its_task(api):
    task = claimed("van-1")

    status, extended = api(f"/task/{task.id}/extend", {"worker_id": "van-1"})
    assert (status, extended["status"], extended["attempt"]) == (200, "assigned", 1)
    assert extended["lease_expires_at"] > extended["assigned_at"]

    status, released = api(
        f"/task/{task.id}/release", {"worker_id": "van-1", "reason": "The van broke down"}
    )
    assert (status, released["status"], released["worker_id"]) == (200, "ready", None)
    assert api(f"/task/{task.id}/extend") == (
        409,
        {"detail": f"Task {task.id} is ready, not assigned."},
    )


def test_dispatcher_reassigns_prioritizes_and_cancels(api):
    task = claimed("van-1")

    status, answer = api(f"/task/{task.id}/reassign", {"worker_id": "van-2", "reason": "Closer"})
    assert (status, answer["worker_id"], answer["attempt"]) == (200, "van-2", 2)
    status, answer = api(f"/task/{task.id}/priority", {"priority": 50})
    assert (status, answer["priority"]) == (200, 50)
    status, answer = api(f"/task/{task.id}/cancel", {"reason": "Road works"})
    assert (status, answer["status"]) == (200, "cancelled")
    assert answer["cancelled_at"]
    assert api(f"/task/{task.id}/cancel", {"reason": "Again"})[0] == 409


def test_completion_reports_bikes_moved(api):
    task = claimed("van-1", qty=5)
    reported = (task.assigned_at + timedelta(microseconds=1)).isoformat()

    status, answer = api(
        f"/task/{task.id}/complete",
        {"worker_id": "van-1", "moved_qty": 0, "note": "No bikes", "completed_at": reported},
    )

    assert (status, answer["status"]) == (200, "completed")
    assert "moved_qty" not in answer, "The contract's answer has the contract's fields."
    stored = Task.objects.get()
    assert (stored.moved_qty, stored.note) == (0, "No bikes")
    assert stored.reported_completed_at == task.assigned_at + timedelta(microseconds=1)


@pytest.mark.parametrize(
    "body",
    [
        {"moved_qty": -1},
        {"moved_qty": 2**31},
        {"moved_qty": True},
        {"moved_qty": 1.5},
        {"moved_qty": "٣"},
        {"worker_id": ""},
        {"worker_id": 7},
        {"worker_id": "a\nb"},
        {"note": "x" * 2001},
        {"note": "\x00"},
        {"note": ["x"]},
        {"completed_at": ["2015-05-04T08:00:00Z"]},
        {"completed_at": "noon"},
        {"completed_at": "2015-02-30T00:00:00Z"},
        {"completed_at": 1_700_000_000},
        {"completed_at": "infinity"},
        [],
        "done",
    ],
    ids=repr,
)
def test_invalid_report_is_400_and_changes_nothing(api, body):
    task = claimed("van-1", qty=5)

    status, answer = api(f"/task/{task.id}/complete", body)

    assert status == 400
    assert answer["detail"]
    assert Task.objects.get().status == "assigned"
    assert TaskEvent.objects.count() == 1


@pytest.mark.parametrize("said", [json.loads(text) for text in ODD_CLOCKS])
def test_no_clock_keeps_a_crew_from_completing_its_task(client, said):
    task = claimed("van-1", qty=5)

    answer = client.post(
        f"/task/{task.id}/complete", {"completed_at": said, "moved_qty": 4}, "application/json"
    )

    assert answer.status_code == 200
    assert "the server's time was recorded" in answer.headers["X-Warning"]
    stored = Task.objects.get()
    assert (stored.status, stored.moved_qty) == ("completed", 4)
    assert stored.reported_completed_at is None


@pytest.mark.parametrize(
    ("moved", "warning"),
    [
        (7, "7 were reported."),
        (41, "41 were reported: 40 were recorded, the most that a van takes."),
    ],
)
def test_more_bikes_than_asked_are_accepted_with_a_warning(client, moved, warning):
    task = claimed("van-1", qty=5)

    answer = client.post(f"/task/{task.id}/complete", {"moved_qty": moved}, "application/json")

    assert answer.status_code == 200
    assert answer.headers["X-Warning"] == f"Task {task.id} was about 5 bikes, and {warning}"


@pytest.mark.parametrize("body", [None, {}, {"worker_id": None, "moved_qty": None, "note": None}])
def test_completion_without_body_means_holder_moved_all(api, body):
    task = claimed("van-1", qty=5)

    assert api(f"/task/{task.id}/complete", body)[0] == 200
    assert Task.objects.get().moved_qty == 5


def test_completion_by_former_holder_is_409_but_recorded(api):
    task = claimed("van-1")
    services.reassign_task(task.id, "van-2", actor="maria", reason="Closer")

    status, answer = api(f"/task/{task.id}/complete", {"worker_id": "van-1"})

    assert (status, answer) == (
        409,
        {"detail": f"Task {task.id} is assigned, but not by van-1."},
    )
    assert TaskEvent.objects.filter(kind="late_report").exists()


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("release", {}),
        ("release", {"reason": " "}),
        ("release", {"reason": "x" * 2001}),
        ("cancel", {}),
        ("cancel", {"reason": None}),
        ("reassign", {"worker_id": "van-2"}),
        ("reassign", {"reason": "Closer"}),
        ("reassign", {"worker_id": " ", "reason": "Closer"}),
        ("priority", {}),
        ("priority", {"priority": 101}),
        ("priority", {"priority": "high"}),
        ("extend", {"worker_id": 5}),
    ],
)
def test_missing_field_is_400_and_changes_nothing(api, operation, body):
    task = claimed("van-1")
    before = Task.objects.values().get()

    status, answer = api(f"/task/{task.id}/{operation}", body)

    assert status == 400
    assert set(answer) == {"detail", "errors"}
    assert Task.objects.values().get() == before
    assert TaskEvent.objects.count() == 1


@pytest.mark.parametrize(
    "operation", ["", "/events", "/complete", "/extend", "/release", "/cancel", "/reassign"]
)
def test_unknown_task_is_404(client, operation):
    path = f"/task/999{operation}"
    body = {"reason": "No", "worker_id": "van-1"}
    read = operation in ("", "/events")

    answer = client.get(path) if read else client.post(path, body, "application/json")

    assert (answer.status_code, answer.json()) == (404, {"detail": "Task 999 not found."})


@pytest.mark.parametrize("path", ["/task/{}/complete", "/suggestions/{}/reject"])
def test_impossible_id_is_404_without_a_query(client, path, django_assert_num_queries):
    with django_assert_num_queries(0):
        answer = client.post(path.format(10**20), {"reason": "No"}, "application/json")

    assert answer.status_code == 404
    assert answer.json()["detail"]


# Safe retry


def test_claim_repeated_with_same_key_returns_same_task(api):
    TaskFactory.create_batch(2)
    key = {"Idempotency-Key": "9b1d-1"}

    first = api("/dispatch/next", {"worker_id": "van-1"}, **key)
    again = api("/dispatch/next", {"worker_id": "van-1"}, **key)
    without = api("/dispatch/next", {"worker_id": "van-1"})

    assert first == again
    assert first[0] == 200
    assert without[1]["id"] != first[1]["id"]


def test_key_reused_with_another_body_is_422(api):
    TaskFactory.create_batch(2)
    key = {"Idempotency-Key": "9b1d-1"}
    api("/dispatch/next", {"worker_id": "van-1"}, **key)

    status, answer = api("/dispatch/next", {"worker_id": "van-2"}, **key)

    assert status == 422
    assert answer == {"detail": "This Idempotency-Key was used for another worker_id."}
    assert Task.objects.assigned().count() == 1


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "é", "a\tb"])
def test_malformed_key_is_400_and_claims_nothing(api, key):
    TaskFactory()

    status, answer = api("/dispatch/next", {"worker_id": "van-1"}, **{"Idempotency-Key": key})

    assert status == 400
    assert "Idempotency-Key" in answer["errors"]
    assert Task.objects.ready().count() == 1


# Suggestions


def test_source_can_read_its_rejections(api, client):
    SuggestionFactory(source="other")
    suggestion = SuggestionFactory(source="demand v2/é")

    status, event = api(f"/suggestions/{suggestion.id}/reject", {"reason": "Road works"})
    services.reject_suggestion(Suggestion.objects.get().id, actor="maria", reason="No")

    assert status == 200
    found = client.get("/events", {"source": "demand v2/é", "kind": "rejected"}).json()
    assert found == [event]
    assert (event["details"]["code"], event["details"]["rejection"]) == ("other", "Road works")
    assert (event["suggestion_id"], event["details"]["qty"]) == (suggestion.id, 5)


@pytest.mark.parametrize(
    ("body", "code", "rejection"),
    [
        ({"code": "no_crew"}, "no_crew", "No crew"),
        ({"code": "no_crew", "reason": ""}, "no_crew", "No crew"),
        ({"code": "event", "reason": "Marathon"}, "event", "Marathon"),
        ({"code": "other", "reason": "Marathon"}, "other", "Marathon"),
    ],
)
def test_rejection_has_a_code_and_a_reason(api, body, code, rejection):
    status, event = api(f"/suggestions/{SuggestionFactory().id}/reject", body)

    assert status == 200
    assert (event["details"]["code"], event["details"]["rejection"]) == (code, rejection)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "reason: This field is required."),
        ({"reason": ""}, "reason: This field may not be blank."),
        ({"reason": None}, "reason: This field may not be null."),
        ({"code": "other"}, "reason: This field is required."),
        ({"code": "other", "reason": " "}, "reason: This field may not be blank."),
        ({"code": "no_crew", "reason": 7}, "reason: Not a valid string."),
        ({"code": "nonsense", "reason": "Full"}, 'code: "nonsense" is not a valid choice.'),
        ({"code": ["no_crew"], "reason": "Full"}, "code: \"['no_crew']\" is not a valid choice."),
    ],
)
def test_rejection_without_a_reason_or_a_known_code_is_refused(api, body, detail):
    suggestion = SuggestionFactory()

    status, answer = api(f"/suggestions/{suggestion.id}/reject", body)

    assert (status, answer["detail"]) == (400, detail)
    assert Suggestion.objects.filter(pk=suggestion.id).exists()


def test_source_can_read_all_events_of_its_suggestions(client):
    suggestion = SuggestionFactory(source="demand-v2")
    task = services.approve_suggestion(suggestion.id, actor="maria").task
    claimed()
    services.complete_task(task.id, actor="api", report=Report(moved_qty=3))

    events = client.get("/events?source=demand-v2").json()

    assert [event["kind"] for event in events] == ["approved", "claimed", "completed"]
    assert {event["suggestion_id"] for event in events} == {suggestion.id}
    assert events[-1]["details"] == {"moved_qty": 3}


def test_suggestion_priority_can_be_set(api):
    suggestion = SuggestionFactory()

    status, answer = api(f"/suggestions/{suggestion.id}/priority", {"priority": -100})

    assert (status, answer["priority"]) == (200, -100)
    assert api("/suggestions/999/priority", {"priority": 1})[0] == 404


def test_approving_expired_suggestion_is_409(api):
    suggestion = SuggestionFactory(expires_at=MORNING)

    status, answer = api("/task/approve", {"suggestion_id": suggestion.id})

    assert status == 409
    assert "expired" in answer["detail"]


def test_approving_a_duplicate_move_sets_warning_header(client):
    first, second = SuggestionFactory.create_batch(2)

    def approve(suggestion):
        return client.post(
            "/task/approve", {"suggestion_id": suggestion.id}, content_type="application/json"
        )

    assert "X-Warning" not in approve(first).headers
    task = Task.objects.get()
    assert approve(second).headers["X-Warning"] == (
        f"Task {task.id} (ready) already moves bikes from Station 100 to Station 200."
    )


# Reading


def ids(answer):
    assert answer.status_code == 200, answer.content
    return [each["id"] for each in answer.json()]


def test_tasks_are_filtered_newest_first(client, settings):
    settings.TASK_OVERDUE_MINUTES = 60
    TaskFactory(id=1, created_at=MORNING)
    TaskFactory(id=2, assigned=True, worker_id="van-1", to_station_id=300)
    TaskFactory(id=3, assigned=True, worker_id="van-2", from_station_id=300)
    TaskFactory(id=4, completed=True, worker_id="van-2", from_station_id=7)
    services.reassign_task(3, "van-3", actor="maria", reason="Just now")

    assert ids(client.get("/tasks")) == [4, 3, 2, 1]
    assert ids(client.get("/tasks?status=assigned")) == [3, 2]
    assert ids(client.get("/tasks?worker_id=van-2")) == [4]
    assert ids(client.get("/tasks?worker_id=van-1&status=assigned")) == [2]
    assert ids(client.get("/tasks?station_id=300")) == [3, 2]
    assert ids(client.get("/tasks?created_before=2015-05-05T00:00:00Z")) == [1]
    assert ids(client.get("/tasks?created_after=2015-05-05T00:00:00Z")) == [4, 3, 2]
    assert ids(client.get("/tasks?overdue=true")) == [2]


@pytest.mark.parametrize(
    "query",
    [
        "status=lost",
        "status=",
        "status=ready&status=assigned",
        "worker_id=",
        "worker_id=%00",
        "station_id=x",
        "station_id=-1",
        "station_id=99999999999",
        "created_before=yesterday",
        "created_before=2015-05-04",
        "created_after=20000-01-01T00:00:00Z",
        "overdue=yes",
        "limit=0",
        "limit=1001",
        "cursor=x",
    ],
)
def test_invalid_task_filter_is_400(client, query):
    answer = client.get(f"/tasks?{query}")

    assert answer.status_code == 400
    assert set(answer.json()) == {"detail", "errors"}


WITH_A_NUMBER = ["/tasks?limit=", "/tasks?station_id=", "/events?after_id="]


@pytest.mark.parametrize("one", ["1", "1.0", "01"])
@pytest.mark.parametrize("query", WITH_A_NUMBER)
def test_queries_accept_whole_numbers_in_every_usual_form(client, query, one):
    assert client.get(query + one).status_code == 200


@pytest.mark.parametrize("number", ["1.5", "1.000", "1e0", "+1", " 1", ""])
@pytest.mark.parametrize("query", WITH_A_NUMBER)
def test_queries_refuse_other_numbers(client, query, number):
    assert client.get(query + quote(number)).status_code == 400


@pytest.mark.parametrize("query", ["kind=lost", "source=", "suggestion_id=0", "source=%00"])
def test_invalid_event_filter_is_400(client, query):
    assert client.get(f"/events?{query}").status_code == 400


def test_link_header_leads_through_all_pages(client):
    TaskFactory.insert_batch(5)
    expected = list(Task.objects.order_by("-id").values_list("id", flat=True))

    seen, url = [], "/tasks?limit=2&status=ready"
    while url:
        answer = client.get(url)
        seen += ids(answer)
        url = answer.headers.get("Link", "").partition(">")[0].removeprefix("<")
    assert seen == expected


def test_growing_lists_return_100_rows_by_default(client):
    TaskFactory.insert_batch(101)
    TaskEvent.objects.bulk_create(TaskEvent(kind="created", actor="a") for _ in range(101))

    for path in ("/tasks", "/events"):
        answer = client.get(path)
        assert len(answer.json()) == 100
        assert 'rel="next"' in answer.headers["Link"]


def test_task_and_its_history_can_be_read(client):
    task = claimed("van-1", priority=7)
    services.release_task(task.id, actor="maria", reason="Too far")

    answer = client.get(f"/task/{task.id}").json()
    events = client.get(f"/task/{task.id}/events").json()

    assert (answer["status"], answer["priority"], answer["attempt"]) == ("ready", 7, 1)
    assert [event["kind"] for event in events] == ["claimed", "released"]
    assert events[-1]["details"] == {"reason": "Too far"}


def test_history_of_pruned_task_remains_readable(client):
    task = claimed("van-1")
    Task.objects.all().delete()

    assert client.get(f"/task/{task.id}").status_code == 404
    assert len(client.get(f"/task/{task.id}/events").json()) == 1


@pytest.mark.parametrize("path", ["/tasks", "/events", "/task/{}", "/task/{}/events"])
def test_head_works_wherever_get_does(client, path):
    task = claimed()

    assert client.head(path.format(task.id)).status_code == 200


FLAT = {
    "/tasks": "tasks_pkey",
    "/tasks?status=cancelled": "task_status",
    "/tasks?worker_id=van-1": "task_by_worker",
    "/tasks?worker_id=van-1&status=assigned": "task_held_by",
    "/tasks?station_id=300": "task_from_station",
    "/events?source=demand-v2": "event_by_source",
    "/events?suggestion_id=7": "event_by_suggestion",
    "/task/{}/events": "event_by_task",
}


def enter_history(count):
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO tasks (from_station_id, to_station_id, qty, status, worker_id, attempt,
                assigned_at, completed_at, moved_qty)
            SELECT 1000 + n %% 100, 200, 5, 'completed', 'van-' || n %% 50, 1, now(), now(), 5
            FROM generate_series(1, %(count)s) AS n;
            INSERT INTO task_events (kind, actor, task_id, suggestion_id, source)
            SELECT 'created', 'a', n, n, 'job-' || n %% 50 FROM generate_series(1, %(count)s) AS n
            """,
            {"count": count},
        )


@pytest.mark.slow
@pytest.mark.parametrize(("path", "index"), FLAT.items(), ids=FLAT.keys())
def test_growing_lists_use_an_index(client, path, index):
    enter_history(3000)
    TaskFactory.insert_batch(9, assigned=True, worker_id="van-1")
    path = path.format(Task.objects.first().id)
    TaskEvent.objects.create(kind="created", actor="a", task_id=Task.objects.first().id)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE tasks, task_events")

    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200

    query = captured[0]["sql"]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {query}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert index in plan, plan
    assert "Seq Scan" not in plan


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 1, 2000, 2001])
def test_any_number_of_suggestions_is_one_array(client, number):
    SuggestionFactory.insert_batch(number, reason="Größe “5”, \u2028")

    answer = client.get("/suggestions")

    rows = Suggestion.objects.order_by("id").values(
        "id", "from_station_id", "to_station_id", "qty", "reason"
    )
    assert len(answer.json()) == number
    assert answer.json() == list(rows)
    assert answer["Content-Type"] == "application/json"


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_long_list_is_sent_through_a_file(server):
    SuggestionFactory.insert_batch(1500, reason="x" * 2000)

    for _ in range(2):
        answer = requests.get(f"{server.url}/suggestions", timeout=20)
        assert len(answer.json()) == 1500
        assert int(answer.headers["Content-Length"]) == len(answer.content) > 3_000_000
    head = requests.head(f"{server.url}/suggestions", timeout=20)
    assert head.headers["Content-Length"] == answer.headers["Content-Length"]
    assert requests.get(f"{server.url}/", timeout=20).status_code == 200


def test_events_can_be_followed_by_id(client):
    task = claimed("van-1")
    first = client.get("/events").json()[-1]["id"]
    services.release_task(task.id, actor="maria", reason="Too far")

    assert [event["kind"] for event in client.get(f"/events?after_id={first}").json()] == [
        "released"
    ]
    assert client.get("/events?after_id=x").status_code == 400
