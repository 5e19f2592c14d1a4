"""Texts that take effect on pages that do not escape them, and rows that contain them."""

import requests
from django.db import connection

from dispatch import services
from dispatch.services import SuggestionRow
from dispatch.texts import is_printable

from .factories import TaskFactory

PAYLOADS = [
    "<script>window.owned = 1</script>",
    '"><img src="/favicon.ico" onload="window.owned = 1" onerror="window.owned = 1">',
    "' autofocus onfocus='window.owned = 1' x='",
    "</textarea></title></q><svg onload=window.owned=1>",
    "javascript:window.owned=1",
    "{{ 7*7 }}{% debug %}${7*7}",
    "<a href=javascript:alert(1)>&lt;b&gt;",
    "\u202egnp.exe",
    "\u05e9\u05e2\u05e8 5 (2)",
]


def enter(url, payload, number):
    """Create suggestions and tasks with the payload in every text.

    Return the ids of a task with every kind of event and of a rejected suggestion.
    """
    one_line = payload if is_printable(payload) else payload[1:]
    row = SuggestionRow(from_station_id=number, to_station_id=900, qty=1, reason=payload)
    services.ingest_suggestions([row], source=one_line, actor=payload)
    approved, rejected, _ = enter_by_sql(payload)
    services.reject_suggestion(rejected, actor=payload, reason=payload)

    def post(path, **body):
        headers = {"Idempotency-Key": f"<b>{number}"}
        answer = requests.post(url + path, json=body, headers=headers, timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json()

    task = post("/task/approve", suggestion_id=approved)["id"]
    assert post("/dispatch/next", worker_id=one_line)["id"] == task
    post(f"/task/{task}/release", worker_id=one_line, reason=payload)
    post(f"/task/{task}/reassign", worker_id=one_line, reason=payload)
    post(f"/task/{task}/complete", worker_id=one_line, note=payload)
    TaskFactory(assigned=True, worker_id=payload, reason=payload)
    return task, rejected


def enter_by_sql(payload):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO suggestions (from_station_id, to_station_id, qty, reason, source)"
            " SELECT 1, 800, 1, %s, %s FROM generate_series(1, 3) RETURNING id",
            [payload, payload],
        )
        return [id for (id,) in cursor.fetchall()]
