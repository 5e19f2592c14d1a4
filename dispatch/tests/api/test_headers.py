"""Security headers on every kind of response."""

import re

import pytest
import requests
from django.db import connection, transaction
from django.test import Client

from dispatch.admin import SuggestionAdmin
from dispatch.models import Task

from ..support.factories import SuggestionFactory, TaskFactory, UserFactory
from ..support.server import serve

pytestmark = pytest.mark.django_db

ALWAYS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
SUGGESTIONS, TASKS, LOGIN = "/admin/dispatch/suggestion/", "/admin/dispatch/task/", "/admin/login/"
# Paths and statuses of GET: first for a signed-in dispatcher, then for anyone.
PAGES = [
    ("/admin/board/", 200),
    ("/admin/lists/", 200),
    (SUGGESTIONS, 200),
    (SUGGESTIONS + "add/", 200),
    (TASKS, 200),
    (TASKS + "add/", 200),
    ("/admin/dispatch/user/", 200),
    ("/admin/dispatch/apitoken/", 200),
    ("/admin/password_change/", 200),
    ("/admin/nothing/", 404),
    (SUGGESTIONS + "?q=%00", 200),
]
PUBLIC = [
    (LOGIN, 200),
    ("/admin", 302),
    ("/admin/", 302),
    ("/docs", 200),
    ("/redoc", 200),
    ("/redoc.js", 200),
    ("/openapi.json", 200),
    ("/", 200),
    ("/healthz", 200),
    ("/readyz", 200),
    ("/suggestions", 200),
    ("/tasks", 200),
    ("/events", 200),
    ("/suggestions?limit=x", 400),
    ("/nothing", 404),
    ("/task/approve", 405),
]
FORM = "application/x-www-form-urlencoded"


def complaints(answer):
    """Return the faults of a response's headers."""
    for name, value in ALWAYS.items():
        if answer.headers.get(name) != value:
            yield f"{name}: {answer.headers.get(name)}"
    policy = answer.headers.get("Content-Security-Policy", "")
    if "default-src 'self'" not in policy or re.search(r"unsafe|\*|https?:", policy):
        yield f"Content-Security-Policy: {policy}"


def assert_hardened(answer, status, what):
    assert answer.status_code == status, what
    assert [*complaints(answer)] == [], what


@pytest.mark.parametrize(("path", "status"), PAGES)
def test_console_pages_have_security_headers(dispatcher, path, status):
    answer = dispatcher.get(path)

    assert_hardened(answer, status, path)
    assert "no-store" in answer["Cache-Control"]
    assert answer["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(("path", "status"), PUBLIC)
def test_public_responses_have_security_headers(client, path, status):
    answer = client.get(path)

    assert_hardened(answer, status, path)
    assert ("max-age=86400" if path == "/redoc.js" else "no-store") in answer["Cache-Control"]


def test_console_operations_have_security_headers(dispatcher):
    suggestion, task = SuggestionFactory(), TaskFactory()
    for path, status in [
        (f"{SUGGESTIONS}{suggestion.id}/reject/", 200),
        (f"{SUGGESTIONS}{suggestion.id}/approve/", 302),
        (f"{TASKS}{task.id}/cancel/", 200),
        (f"{TASKS}{task.id}/change/", 403),
    ]:
        assert_hardened(dispatcher.post(path), status, path)
    nonsense = {"action": "approve_selected", "_selected_action": "x"}
    assert_hardened(dispatcher.post(SUGGESTIONS, nonsense), 400, "no id")


def test_console_403_has_security_headers(client):
    client.force_login(UserFactory(is_superuser=False))

    assert_hardened(client.get(SUGGESTIONS), 403, "no permission")
    assert_hardened(Client(enforce_csrf_checks=True).post(LOGIN), 403, "no token")


def test_413_has_security_headers(dispatcher, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10

    assert_hardened(dispatcher.post(SUGGESTIONS, "a" * 11, FORM), 413, "console")
    assert_hardened(dispatcher.post("/dispatch/next", "[" * 11, "application/json"), 413, "API")


def test_lockout_has_security_headers(client):
    form = {"username": "maria", "password": "wrong"}
    for _ in range(4):
        client.post(LOGIN, form)

    assert_hardened(client.post(LOGIN, form), 429, "locked")


@pytest.mark.parametrize("path", [SUGGESTIONS, "/suggestions"])
def test_500_has_security_headers(dispatcher, path, monkeypatch):
    def broken(*args, **options):
        raise RuntimeError("A mistake of ours.")

    monkeypatch.setattr(SuggestionAdmin, "get_queryset", broken)
    monkeypatch.setattr("dispatch.api.views.SuggestionViewSet.list", broken)
    dispatcher.raise_request_exception = False

    assert_hardened(dispatcher.get(path), 500, path)


@pytest.mark.own_connections
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_real_server_errors_have_security_headers():
    task = TaskFactory(assigned=True)
    https = {"X-Forwarded-Proto": "https"}
    options = {"HTTPS_ONLY": "true", "BEHIND_PROXY": "true", "DB_OPTIONS": "-c lock_timeout=100ms"}
    with serve(**options) as server:

        def ask(method, path, headers=https, **rest):
            return requests.request(
                method,
                server.url + path,
                headers=headers,
                timeout=10,
                allow_redirects=False,
                **rest,
            )

        plain = ask("GET", "/admin/", headers={})
        login = ask("GET", LOGIN)
        cookies = {"sessionid": "s" * 32}
        with transaction.atomic():
            Task.objects.select_for_update().get(pk=task.pk)
            with connection.cursor() as cursor:
                cursor.execute("LOCK TABLE django_session")
            answers = [
                (ask("GET", "/", {**https, "Host": "elsewhere.example"}), 400),
                (ask("POST", "/dispatch/next", data=iter([b"{}"])), 415),
                (ask("POST", f"/task/{task.id}/complete"), 503),
                (ask("GET", "/admin/", cookies=cookies), 503),
                (login, 200),
                (ask("GET", "/static/dispatch/console.css"), 200),
            ]

    assert_hardened(plain, 301, "plain")
    assert plain.headers["Location"].startswith("https://")
    for answer, status in answers:
        assert_hardened(answer, status, answer.url)
        assert answer.headers["Strict-Transport-Security"] == (
            "max-age=31536000; includeSubDomains; preload"
        )
    cookie = login.headers["Set-Cookie"]
    assert cookie.startswith("csrftoken=")
    for attribute in ("HttpOnly", "SameSite=Lax", "Secure"):
        assert attribute in cookie


def test_cookies_are_http_only_lax_and_secure(client, settings):
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    UserFactory(username="maria")

    client.get(LOGIN)
    client.post(LOGIN, {"username": "maria", "password": "a long enough password"})

    assert client.cookies.keys() == {"sessionid", "csrftoken"}
    for cookie in client.cookies.values():
        assert (cookie["httponly"], cookie["samesite"], cookie["secure"]) == (True, "Lax", True)


@pytest.mark.parametrize("path", ["/suggestions", "/tasks", "/nothing"])
def test_api_neither_reads_nor_sets_the_console_session(
    client, path, django_assert_max_num_queries
):
    client.force_login(UserFactory())

    with django_assert_max_num_queries(1) as queries:
        answer = client.get(path)

    assert not any("django_session" in query["sql"] for query in queries.captured_queries)
    assert not answer.cookies
    assert "Cookie" not in answer.headers.get("Vary", "")
