"""Hostile input gets a 4xx in JSON and changes no row, on a real gunicorn."""

import json
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPResponse, RemoteDisconnected
from urllib.parse import urlsplit

import pytest
from django.contrib import admin
from django.db import connection
from django.urls import reverse

from dispatch.models import TaskEvent
from dispatch.services import create_token

from ..support.factories import SuggestionFactory, TaskFactory, UserFactory
from ..support.hostile_corpus import (
    APPROVE,
    BROKEN_HTTP,
    COMPLETE,
    GOOD_BODY,
    ID,
    JSON,
    NEXT,
    TASK,
    cases,
)
from ..support.hostile_wide import GOOD, wide_cases
from ..support.server import serve

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

CASES = list(cases())


@pytest.fixture
def rows(db):
    """Create a row of every kind, so that no request ends with 404 before its query."""
    SuggestionFactory(id=ID)
    TaskFactory(id=1)
    TaskFactory(id=2, completed=True)
    TaskFactory(id=TASK, assigned=True)
    TaskFactory(id=4, cancelled=True)
    TaskEvent.objects.create(kind="created", task_id=1, actor="maria")
    with connection.cursor() as cursor:
        cursor.execute("SELECT setval(pg_get_serial_sequence('tasks', 'id'), 1000)")


def digest():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT md5(string_agg(row, ',' ORDER BY row)) FROM ("
            " SELECT suggestions::text AS row FROM suggestions"
            " UNION ALL SELECT tasks::text FROM tasks"
            " UNION ALL SELECT task_events::text FROM task_events) AS everything"
        )
        return cursor.fetchone()[0]


