"""Signing in: lockouts stop guessing, and no one can lock out a colleague."""

import logging
from datetime import timedelta

import pytest
import requests
from axes.models import AccessAttempt, AccessLog
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import F
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from baywheels import sign_in as sign_in_turns
from baywheels.lockout import client_address

from ..support.factories import SuggestionFactory, TaskFactory, UserFactory
from ..support.server import serve

pytestmark = pytest.mark.django_db

LOGIN = "/admin/login/"
PASSWORD = "a long enough password"
WRONG = "hunter2-is-not-it"
HERE, ELSEWHERE = "203.0.113.9", "198.51.100.7"
LIMIT = 5
LOCKED = (
    "Too many failed attempts to sign in with this name from your network. Try again in 15 minutes."
)


@pytest.fixture
def maria():
    return UserFactory(username="maria")


def sign_in(client, password, name="maria", address=HERE, **headers):
    form = {"username": name, "password": password, "next": "/admin/"}
    return client.post(LOGIN, form, REMOTE_ADDR=address, headers=headers)


def fail(client, times, **options):
    return [sign_in(client, WRONG, **options).status_code for _ in range(times)]


def later(**passed):
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(**passed))


def test_only_one_password_at_a_time_is_checked(client, maria, monkeypatch):
    monkeypatch.setattr(sign_in_turns, "LONGEST_WAIT", 0)
    with sign_in_turns.turn:
        answer = sign_in(client, PASSWORD)
        assert answer.status_code == 429
        assert answer["Retry-After"] == "2"
        assert "Others are signing in." in answer.content.decode()
        assert client.get(LOGIN).status_code == 200

    # Neither a failure nor a refusal keeps the turn, or counts as a failure.
    assert fail(client, LIMIT) == [200, 200, 200, 200, 429]


def test_fifth_failure_locks_the_account_at_that_address(client, maria):
    assert fail(client, LIMIT) == [200, 200, 200, 200, 429]

    answer = sign_in(client, PASSWORD)

    assert answer.status_code == 429
    assert answer["Retry-After"] == "900"
    assert answer["Content-Type"].startswith("text/html")
    page = answer.content.decode()
    assert "<h1>Too Many Requests</h1>" in page
    assert LOCKED in page
    assert "maria" not in page
    assert client.get("/admin/").status_code == 302


def test_lockout_is_per_account_and_address(client, maria):
    UserFactory(username="tom")
    fail(client, LIMIT)

    assert sign_in(client, PASSWORD, address=ELSEWHERE).status_code == 302
    assert sign_in(client, PASSWORD, name="tom").status_code == 302


def test_changing_the_browser_does_not_avoid_the_lockout(client, maria):
    for number in range(LIMIT):
        last = sign_in(client, WRONG, **{"User-Agent": f"browser {number}"})

    assert last.status_code == 429


def test_lockout_does_not_reveal_whether_account_exists(client, maria):
    known = [sign_in(client, WRONG) for _ in range(LIMIT)][-1]
    unknown = [sign_in(client, WRONG, name="nobody") for _ in range(LIMIT)][-1]

    assert known.status_code == unknown.status_code == 429
    assert known.content == unknown.content


def test_lockout_ends_after_15_minutes_despite_new_attempts(client, maria):
    fail(client, LIMIT)
    later(minutes=14)
    assert sign_in(client, PASSWORD).status_code == 429
    later(minutes=2)

    assert sign_in(client, PASSWORD).status_code == 302


def test_attempts_during_a_lockout_are_not_stored(client, maria):
    fail(client, LIMIT)
    before = list(AccessAttempt.objects.values())

    assert set(fail(client, 3)) == {429}

    assert list(AccessAttempt.objects.values()) == before


def test_signing_in_clears_earlier_failures(client, maria):
    fail(client, LIMIT - 1)
    assert sign_in(client, PASSWORD).status_code == 302

    assert not AccessAttempt.objects.exists()
    assert AccessLog.objects.get().username == "maria"


@pytest.mark.parametrize(
    "command", [("axes_reset_username", "maria"), ("axes_reset_ip", HERE), ("axes_reset",)]
)
def test_a_command_lifts_the_lockout(client, maria, command, capsys):
    fail(client, LIMIT)

    call_command(*command)

    assert capsys.readouterr().out == "1 attempts removed.\n"
    assert sign_in(client, PASSWORD).status_code == 302


