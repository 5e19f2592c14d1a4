"""The search in the header of every page, and the search for stations."""

import re

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dispatch import services
from dispatch.models import Crew, Station
from dispatch.overview.station_search import search_stations

from ..support.factories import StationFactory, SuggestionFactory, TaskFactory, UserFactory

pytestmark = pytest.mark.django_db

SEARCH = "/admin/search/"
STATION, TASK = "/admin/dispatch/station/", "/admin/dispatch/task/"
SUGGESTION = "/admin/dispatch/suggestion/"


@pytest.fixture
def stations():
    StationFactory(id=7, name="San Carlos St at Market St", short_name="SJ-N6", area="San José")
    StationFactory(id=12, name="Market St at 10th St", short_name="SF-J23", area="SF")
    StationFactory(id=40, name="Estación Norte", short_name="120", area="SF")
    StationFactory(id=120, name="Pier 12", area="")


def found(text):
    return [station.pk for station in search_stations(Station.objects.all(), text)]


def search(client, text):
    return client.get(SEARCH, {"q": text})


def hits(answer):
    return re.findall(r"<bdi>([^<]*)</bdi></a>", answer.content.decode())


def test_stations_are_found_by_number_name_short_name_and_area(stations):
    assert found("40") == [40]
    assert found("#40") == [40]
    assert found("sj-n6") == [7]
    assert found("carlos market") == [7]
    assert found("san jose") == [7]
    assert found("ESTACION") == [40]
    assert found("Market St at 10th St #12") == [12]
    assert found("harbour") == []


def test_exact_numbers_come_first_then_beginnings_of_names(stations):
    assert found("12") == [12, 40, 120]
    assert found("120") == [40, 120]
    assert found("market") == [12, 7]


def test_every_page_has_the_search(dispatcher):
    for page in ("/admin/board/", STATION, TASK, "/admin/lists/", "/admin/kpi/", SEARCH):
        assert 'id="search"' in dispatcher.get(page).content.decode(), page


@pytest.mark.parametrize("text", ["carlos", "SJ-N6", "station 7", "#7", " 7 "])
def test_single_station_opens_at_once(dispatcher, stations, text):
    assert search(dispatcher, text)["Location"] == f"{STATION}7/change/"


def test_numbers_find_stations_tasks_and_suggestions(dispatcher, stations):
    TaskFactory(id=12, worker_id=None)
    SuggestionFactory(id=12)

    answer = search(dispatcher, "12")

    assert hits(answer) == ["Market St at 10th St", "Task 12", "Suggestion 12"]
    assert search(dispatcher, "task 12")["Location"] == f"{TASK}12/change/"
    assert search(dispatcher, "Suggestion #12")["Location"] == f"{SUGGESTION}12/change/"


def test_decided_suggestion_is_found_with_its_decision(dispatcher):
    approved = SuggestionFactory(id=900)
    task = services.approve_suggestion(approved.id, actor="maria").task
    StationFactory(id=900)

    answer = search(dispatcher, "900")

    assert "Suggestion 900 was already approved" in answer.content.decode()
    assert search(dispatcher, "suggestion 900")["Location"] == f"{TASK}{task.id}/change/"


def test_crews_are_found_by_a_part_of_their_name(dispatcher):
    TaskFactory(assigned=True, worker_id="van-1")
    TaskFactory(completed=True, worker_id="van-2")
    services.create_token(UserFactory(), actor="a", label="phone", worker_id="van-30")

    assert hits(search(dispatcher, "VAN")) == ["van-1", "van-30"]
    assert search(dispatcher, "crew van-2")["Location"] == f"{TASK}?q=van-2"


def test_crew_on_the_roster_opens_its_page(dispatcher):
    crew = Crew.objects.create(worker_id="van-8", name="Night shift")
    TaskFactory(assigned=True, worker_id="van-8")

    for text in ("van-8", "crew night"):
        assert search(dispatcher, text)["Location"] == f"/admin/dispatch/crew/{crew.pk}/change/"


def test_more_stations_than_shown_lead_to_their_list(dispatcher):
    StationFactory.create_batch(21, name="Pier")

    answer = search(dispatcher, "pier")

    assert len(hits(answer)) == 20
    assert f'href="{STATION}?q=pier">Show all' in answer.content.decode()


def test_search_shows_only_rows_that_the_user_may_view(client, stations):
    user = UserFactory(is_superuser=False)
    user.user_permissions.set(Permission.objects.filter(codename="view_task"))
    client.force_login(user)
    TaskFactory(id=12)
    SuggestionFactory(id=12)

    assert search(client, "12")["Location"] == f"{TASK}12/change/"
    assert hits(search(client, "market")) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\0",
        "#",
        "task",
        "task #",
        "12 " * 1900,
        "x" * 100_000,
        "9" * 30,
        "%_\\'\"<b>",
        "٣",
        "\u202e12",
        "(((",
    ],
)
def test_hostile_searches_are_cut_and_answered(dispatcher, stations, text):
    answer = search(dispatcher, text)

    assert answer.status_code in (200, 302)
    assert b"<b>" not in answer.content


def test_search_cost_does_not_grow_with_hits(dispatcher):
    def cost():
        with CaptureQueriesContext(connection) as captured:
            assert search(dispatcher, "market").status_code == 200
        return len(captured)

    StationFactory.create_batch(2, name="Market")
    few = cost()
    StationFactory.create_batch(50, name="Market")
    TaskFactory.create_batch(20, assigned=True, worker_id="market")

    assert cost() <= few


def test_search_accepts_reads_only_and_signed_in_users(client, dispatcher):
    assert dispatcher.post(SEARCH).status_code == 405
    client.logout()
    assert client.get(SEARCH)["Location"].startswith("/admin/login/")
