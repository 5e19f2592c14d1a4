import csv
from io import StringIO

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dispatch.roles import ROLES

from ..support.factories import UserFactory
from ..support.kpi_days import HOSTILE, morning_of_work, small_city

pytestmark = pytest.mark.django_db

PAGE = "/admin/kpi/"
THE_DAY = {"from": "2015-05-04", "to": "2015-05-04"}


@pytest.fixture
def day():
    small_city()
    morning_of_work()


@pytest.mark.parametrize("role", [*sorted(ROLES), None])
def test_reports_need_permission_to_view_tasks_and_stations(client, roles, role):
    user = UserFactory(is_superuser=False)
    user.groups.set(Group.objects.filter(name=role))
    client.force_login(user)

    allowed = role in ("dispatcher", "lead", "ml", "viewer")
    assert client.get(PAGE).status_code == (200 if allowed else 403)
    assert (PAGE in client.get("/admin/password_change/").content.decode()) == allowed


def test_visitor_is_sent_to_sign_in(client):
    answer = client.get(PAGE)

    assert answer.status_code == 302
    assert answer.headers["Location"] == f"/admin/login/?next={PAGE}"


def test_page_is_read_only(dispatcher):
    assert dispatcher.post(PAGE).status_code == 405


def test_page_shows_the_figures_of_the_chosen_days(dispatcher, day):
    answer = dispatcher.get(PAGE, THE_DAY)

    page = answer.content.decode()
    assert answer.status_code == 200
    assert "9 status polls" in page
    assert "<td>24.24</td><td>9.09</td><td>33.33</td>" in page
    assert "<td>1</td><td>10.0</td><td>10.0</td>" in page
    assert page.count("<figure") == 3
    assert "09:00: empty 100 %, full 0 %" in page


def test_page_draws_the_goal(dispatcher, day, settings):
    settings.STOCKOUT_GOAL_PERCENT = 5

    assert dispatcher.get(PAGE, THE_DAY).content.decode().count("goal 5 %") == 1


def test_names_are_escaped_and_nothing_is_inline(dispatcher, day):
    page = dispatcher.get(PAGE, THE_DAY).content.decode()

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert "style=" not in page
    assert "<style" not in page


def test_page_takes_few_queries(dispatcher, day):
    with CaptureQueriesContext(connection) as queries:
        dispatcher.get(PAGE, THE_DAY)

    assert len(queries) == 18, "the session, the user and sixteen of the report"


def test_page_without_data_says_so(dispatcher):
    page = dispatcher.get(PAGE, THE_DAY).content.decode()

    assert "No station status was polled in this period." in page
    assert "None" not in page


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"from": "yesterday"}, "&#x27;yesterday&#x27; is not a date like 2026-05-04."),
        ({"from": "2015-05-05", "to": "2015-05-04"}, "is after the last day"),
        (
            {"from": "2015-05-01", "to": "2015-06-01"},
            "32 of these days have no rollup. Run `rollup`, or ask for at most 31 days.",
        ),
        ({"from": "2014-05-01", "to": "2015-06-01"}, "is more than 366 days."),
        (
            {"from": "2015-05-01", "to": "2015-06-01", "as": "outages"},
            "The outages of at most 31 days can be downloaded here.",
        ),
        ({"to": "0001-01-01"}, "The days must be between"),
        ({"from": "<script>"}, "&#x27;&lt;script&gt;&#x27; is not a date"),
        ({"from": "\0"}, "is not a date"),
    ],
)
def test_invalid_dates_are_explained(dispatcher, asked, why):
    answer = dispatcher.get(PAGE, asked)

    assert answer.status_code == 400
    assert why in answer.content.decode()


def test_month_is_shown(dispatcher):
    assert dispatcher.get(PAGE, {"from": "2015-05-01", "to": "2015-05-31"}).status_code == 200


def test_report_can_be_downloaded_as_csv(dispatcher, day):
    answer = dispatcher.get(PAGE, {**THE_DAY, "as": "csv"})

    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == (
        'attachment; filename="figures-2015-05-04-2015-05-04.csv"'
    )
    figures = dict(csv.reader(StringIO(answer.content.decode(), newline="")))
    assert figures["work.bikes_moved"] == "6"
    assert figures["sources.0.source"] == f"'{HOSTILE}"
