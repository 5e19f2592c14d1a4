"""Stations in the console and the API, and their names on suggestions and tasks."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dispatch import services
from dispatch.admin import StationAdmin
from dispatch.admin.routes import attach_names
from dispatch.models import (
    Station,
    StationAlias,
    StationFeed,
    StationOutage,
)

from ..support.factories import (
    MORNING,
    StationFactory,
    StationStatusFactory,
    SuggestionFactory,
    TaskFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

STATIONS = "/admin/dispatch/station/"
SUGGESTIONS = "/admin/dispatch/suggestion/"
TASKS = "/admin/dispatch/task/"


@pytest.fixture
def market():
    return StationFactory(id=100, name="Market St at 10th St <b>")


def html(browser, url, **query):
    page = browser.get(url, query)
    assert page.status_code == 200
    return page.content.decode()


def numbers_listed(browser, **query):
    page = browser.get(STATIONS, query)
    assert page.status_code == 200
    return [station.pk for station in page.context["cl"].result_list]


# Names


def test_an_unknown_station_is_shown_as_its_number(market):
    moves = [SuggestionFactory.build(), TaskFactory.build()]
    with CaptureQueriesContext(connection) as captured:
        attach_names(moves)

    assert {(move.from_name, move.to_name) for move in moves} == {
        ("Market St at 10th St <b>", "#200")
    }
    assert len(captured) == 1


def test_confirmation_and_station_page_show_the_distance(dispatcher, market):
    StationFactory(id=200, lat=37.7849, area="Civic Center")
    Station.objects.filter(pk=100).update(area="Mission")
    suggestion = SuggestionFactory()

    answer = dispatcher.post(f"{SUGGESTIONS}{suggestion.id}/reject/")
    assert "1.1 km · <bdi>Mission → Civic Center</bdi>" in answer.content.decode()
    assert "· 1.1 km" in html(dispatcher, f"{STATIONS}100/change/")


@pytest.mark.parametrize("url", [SUGGESTIONS, TASKS])
def test_lists_of_moves_name_their_stations(dispatcher, market, url):
    SuggestionFactory()
    TaskFactory()

    page = html(dispatcher, url)

    assert (
        '<a class="station" href="/admin/dispatch/station/100/change/" title="Station 100">'
        "Market St at 10th St &lt;b&gt;</a>"
    ) in page
    assert '<bdi class="station">#200</bdi>' in page


def test_pages_of_moves_name_their_stations(dispatcher, market):
    for url in (
        f"{TASKS}{TaskFactory().pk}/change/",
        f"{SUGGESTIONS}{SuggestionFactory().pk}/change/",
    ):
        page = html(dispatcher, url)
        assert "Market St at 10th St &lt;b&gt;</a>" in page
        assert "#200" in page


def test_confirmation_page_names_the_stations(dispatcher, market):
    suggestion = SuggestionFactory()

    page = dispatcher.post(f"{SUGGESTIONS}{suggestion.pk}/reject/").content.decode()

    assert "5 bikes, <bdi>Market St at 10th St &lt;b&gt;</bdi> → <bdi>#200</bdi>" in page


def test_search_finds_moves_by_station_name(dispatcher, market):
    there, back = TaskFactory(), TaskFactory(from_station_id=200, to_station_id=100)
    TaskFactory(from_station_id=1, to_station_id=2)

    page = dispatcher.get(TASKS, {"q": "market 10th"})

    assert {task.pk for task in page.context["cl"].result_list} == {there.pk, back.pk}


def test_confirmation_page_omits_a_missing_reason(dispatcher, market):
    task = TaskFactory(reason=None)

    page = dispatcher.post(f"{TASKS}{task.pk}/cancel/").content.decode()

    assert "→ <bdi>#200</bdi></li>" in page


# The list


def test_list_shows_fill_state_and_age_of_each_station(dispatcher, market):
    StationStatusFactory(station=market, bikes=2, docks=33, as_of=timezone.now())
    StationStatusFactory(station__id=101, bikes=0, docks=20, as_of=MORNING)
    StationStatusFactory(station__id=102, bikes=5, docks=0, in_service=False, as_of=None)
    StationFactory(id=103)
    StationFactory(id=104, gone_at=MORNING)

    rows = html(dispatcher, STATIONS).split("<tr>")[2:]

    for row, words in zip(
        rows,
        [
            ("2 bikes · 33 docks free", '"badge low">low', "minutes"),
            ("0 bikes · 20 docks free", '"badge unknown">no data', "old</span>"),
            ("5 bikes · 0 docks free", '"badge unknown">no data', "never", "old</span>"),
            ('"badge unknown">no data',),
            ('"badge gone">no longer in the feed',),
        ],
        strict=True,
    ):
        assert all(word in row for word in words), row
    assert "old</span>" not in rows[0]


def test_station_list_filters_by_state_area_and_system(dispatcher):
    now = timezone.now()
    for number, bikes in ((1, 0), (2, 5), (3, 20), (4, 10)):
        docks = 20 - bikes
        StationStatusFactory(station__id=number, bikes=bikes, docks=docks, as_of=now)
    StationStatusFactory(station__id=5, bikes=0, docks=20, as_of=MORNING)
    StationFactory(id=6, gone_at=MORNING, system="other")
    Station.objects.filter(pk__in=[1, 6]).update(area="San José")

    assert numbers_listed(dispatcher, state="empty") == [1]
    assert numbers_listed(dispatcher, state="full") == [3]
    assert numbers_listed(dispatcher, state="fine") == [2, 4]
    assert numbers_listed(dispatcher, state="unknown") == [5]
    assert numbers_listed(dispatcher, state="gone") == [6]
    assert numbers_listed(dispatcher, area="San José") == [1, 6]
    assert numbers_listed(dispatcher, area="San José", state="empty", system="bay") == [1]
    assert numbers_listed(dispatcher, state="nonsense") == []


def test_station_list_sorts_by_fill(dispatcher):
    for number, bikes in ((1, 12), (2, 0), (3, 20)):
        StationStatusFactory(station__id=number, bikes=bikes, docks=20 - bikes)
    StationFactory(id=4)
    columns = StationAdmin.list_display

    assert numbers_listed(dispatcher, o=str(columns.index("percent"))) == [2, 1, 3, 4]
    assert numbers_listed(dispatcher, o=f"-{columns.index('available')}")[-3:] == [3, 1, 2]


def test_station_list_searches_by_number_and_name(dispatcher, market):
    StationFactory(id=10, name="Valencia St", short_name="SF-100")
    StationFactory(id=1000, name="Elsewhere")

    assert numbers_listed(dispatcher, q="100") == [100, 10]
    assert numbers_listed(dispatcher, q="market 10th") == [100]
    assert numbers_listed(dispatcher, q="9" * 18) == []


@pytest.mark.parametrize("query", ["?system=a\0b", "?state=X", "?name__regex=(", "?q=%00"])
def test_invalid_list_parameters_are_no_server_error(dispatcher, query):
    assert dispatcher.get(STATIONS + query).status_code in (200, 302, 400)


def test_station_list_query_count_does_not_grow(dispatcher):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            html(dispatcher, STATIONS)
        return len(captured)

    StationStatusFactory()
    few = queries()
    for _ in range(50):
        StationStatusFactory()

    assert queries() == few <= 7


# The feeds


def test_feed_list_shows_the_trouble_of_a_failing_feed(dispatcher):
    StationFeed.objects.create(system="bay", kind="status", source="s.json", trouble="Down <b>.")
    StationFeed.objects.create(system="sj", kind="status", source="t.json", read_at=timezone.now())

    page = html(dispatcher, "/admin/dispatch/stationfeed/")

    failing, working = page.split("<tr>")[2:]
    assert all(word in failing for word in ("failing", "Down &lt;b&gt;.", "never"))
    assert all(word in working for word in ("OK", "ago"))


@pytest.mark.parametrize(("role", "status"), [("viewer", 200), (None, 403)])
def test_feed_list_needs_permission_to_view_stations(client, roles, role, status):
    user = UserFactory(is_superuser=False)
    user.groups.set(Group.objects.filter(name=role))
    client.force_login(user)

    assert client.get("/admin/dispatch/stationfeed/").status_code == status
    assert client.post("/admin/dispatch/stationfeed/add/").status_code == 403


# The station page


def test_station_page_shows_moves_outages_and_feed_ids(dispatcher, market):
    StationStatusFactory(station=market)
    StationAlias.objects.create(system="bay", feed_id="uuid-100", station=market)
    StationOutage.objects.create(
        station=market, kind="full", started_at=MORNING, ended_at=MORNING + timedelta(minutes=43)
    )
    StationOutage.objects.create(
        station=market, kind="empty", started_at=MORNING + timedelta(hours=1)
    )
    task, done = TaskFactory(assigned=True), TaskFactory(completed=True)
    suggestion = SuggestionFactory(from_station_id=7, to_station_id=100)
    other = SuggestionFactory(from_station_id=7, to_station_id=8)

    page = html(dispatcher, f"{STATIONS}100/change/")

    assert f"Task {task.pk}</a>" in page
    assert f"Suggestion {suggestion.pk}</a>" in page
    assert f"Task {done.pk}</a>" not in page
    assert f"Suggestion {other.pk}</a>" not in page
    assert "<bdi>#7</bdi> → <bdi>Market St at 10th St &lt;b&gt;</bdi>" in page
    assert "lasted 43\xa0minutes" in page
    assert "ongoing for" in page
    assert "uuid-100" in page
    assert "2 bikes · 33 docks free" in page
    assert 'name="_save"' not in page


def test_station_page_omits_fields_without_a_value(dispatcher, market):
    def labels():
        return set(re.findall(r"<label>([^<:]*)", html(dispatcher, f"{STATIONS}100/change/")))

    of_status = {"Available", "Broken", "Reported"}
    assert not labels() & of_status
    assert {"State", "Number", "System", "Position"} <= labels()
    StationStatusFactory(station=market)
    assert of_status <= labels()


def test_station_page_query_count_is_bounded(dispatcher, market):
    TaskFactory.insert_batch(30)
    SuggestionFactory.insert_batch(30)

    with CaptureQueriesContext(connection) as captured:
        page = html(dispatcher, f"{STATIONS}100/change/")

    assert page.count("→ <bdi>#200</bdi>") == 40
    assert len(captured) <= 12


@pytest.mark.parametrize("number", ["7", "9" * 18, "x", "-1"])
def test_unknown_station_page_leads_back_to_the_list(dispatcher, number):
    answer = dispatcher.get(f"{STATIONS}{number}/change/")

    assert answer.status_code == 302


def test_stations_cannot_be_changed_in_the_console(dispatcher, market):
    for url in (f"{STATIONS}100/change/", f"{STATIONS}100/delete/", f"{STATIONS}add/"):
        dispatcher.post(url, {"name": "Changed", "post": "yes"})

    assert Station.objects.get().name == "Market St at 10th St <b>"


# The API

IN_FULL = {
    "id": 100,
    "system": "bay",
    "name": "Market St at 10th St <b>",
    "short_name": "",
    "lat": 37.7749,
    "lon": -122.4194,
    "capacity": 35,
    "region": "",
    "area": "",
    "gone_at": None,
    "bikes": 2,
    "docks": 33,
    "bikes_disabled": 0,
    "docks_disabled": 0,
    "in_service": True,
    "as_of": "2015-05-04T08:00:00Z",
}
NOTHING_KNOWN = dict.fromkeys(
    ["bikes", "docks", "bikes_disabled", "docks_disabled", "in_service", "as_of"]
)


def test_api_lists_stations_by_id_with_their_status(client, market):
    StationStatusFactory(station=market)
    StationFactory(id=3, name="Valencia St")

    first, second = client.get("/stations").json()

    assert second == IN_FULL
    assert first == {**IN_FULL, "id": 3, "name": "Valencia St", **NOTHING_KNOWN}


def test_api_paginates_stations_on_request(client):
    for number in (1, 2, 3):
        StationFactory(id=number)

    page = client.get("/stations?limit=2")

    assert [station["id"] for station in page.json()] == [1, 2]
    (link,) = [page["Link"].split("<")[1].split(">")[0]]
    assert [station["id"] for station in client.get(link).json()] == [3]
    assert client.get("/stations?limit=0").status_code == 400


def test_api_lists_stations_in_one_query(client):
    for _ in range(5):
        StationStatusFactory()
        StationFactory()

    with CaptureQueriesContext(connection) as captured:
        assert len(client.get("/stations").json()) == 10
    assert len(captured) == 1


def test_api_returns_one_station_by_number(client, market):
    StationStatusFactory(station=market)

    assert client.get("/stations/100").json() == IN_FULL


@pytest.mark.parametrize("number", ["7", "2147483648", "9" * 18])
def test_api_returns_404_for_an_unknown_station(client, number):
    answer = client.get(f"/stations/{number}")

    assert answer.status_code == 404
    assert answer.json() == {"detail": f"Station {number} not found."}


def test_contract_responses_use_station_numbers_only(client, market):
    SuggestionFactory()

    (suggestion,) = client.get("/suggestions").json()
    task = client.post("/task/approve", {"suggestion_id": suggestion["id"]}).json()

    for move in (suggestion, task):
        assert (move["from_station_id"], move["to_station_id"]) == (100, 200)
        assert not any("name" in key for key in move)
    assert services.claim_next_task("van-1", actor="api").from_station_id == 100
