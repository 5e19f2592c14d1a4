"""Lists and pages of suggestions and tasks: the board's verdicts, and CSV files."""

import csv
import re
from io import StringIO

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dispatch.admin.csv_lists import CsvList
from dispatch.models import Station, Task

from ..support.cities import station
from ..support.factories import StationStatusFactory, SuggestionFactory, TaskFactory
from ..support.pages import words

pytestmark = pytest.mark.django_db

SUGGESTIONS, TASKS = "/admin/dispatch/suggestion/", "/admin/dispatch/task/"
STATIONS = "/admin/dispatch/station/"


@pytest.fixture
def stations():
    """Ferry Pier (3) has 18 bikes; Old Market (58), in another area, is empty."""
    station(3, 18, 2, name="Ferry Pier")
    station(58, 0, 11, name="Old Market", lat=37.34, lon=-121.89)
    Station.objects.filter(pk=3).update(area="SF")
    Station.objects.filter(pk=58).update(area="San José")


def suggestion(**fields):
    return SuggestionFactory(**{"from_station_id": 3, "to_station_id": 58, "qty": 15, **fields})


def html(client, url):
    answer = client.get(url)
    assert answer.status_code == 200
    return answer.content.decode()


def buttons(markup):
    """The decisions that a row and a page both offer."""
    found = re.findall(r'<button class="row-action ([^" ]*)"[^>]*>([^<]*)</button>', markup)
    return [label for name, label in found if name != "assign"]


@pytest.mark.parametrize("page", ["", "{}/change/"])
def test_suggestion_shows_the_boards_verdict(dispatcher, stations, page):
    row = suggestion()

    markup = html(dispatcher, SUGGESTIONS + page.format(row.id))

    shown = words(markup)
    for expected in (
        "Ferry Pier 18 bikes · 2 docks free",
        "Old Market 0 bikes · 11 docks free",
        "SF → San José · 67 km · bikes 18 → 3, 0 → 11",
        "From SF to San José, 67 km: different areas.",
        "Only 11 of 15 bikes fit at Old Market (11 docks free).",
    ):
        assert expected in shown, shown
    assert buttons(markup)[:3] == ["Approve", "Approve 11", "Reject"]


def test_approve_as_many_as_fit_is_offered_only_where_it_helps(dispatcher, stations):
    fits = suggestion(qty=5)

    for page in (SUGGESTIONS, f"{SUGGESTIONS}{fits.id}/change/"):
        assert buttons(html(dispatcher, page))[:2] == ["Approve", "Reject"]


def test_approval_that_can_only_fail_is_disabled_with_its_reason(dispatcher, stations, settings):
    settings.INVENTORY_GUARD = "refuse"
    row = suggestion()

    for page in (SUGGESTIONS, f"{SUGGESTIONS}{row.id}/change/"):
        markup = html(dispatcher, page)
        (button,) = re.findall(r'<button class="row-action approve"[^>]*>', markup)
        assert button.endswith(" disabled>")
        assert "Only 11 of 15 bikes fit" in button


def test_row_button_approves_as_many_as_fit(dispatcher, stations):
    row = suggestion()
    markup = html(dispatcher, SUGGESTIONS)

    (url,) = re.findall(rf'formaction="({SUGGESTIONS}{row.id}/fit/[^"]*)"', markup)
    dispatcher.post(url)

    assert Task.objects.get().qty == 11


def test_open_tasks_show_fills_and_ended_tasks_only_their_route(dispatcher, stations):
    ends = {"from_station_id": 3, "to_station_id": 58}
    open_task, done = TaskFactory(**ends), TaskFactory(completed=True, **ends)

    shown = words(html(dispatcher, f"{TASKS}{open_task.id}/change/"))
    assert "Ferry Pier 18 bikes · 2 docks free" in shown
    assert "SF → San José · 67 km" in shown
    shown = words(html(dispatcher, f"{TASKS}{done.id}/change/"))
    assert "SF → San José · 67 km" in shown
    assert "docks free" not in shown


def test_page_of_a_task_shows_each_fact_once(dispatcher, stations):
    task = TaskFactory(assigned=True, from_station_id=3, to_station_id=58, note="", reason="Flood")

    page = html(dispatcher, f"{TASKS}{task.id}/change/")

    labels = re.findall(r"<label>([^<]*)</label>", page)
    assert labels == [
        *("Crew:", "Priority:", "Attempt:", "Created at:", "Assigned at:"),
    ]
    assert page.count("Ferry Pier</a>") == 1
    assert "Flood" in page


def test_column_of_buttons_is_left_out_where_it_would_be_empty(dispatcher):
    TaskFactory(completed=True)
    assert "column-buttons" not in html(dispatcher, TASKS)

    TaskFactory(assigned=True)
    assert "column-buttons" in html(dispatcher, TASKS)


