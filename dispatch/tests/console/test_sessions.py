"""Sessions of the console: their end, their renewal, and the page after signing in."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from baywheels.sessions import RENEWAL_SECONDS, RENEWED_AT

from ..support.factories import StationFactory, TaskFactory, UserFactory

pytestmark = pytest.mark.django_db
PAGE, BOARD, SESSION = "/admin/lists/", "/admin/board/", "/admin/session/"
LIFE = timedelta(seconds=settings.SESSION_COOKIE_AGE)


@pytest.fixture
def dispatcher(client):
    client.force_login(UserFactory())
    return client


def rest(client, **passed):
    """Let time pass since the session was renewed."""
    store = client.session
    store[RENEWED_AT] -= timedelta(**passed).total_seconds()
    store.save()
    ends = timezone.now() + LIFE - timedelta(**passed)
    Session.objects.update(expire_date=ends)
    return ends


def test_session_lasts_half_a_day_without_use(dispatcher):
    assert timedelta(hours=12) == LIFE
    rest(dispatcher, hours=11)
    assert dispatcher.get(PAGE).status_code == 200
    rest(dispatcher, hours=13)
    assert dispatcher.get(PAGE).url.startswith("/admin/login/")


def test_opening_a_page_renews_the_session(dispatcher):
    ends = rest(dispatcher, hours=6)
    answer = dispatcher.get(PAGE)
    assert Session.objects.get().expire_date > ends + timedelta(hours=5)
    assert answer.cookies["sessionid"]["max-age"] == settings.SESSION_COOKIE_AGE


def test_pages_opened_soon_after_another_write_no_session(dispatcher):
    ends = rest(dispatcher, seconds=RENEWAL_SECONDS - 5)
    dispatcher.get(PAGE)
    assert Session.objects.get().expire_date == ends


def test_board_left_open_does_not_keep_its_session(dispatcher):
    StationFactory(id=5)
    ends = rest(dispatcher, hours=6)
    assert dispatcher.get(BOARD + "state.json").status_code == 200
    assert dispatcher.get(BOARD + "stations/5/").status_code == 200
    assert Session.objects.get().expire_date == ends
    assert dispatcher.get(BOARD).status_code == 200
    assert Session.objects.get().expire_date > ends


def test_asking_for_the_time_left_does_not_renew_the_session(dispatcher):
    ends = rest(dispatcher, hours=6)
    seconds = dispatcher.get(SESSION).json()["seconds"]
    assert 6 * 3600 - 60 <= seconds <= 6 * 3600
    assert Session.objects.get().expire_date == ends


def test_staying_signed_in_renews_the_session(dispatcher):
    ends = rest(dispatcher, seconds=RENEWAL_SECONDS - 5)
    assert dispatcher.post(SESSION).json() == {"seconds": settings.SESSION_COOKIE_AGE}
    assert Session.objects.get().expire_date > ends
    assert dispatcher.put(SESSION).status_code == 405


def test_ended_session_leads_to_the_sign_in_page(dispatcher):
    rest(dispatcher, hours=13)
    assert dispatcher.get(SESSION).url == f"/admin/login/?next={SESSION}"


def test_pages_carry_the_seconds_that_their_session_has(dispatcher, client):
    assert f'data-seconds="{settings.SESSION_COOKIE_AGE}"' in dispatcher.get(PAGE).content.decode()
    client.logout()
    assert "data-seconds" not in client.get("/admin/login/").content.decode()


def test_api_requests_do_not_query_sessions(dispatcher):
    TaskFactory()
    rest(dispatcher, hours=6)
    with CaptureQueriesContext(connection) as queries:
        assert dispatcher.get("/tasks").status_code == 200
        claim = dispatcher.post("/dispatch/next", {"worker_id": "van-1"}, "application/json")
        assert claim.status_code == 200
    assert queries.captured_queries
    assert not [query for query in queries if "django_session" in query["sql"]]


def test_read_only_server_leaves_the_session_as_it_is(dispatcher, monkeypatch):
    monkeypatch.setattr(settings, "READ_ONLY", True)
    ends = rest(dispatcher, seconds=RENEWAL_SECONDS)

    assert dispatcher.get(PAGE).status_code == 200
    assert Session.objects.get().expire_date == ends


@pytest.mark.django_db(transaction=True)
def test_pages_can_be_read_while_the_session_cannot_be_renewed(dispatcher):
    rest(dispatcher, hours=6)
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    assert dispatcher.get(PAGE).status_code == 200


@pytest.mark.parametrize("page", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_refused_next_page_leads_to_the_console(client, page):
    UserFactory(username="maria")
    form = {"username": "maria", "password": "a long enough password", "next": page}
    answer = client.post("/admin/login/", form)
    assert (answer.status_code, answer.url) == (302, "/admin/")
