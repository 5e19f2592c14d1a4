"""The contract, word for word, on a real gunicorn."""

import re
from datetime import UTC, datetime, timedelta
from itertools import chain

import pytest
import requests

from dispatch.models import Suggestion, Task, TaskEvent

from ..support.factories import SuggestionFactory, TaskFactory

pytestmark = pytest.mark.django_db(transaction=True)

ISO_8601 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")


def post(url, body=None):
    answer = requests.post(url, json=body, timeout=10)
    return answer.status_code, answer.json()


def test_life_of_a_suggestion_follows_the_contract(server):
    suggestion = SuggestionFactory(qty=5)
    move = {
        "from_station_id": 100,
        "to_station_id": 200,
        "qty": 5,
        "reason": "Station 100 is full, Station 200 needs bikes",
    }

    health = requests.get(server.url + "/", timeout=10)
    assert health.status_code == 200
    assert health.json() == {"message": "Bay Wheels Orchestration & Dispatch Service"}
    assert health.headers["Content-Type"] == "application/json"

    listed = requests.get(server.url + "/suggestions", timeout=10)
    assert listed.status_code == 200
    assert listed.json() == [{"id": suggestion.id, **move}]

    status, ready = post(server.url + "/task/approve", {"suggestion_id": suggestion.id})
    assert status == 200
    assert ISO_8601.fullmatch(ready["created_at"])
    created_at = datetime.fromisoformat(ready["created_at"])
    assert abs(datetime.now(UTC) - created_at) < timedelta(minutes=1)
    identity = {"id": Task.objects.get().id, **move, "created_at": ready["created_at"]}
    assert ready == {**identity, "status": "ready", "worker_id": None}
    assert requests.get(server.url + "/suggestions", timeout=10).json() == []

    status, assigned = post(server.url + "/dispatch/next", {"worker_id": "user_456"})
    assert status == 200
    assert assigned == {**identity, "status": "assigned", "worker_id": "user_456"}

    for _ in range(2):
        status, completed = post(f"{server.url}/task/{ready['id']}/complete")
        assert status == 200
        assert completed == {**identity, "status": "completed", "worker_id": "user_456"}

    history = TaskEvent.objects.order_by("id").values_list("kind", "actor")
    assert list(history) == [("approved", "api"), ("claimed", "api"), ("completed", "api")]


def test_refusals_are_json_and_change_nothing(server):
    task = TaskFactory()

    assert post(server.url + "/task/approve", {"suggestion_id": 999}) == (
        404,
        {"detail": "Suggestion 999 not found."},
    )
    assert post(server.url + "/task/999/complete") == (404, {"detail": "Task 999 not found."})
    assert post(f"{server.url}/task/{task.id}/complete") == (
        409,
        {"detail": f"Task {task.id} is ready, not assigned."},
    )
    assert post(server.url + "/task/approve", {}) == (
        400,
        {
            "detail": "suggestion_id: This field is required.",
            "errors": {"suggestion_id": ["This field is required."]},
        },
    )
    assert post(server.url + "/dispatch/next", {"worker_id": ""})[0] == 400
    assert Task.objects.get().status == "ready"
    assert not TaskEvent.objects.exists()


def test_empty_queue_is_404_with_retry_after(server):
    answer = requests.post(server.url + "/dispatch/next", json={"worker_id": "van-1"}, timeout=10)

    assert answer.status_code == 404
    assert answer.json() == {"detail": "No available tasks"}
    assert int(answer.headers["Retry-After"]) > 0


def test_approving_again_is_404_and_names_the_task(server):
    suggestion = SuggestionFactory()
    post(server.url + "/task/approve", {"suggestion_id": suggestion.id})

    assert post(server.url + "/task/approve", {"suggestion_id": suggestion.id}) == (
        404,
        {
            "detail": f"Suggestion {suggestion.id} was already approved as task "
            f"{Task.objects.get().id} by api."
        },
    )
    assert Task.objects.count() == 1


def test_head_returns_headers_of_get_without_body(server):
    for path in ("/", "/suggestions", "/healthz", "/readyz", "/openapi.json", "/docs", "/redoc"):
        answer = requests.head(server.url + path, timeout=10)
        assert (answer.status_code, answer.content) == (200, b""), path


def test_link_header_leads_to_every_suggestion(server):
    SuggestionFactory.insert_batch(25)
    expected = list(Suggestion.objects.order_by("id").values_list("id", flat=True))

    seen, url = [], server.url + "/suggestions?limit=10"
    while url:
        answer = requests.get(url, timeout=10)
        seen.append([row["id"] for row in answer.json()])
        url = answer.links.get("next", {}).get("url")

    assert [len(page) for page in seen] == [10, 10, 5]
    assert list(chain(*seen)) == expected


def test_request_id_is_kept_or_generated(server):
    own = requests.get(server.url, headers={"X-Request-ID": "van-7.42"}, timeout=10)
    hostile = requests.get(server.url, headers={"X-Request-ID": 'a" b'}, timeout=10)

    assert own.headers["X-Request-ID"] == "van-7.42"
    assert re.fullmatch("[0-9a-f]{32}", hostile.headers["X-Request-ID"])