def test_no_password_csrf_token_or_user_name_is_logged(client, maria, caplog):
    caplog.set_level(logging.DEBUG)
    form = {"username": "maria", "password": WRONG, "csrfmiddlewaretoken": "t" * 64}
    for _ in range(LIMIT):
        client.post(LOGIN, form, REMOTE_ADDR=HERE)

    kept = str(AccessAttempt.objects.values().get())
    warned = [record for record in caplog.records if record.levelno >= logging.WARNING]
    said = " ".join(record.getMessage() for record in warned)
    assert f'Locking out {{username: "********************", ip_address: "{HERE}"' in said
    assert "maria" not in said
    for secret in (WRONG, "t" * 64):
        assert secret not in said
        assert secret not in kept


def test_successful_sign_in_is_not_logged(client, maria, caplog):
    assert sign_in(client, PASSWORD).status_code == 302

    assert not [record for record in caplog.records if record.name.startswith("axes")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        (HERE, None, HERE),
        (HERE, ELSEWHERE, HERE),
        ("2001:db8:1:2:3:4:5:6", None, "2001:db8:1:2::"),
        ("::ffff:203.0.113.9", None, HERE),
        ("fe80::1%eth0", None, "fe80::"),
        ("", None, "0.0.0.0"),
    ],
)
def test_client_address_is_the_peer_without_a_proxy(peer, forwarded, address):
    assert client_address(request_from(peer, forwarded)) == address


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        (HERE, HERE),
        (f"{ELSEWHERE}, {HERE}", HERE),
        (f"nonsense,{HERE}", HERE),
        (f"{HERE}, 2001:db8:1:2:3::4", "2001:db8:1:2::"),
        (None, "10.0.0.1"),
        ("unknown", "0.0.0.0"),
        (f"{HERE}:4711", "0.0.0.0"),
    ],
)
def test_client_address_is_the_last_entry_behind_a_proxy(forwarded, address, settings):
    settings.BEHIND_PROXY = True

    assert client_address(request_from("10.0.0.1", forwarded)) == address


def request_from(peer, forwarded):
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    return RequestFactory().get("/", REMOTE_ADDR=peer, headers=headers)


def test_api_requests_do_not_query_login_attempts(client, maria):
    SuggestionFactory()
    TaskFactory()
    fail(client, LIMIT)

    with CaptureQueriesContext(connection) as queries:
        assert client.get("/suggestions", REMOTE_ADDR=HERE).status_code == 200
        answer = client.post(
            "/dispatch/next",
            {"worker_id": "maria"},
            content_type="application/json",
            REMOTE_ADDR=HERE,
        )
        assert answer.status_code == 200

    assert queries.captured_queries
    assert not [query for query in queries.captured_queries if "axes" in query["sql"]]


@pytest.mark.own_connections
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_sign_in_fails_closed_if_attempts_cannot_be_read(maria):
    with serve(DB_OPTIONS="-c lock_timeout=100ms") as server, transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE axes_accessattempt")
        answer = post_login(server, PASSWORD)
        log = server.log.read_text()

    assert answer.status_code == 503
    assert "<h1>Service Unavailable</h1>" in answer.text
    assert int(answer.headers["Retry-After"]) > 0
    assert "Traceback" not in log


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("behind_proxy", "address"), [("false", "127.0.0.1"), ("true", HERE)])
def test_forged_forwarded_header_does_not_avoid_the_lockout(behind_proxy, address, client, maria):
    fail(client, LIMIT - 1, address=address)

    with serve(BEHIND_PROXY=behind_proxy) as server:
        # A proxy appends its own entry to the header that the client sent.
        fifth = post_login(server, WRONG, forwarded=f"192.0.2.1, {HERE}")
        locked = post_login(server, PASSWORD, forwarded=f"192.0.2.2, {HERE}")
        log = server.log.read_text()

    for answer in (fifth, locked):
        assert answer.status_code == 429
        assert LOCKED in answer.text
        assert answer.headers["Retry-After"] == "900"
    assert f'Locking out {{username: "********************", ip_address: "{address}"' in log
    for hidden in ("Traceback", WRONG, "maria"):
        assert hidden not in log


def post_login(server, password, forwarded=HERE):
    with requests.Session() as browser:
        browser.get(server.url + LOGIN, timeout=10)
        form = {
            "username": "maria",
            "password": password,
            "csrfmiddlewaretoken": browser.cookies["csrftoken"],
        }
        headers = {
            "X-Forwarded-For": forwarded,
            "X-Forwarded-Proto": "https",
            "Referer": server.url.replace("http:", "https:") + LOGIN,
        }
        return browser.post(
            server.url + LOGIN, form, headers=headers, timeout=10, allow_redirects=False
        )