def test_unknown_stations_are_numbers_in_lists(dispatcher):
    suggestion(from_station_id=777)

    assert '<bdi class="station">#777</bdi>' in html(dispatcher, SUGGESTIONS)


def test_query_count_of_lists_with_verdicts_does_not_grow(dispatcher):
    def cost():
        with CaptureQueriesContext(connection) as captured:
            html(dispatcher, SUGGESTIONS)
            html(dispatcher, TASKS)
            html(dispatcher, STATIONS)
        return len(captured)

    for number in (1, 2):
        station(number)
    suggestion(from_station_id=1, to_station_id=2)
    TaskFactory(from_station_id=1, to_station_id=2)
    few = cost()
    for number in range(3, 30):
        station(number)
        suggestion(from_station_id=number, to_station_id=1)
        TaskFactory(from_station_id=number, to_station_id=1)

    assert cost() == few


# CSV


def csv_rows(client, url):
    answer = client.get(url)
    assert answer.status_code == 200
    assert answer.streaming
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(StringIO(text)))


def test_suggestions_as_csv_have_names_areas_and_local_times(dispatcher, stations):
    row = suggestion(source="rain-model", reason="Rain")
    suggestion(source="other")

    (found,) = csv_rows(dispatcher, f"{SUGGESTIONS}list.csv?source=rain-model")

    assert found == {
        "id": str(row.id),
        "from_station_id": "3",
        "from_station": "Ferry Pier",
        "from_area": "SF",
        "to_station_id": "58",
        "to_station": "Old Market",
        "to_area": "San José",
        "qty": "15",
        "priority": "0",
        "source": "rain-model",
        "reason": "Rain",
        "created_at": timezone.localtime(row.created_at).isoformat(),
        "expires_at": "",
    }


def test_csv_is_bounded(dispatcher, monkeypatch):
    monkeypatch.setattr(CsvList, "most_exported", 2)
    tasks = TaskFactory.create_batch(3)

    rows = csv_rows(dispatcher, f"{TASKS}list.csv?o=1")

    assert [int(row["id"]) for row in rows] == [task.pk for task in tasks[:2]]
    assert 'title="Up to 2 rows"' in dispatcher.get(TASKS).content.decode()


def test_csv_follows_filters_search_and_order_and_has_all_pages(dispatcher):
    TaskFactory.insert_batch(120)
    TaskFactory(assigned=True, worker_id="van-7", qty=9)

    assert len(csv_rows(dispatcher, f"{TASKS}list.csv?p=2")) == 121
    (found,) = csv_rows(dispatcher, f"{TASKS}list.csv?status__exact=assigned&q=van-7")
    assert (found["worker_id"], found["status"], found["qty"]) == ("van-7", "assigned", "9")
    ids = [int(row["id"]) for row in csv_rows(dispatcher, f"{TASKS}list.csv?o=1")]
    assert ids == sorted(ids)


def test_stations_as_csv_have_their_fill(dispatcher, stations):
    Station.objects.filter(pk=58).update(name="=cmd|'/c calc'!A1")

    pier, market = csv_rows(dispatcher, f"{STATIONS}list.csv")

    assert (pier["name"], pier["bikes"], pier["docks"]) == ("Ferry Pier", "18", "2")
    assert (pier["percent"], pier["state"], pier["area"]) == ("90", "high", "SF")
    assert market["name"] == "'=cmd|'/c calc'!A1", "a spreadsheet must not run it"


def test_list_links_to_its_csv_with_the_same_filters(dispatcher):
    suggestion(source="a b")

    page = html(dispatcher, f"{SUGGESTIONS}?source=a+b&q=full")

    assert 'href="list.csv?source=a+b&amp;q=full"' in page


def test_csv_needs_the_permission_to_view_and_only_reads(dispatcher, client, viewer):
    for url in (SUGGESTIONS, TASKS, STATIONS):
        assert viewer.get(f"{url}list.csv").status_code == 200
        assert viewer.post(f"{url}list.csv").status_code == 405
    viewer.logout()
    assert viewer.get(f"{TASKS}list.csv").status_code == 302


@pytest.mark.parametrize("query", ["status__exact=a%00", "nonsense=1", "q=%00", "o=99", "p=x"])
def test_csv_with_invalid_parameters_is_no_server_error(dispatcher, query):
    assert dispatcher.get(f"{TASKS}list.csv?{query}").status_code in (200, 302, 400)


def test_csv_costs_the_same_number_of_queries_for_many_rows(dispatcher):
    def cost():
        with CaptureQueriesContext(connection) as captured:
            csv_rows(dispatcher, f"{SUGGESTIONS}list.csv")
            csv_rows(dispatcher, f"{STATIONS}list.csv")
        return len(captured)

    StationStatusFactory()
    suggestion()
    few = cost()
    StationStatusFactory.create_batch(20)
    SuggestionFactory.insert_batch(300)

    assert cost() == few
