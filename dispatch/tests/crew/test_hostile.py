"""Hostile requests with a valid cookie: a 4xx in JSON with a code, and no change."""

import json
from urllib.parse import quote
from uuid import UUID

import pytest

from dispatch.models import CrewReport, Task, TaskEvent

from ..support.crew_phone import OWN_PAGE, Phone
from ..support.factories import claimed
from ..support.hostile_corpus import BODIES, CONTENT_TYPES, LIMITS, SUGGESTION_IDS
from ..support.hostile_wide import BROKEN_BYTES, NO_INTEGERS, NO_TEXTS, with_value

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

REPORT = {
    "v": 1,
    "id": str(UUID(int=7)),
    "kind": "problem",
    "task_id": 0,
    "attempt": 1,
    "moved_qty": 3,
    "note": "Two docks broken",
    "problems": ["blocked"],
    "reason": "Flat tyre",
}
SEEN = {"task_id": 0, "attempt": 1, "message_id": 1}
NO_IDS = [*NO_INTEGERS, "null", "0", "-1", "9223372036854775808"]
NO_COUNTS = [*NO_INTEGERS, "-1", "2147483648"]
NO_UUIDS = ["null", "7", "true", "[]", "{}", '""', '"7"', f'"{"0" * 31}"', f'"{"0" * 33}"',
            '"\\u0000"', '"\\ud800"', f'"{{{UUID(int=7)}}}x"', '"\\u0660"']  # fmt: skip
NO_KINDS = ["null", "1", "true", "[]", "{}", '""', '"DONE"', '"done "', '"\\u0000"', '["done"]']
NO_PROBLEMS = ['"blocked"', "1", "true", "{}", '["x"]', "[1]", "[null]", "[[]]", '["Blocked"]',
               '["blocked", "\\ud800"]', "[" + '"blocked",' * 99 + '"blocked"]']  # fmt: skip
NO_VERSIONS = ["null", "0", "2", "-1", '"2"', "1.5", "[]", "{}", '"x"', "1e400"]
FIELDS = {
    "reports": (
        REPORT,
        {
            "v": NO_VERSIONS,
            "id": NO_UUIDS,
            "kind": NO_KINDS,
            "task_id": NO_IDS,
            "attempt": [*NO_IDS, "2147483648"],
            "moved_qty": NO_COUNTS,
            "note": NO_TEXTS,
            "problems": NO_PROBLEMS,
            "reason": NO_TEXTS,
        },
    ),
    "seen": (
        SEEN,
        {
            "task_id": NO_IDS,
            "attempt": NO_IDS,
            "message_id": [value for value in NO_IDS if value != "null"],
        },
    ),
}


@pytest.fixture
def phone(monkeypatch):
    phone = Phone("van-1")
    phone.client.raise_request_exception = False
    for values in (REPORT, SEEN):
        monkeypatch.setitem(values, "task_id", claimed("van-1").id)
    return phone


def content():
    return [list(each.objects.order_by("pk").values()) for each in (Task, TaskEvent, CrewReport)]


def send(phone, path, body, content_type="application/json"):
    return phone.client.post(f"/crew/api/{path}", body, content_type, headers=OWN_PAGE)


def complaint(name, answer):
    if not 400 <= answer.status_code < 500 or answer["Content-Type"] != "application/json":
        return f"{name}: {answer.status_code} {answer.content[:200]}"
    words = answer.json()
    good = words.get("detail") and words.get("code") and "Traceback" not in words["detail"]
    return None if good else f"{name}: {words}"


def check(phone, cases):
    before = content()
    complaints = [said for name, *parts in cases if (said := complaint(name, send(phone, *parts)))]
    assert not complaints, "\n".join(complaints)
    assert content() == before


@pytest.mark.parametrize("path", FIELDS)
def test_wrong_values_are_refused(phone, path):
    good, fields = FIELDS[path]

    check(
        phone,
        [
            (f"{field} {value[:40]}", path, with_value(good, field, value))
            for field, values in fields.items()
            for value in values
        ],
    )
    assert send(phone, path, json.dumps(good)).status_code == 200


@pytest.mark.parametrize("path", FIELDS)
def test_broken_bodies_are_refused(phone, path):
    good = json.dumps(FIELDS[path][0]).encode()
    cut = [(f"cut at {place}", path, good[:place]) for place in range(0, len(good), 7)]
    broken = [
        (f"{extra!r} at {place}", path, good[:place] + extra + good[place:])
        for place in range(0, len(good), 40)
        for extra in BROKEN_BYTES
    ]
    typed = [(content_type, path, good, content_type) for content_type in CONTENT_TYPES]

    check(phone, [*cut, *broken, *typed, *((name, path, body) for name, body in BODIES.items())])


def test_odd_ids_in_a_query_are_refused_or_ignored(phone):
    before = content()

    for value in (*SUGGESTION_IDS, *LIMITS):
        answer = phone.get(f"state?tasks={quote(value, safe='')}")
        assert answer.status_code in (200, 400), value
        assert answer.status_code == 200 or answer.json()["code"] == "invalid"
    assert content() == before


@pytest.mark.parametrize("name", ["age", "tapped_at"])
def test_no_clock_refuses_a_report_or_causes_a_server_error(phone, name):
    values = ["1e15", "-1e15", "1e308", "-0.0", '"1e400"', '"nan"', '"\\ud800"', '"\\u0000"',
              f'"{"9" * 5000}"', "[[[]]]", '{"a": {}}', "true", '""', '" 5 "',
              '"\\u0665"']  # fmt: skip
    for number, value in enumerate(values):
        good = {**REPORT, "id": str(UUID(int=number)), "kind": "problem"}
        answer = send(phone, "reports", with_value(good, name, value))
        assert answer.status_code == 200, (value, answer.content)
    events = phone.client.get(f"/task/{REPORT['task_id']}/events")
    assert len(events.json()) == 1 + len(values)