def send(url, raw):
    """Send raw bytes on a new connection. Return the status, content type and body."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as connected:
        connected.sendall(raw)
        # A server that refuses early may have closed the connection.
        with suppress(OSError):
            connected.shutdown(socket.SHUT_WR)
        with HTTPResponse(connected) as answer:
            answer.begin()
            return answer.status, answer.headers.get("Content-Type", ""), answer.read()


def request(method, path, headers, body):
    headers = {
        "Host": "127.0.0.1",
        "Connection": "close",
        "Content-Length": str(len(body)),
        **headers,
    }
    lines = [f"{method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
    return "\r\n".join(lines).encode("utf-8") + body


def complaint(case, answer):
    """Return the fault of the response to a bad request, or None."""
    status, content_type, body = answer
    if not 400 <= status < 500:
        return f"{case}: status {status}"
    if content_type != "application/json":
        return f"{case}: {status} as {content_type}"
    detail = json.loads(body).get("detail")
    if not isinstance(detail, str) or not detail or "Traceback" in detail:
        return f"{case}: {body[:200]!r}"
    return None


def complaints_about(server, corpus):
    def ask(case):
        name, *parts = case
        return complaint(name, send(server.url, request(*parts)))

    with ThreadPoolExecutor(4) as pool:
        return [said for said in pool.map(ask, corpus) if said]


def test_corpus_is_large_and_without_duplicates():
    assert len({name for name, *_ in CASES}) == len(CASES) >= 300
    assert len({json.dumps(parts, default=repr) for _, *parts in CASES}) == len(CASES)


def test_valid_versions_of_the_corpus_are_accepted(server, rows):
    for path, right in ((APPROVE, GOOD_BODY), (NEXT, GOOD_BODY), (COMPLETE, b"")):
        status, _, body = send(server.url, request("POST", path, JSON, right))
        assert status == 200, body


def test_bad_requests_are_refused_and_change_nothing(server, rows):
    before = digest()

    complaints = complaints_about(server, CASES)
    assert not complaints, "\n".join(complaints)
    assert digest() == before


WIDE = list(wide_cases())
# All cases in nightly runs; otherwise one in sixteen, always the same ones.
WIDE_STEP = 1 if os.environ.get("HOSTILE") == "all" else 16


def test_wide_corpus_has_ten_thousand_distinct_cases():
    assert len({name for name, *_ in WIDE}) == len(WIDE)
    assert len({repr(parts) for _, *parts in WIDE}) == len(WIDE) >= 10_000


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("auth", ["open", "required"])
def test_wide_corpus_is_refused_and_changes_nothing(transactional_db, rows, auth):
    _, secret = create_token(UserFactory(), actor="test", label="test")
    before = digest()

    with serve(API_AUTH=auth) as server:

        def ask(case):
            name, method, path, headers, body = case
            headers = {**headers, "Authorization": f"Token {secret}"}
            return complaint(name, send(server.url, request(method, path, headers, body)))

        with ThreadPoolExecutor(4) as pool:
            complaints = [said for said in pool.map(ask, WIDE[::WIDE_STEP]) if said]

    assert not complaints, "\n".join(complaints)
    assert digest() == before


@pytest.mark.parametrize(("path", "good"), GOOD.items(), ids=GOOD.keys())
def test_valid_versions_of_the_wide_corpus_are_accepted(client, rows, path, good):
    answer = client.post(path, good, content_type="application/json")

    assert answer.status_code == 200, answer.content


@pytest.mark.slow
def test_corpus_without_token_is_401_except_public_paths(closed_server, rows):
    before = digest()
    # A large unread body would break the connection before the response is read.
    closed = [
        case
        for case in CASES
        if case[2] in (APPROVE, NEXT) and "Host" not in case[3] and len(case[4]) < 10_000
    ]

    answers = [send(closed_server.url, request(*parts)) for _, *parts in closed[::3]]

    assert {status for status, *_ in answers} == {401}
    assert len(answers) > 50
    assert digest() == before


def test_server_refuses_broken_http(server, rows):
    before = digest()

    for name, raw in BROKEN_HTTP.items():
        try:
            status, _, body = send(server.url, raw)
        except RemoteDisconnected:
            continue
        assert 400 <= status < 500 or status in (501, 505), name
        assert b"Traceback" not in body, name
    assert digest() == before


def chunked(body, ending=b"0\r\n\r\n"):
    head = b"POST /task/approve HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    chunks = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
    return head + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + ending


def test_chunked_bodies_are_read_like_others(server, rows):
    before = digest()
    refused = {
        "empty": (400, chunked(b"")),
        "over the limit": (413, chunked(b" " * 1_000_001)),
        "cut": (400, chunked(GOOD_BODY, ending=b"")),
        "bad chunk": (400, chunked(GOOD_BODY, ending=b"zz\r\n\r\n")),
        "bad JSON": (400, chunked(b"{")),
    }

    for name, (status, raw) in refused.items():
        answer = send(server.url, raw)
        assert complaint(name, answer) is None
        assert answer[0] == status, name
    assert digest() == before
    assert send(server.url, chunked(GOOD_BODY))[0] == 200


def test_client_that_disconnects_early_changes_nothing(server, rows):
    before = digest()
    raw = request("POST", APPROVE, {**JSON, "Content-Length": "60"}, GOOD_BODY)

    assert send(server.url, raw)[0] == 400
    assert digest() == before


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "garbage", "*/*;q=x", ""])
def test_odd_accept_header_still_gets_json(server, rows, accept):
    status, content_type, body = send(
        server.url, request("GET", "/suggestions", {"Accept": accept}, b"")
    )

    assert (status, content_type) == (200, "application/json")
    assert len(json.loads(body)) == 1


HEADERS = {
    "basic_with_nul": {"Authorization": "Basic AAAAOgA="},
    "token_of_garbage": {"Authorization": "Token ééé"},
    "bare_scheme": {"Authorization": "Token"},
    "cookies": {"Cookie": 'sessionid="\\"; csrftoken=; =; a'},
    "request_id": {"X-Request-ID": "a" * 5000},
    "method_override": {"X-HTTP-Method-Override": "DELETE"},
    "forwarded": {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"},
    "range": {"Range": "bytes=0-1,5-2"},
    "encoding": {"Accept-Encoding": "gzip;q=-1, \\"},
    "condition": {"If-None-Match": "*", "If-Modified-Since": "never"},
}


@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS.keys())
def test_odd_headers_cause_no_server_error(server, rows, headers):
    status, content_type, _ = send(server.url, request("GET", "/suggestions", headers, b""))

    assert (status, content_type) == (200, "application/json")


CONSOLE = [
    "?q=%00",
    "?q=" + "%20".join(["word"] * 1000),
    "?q=" + "9" * 400,
    "?q=%ED%A0%80",
    "?p=abc",
    "?p=-1",
    "?p=99999999999999999999",
    "?o=9.9.9",
    "?o=x",
    "?all=1",
    "?id__foo=1",
    "?id__exact=abc",
    "?id__in=1,x",
    "?worker_id__regex=(",
    "?status__exact=lost",
    "?worker=%00",
    "?source=%00",
    "?urgency=x",
    "?created_at__year=99999",
    "?created_at__year=x",
    "?created_at__year=2026&created_at__month=13",
    "?created_at__year=2026&created_at__month=2&created_at__day=31",
    "?created_at__month=x",
    "?created_at__year=2026&created_at__month=x",
    "?created_at__day=4",
    "?attention=x",
    "?attention=%00",
    "?o=3.2.-1",
    "?_facets=True",
    "?back=//evil.example",
]


@pytest.mark.parametrize("kind", ["suggestion", "task"])
def test_odd_console_urls_cause_no_server_error(admin_client, rows, kind):
    for query in CONSOLE:
        answer = admin_client.get(f"/admin/dispatch/{kind}/{query}")
        assert answer.status_code < 500, query


@pytest.mark.slow
def test_odd_list_parameters_cause_no_server_error(admin_client, rows):
    create_token(UserFactory(), actor="test", label="test")
    for model in admin.site._registry:
        listing = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for field in (*(each.name for each in model._meta.fields), "groups", "user__password"):
            for lookup in (
                "__regex=(",
                "__year=99999",
                "__contains=%00",
                "__startswith=a",
                "__in=1,x",
            ):
                answer = admin_client.get(f"{listing}?{field}{lookup}")
                assert answer.status_code < 500, answer.request["QUERY_STRING"]


@pytest.mark.parametrize("name", ["x" * 256, "x" * 5000, "\x00", "é" * 200])
def test_odd_user_names_cause_no_server_error(client, rows, name):
    answer = client.post("/admin/login/", {"username": name, "password": "wrong"})

    assert answer.status_code == 200


def test_forged_console_forms_cause_no_server_error(admin_client, rows):
    before = digest()
    lists = ["/admin/dispatch/suggestion/", "/admin/dispatch/task/"]
    forms = [
        {"action": "approve_selected", "_selected_action": ["abc"]},
        {"action": "approve_selected", "_selected_action": ["9" * 30]},
        {"action": "approve_selected", "_selected_action": ["-1", "1.5", "\x00"]},
        {"action": "approve_selected", "select_across": "1", "index": "x"},
        {"action": "no_such_action", "_selected_action": [str(ID)]},
        {"action": "__class__", "_selected_action": [str(ID)]},
        {"action": "delete_selected", "_selected_action": [str(ID)], "post": "yes"},
        {
            "action": "reject_selected",
            "_selected_action": [str(ID)],
            "reason": "x" * 2001,
            "confirmed": 1,
        },
        {
            "action": "reject_selected",
            "_selected_action": [str(ID)],
            "reason": "\x00",
            "confirmed": 1,
        },
        {"_save": "1", "form-TOTAL_FORMS": "x"},
        {},
    ]
    for page in lists:
        for form in forms:
            assert admin_client.post(page, form).status_code < 500, (page, form)
    for button in ("suggestion/999/approve", "task/999/complete", "task/1/complete"):
        assert admin_client.post(f"/admin/dispatch/{button}/").status_code < 500
    for huge in ("9" * 19, "9" * 400):
        assert admin_client.post(f"/admin/dispatch/task/{huge}/complete/").status_code < 500
        assert admin_client.get(f"/admin/dispatch/task/{huge}/change/").status_code < 500
    assert admin_client.get("/admin/dispatch/task/%D9%A3/change/").status_code < 500
    assert digest() == before


@pytest.mark.parametrize(
    "back", ["//evil.example", "https://evil.example/", "%0d%0aSet-Cookie: a=b", "\\\\evil", "#x"]
)
def test_button_redirects_only_to_its_own_list(admin_client, rows, back):
    answers = {"confirmed": "1", "moved_qty": "5"}
    answer = admin_client.post(f"/admin/dispatch/task/1/complete/?back={back}", answers)

    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/dispatch/task/?")
    assert "Set-Cookie: a" not in str(answer.headers)
