"""The board's filters narrow the rows, and the address keeps them."""

import re

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dispatch.board import filters
from dispatch.board.filters import BoardFilters
from dispatch.models import Station

from ..support.cities import city, station
from ..support.factories import SuggestionFactory, TaskFactory
from ..support.pages import words

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

BOARD, STATE = "/admin/board/", "/admin/board/state.json"
SUGGESTIONS = "/admin/dispatch/suggestion/"


def parts(client, query=""):
    return client.get(f"{STATE}?{query}").json()["parts"]


def ids(markup, prefix):
    return [int(number) for number in re.findall(rf'id="{prefix}(\d+)"', markup)]


@pytest.fixture
def two_areas():
    """Stations 1 and 2 in the North, 3 in the South; all with room for a small move."""
    for number in (1, 2, 3):
        station(number)
    Station.objects.filter(pk__in=[1, 2]).update(area="North")
    Station.objects.filter(pk=3).update(area="South")


def move(start, end, **fields):
    return {"from_station_id": start, "to_station_id": end, "qty": 2, **fields}


def test_area_matches_moves_with_either_end_in_it(dispatcher, two_areas):
    within = SuggestionFactory(**move(1, 2))
    across = SuggestionFactory(**move(1, 3))
    unknown = SuggestionFactory(**move(98, 99))
    task = TaskFactory(**move(3, 99))
    TaskFactory(**move(2, 1))

    south = parts(dispatcher, "area=South")

    assert ids(south["suggestions"], "p") == [across.id]
    assert ids(south["tasks"], "t") == [task.id]
    assert words(south["suggestion_count"]) == "1, most urgent first (3 without filters)"
    assert words(south["task_count"]) == "0 assigned, 1 ready (2 without filters)"
    north = parts(dispatcher, "area=North")
    assert ids(north["suggestions"], "p") == [within.id, across.id]
    assert ids(parts(dispatcher)["suggestions"], "p") == [within.id, across.id, unknown.id]


def test_source_matches_suggestions_and_the_tasks_they_became(dispatcher):
    mine = SuggestionFactory(source="rain-model")
    SuggestionFactory(source="other")
    task = TaskFactory(source="rain-model")
    TaskFactory()

    shown = parts(dispatcher, "source=rain-model")

    assert ids(shown["suggestions"], "p") == [mine.id]
    assert ids(shown["tasks"], "t") == [task.id]


def test_state_of_suggestions_is_the_guards_verdict(dispatcher, two_areas):
    fits = SuggestionFactory(**move(1, 2))
    short = SuggestionFactory(**move(1, 2, qty=15))
    task = TaskFactory(**move(8, 9))

    assert ids(parts(dispatcher, "state=fits")["suggestions"], "p") == [fits.id]
    warned = parts(dispatcher, "state=warned")
    assert ids(warned["suggestions"], "p") == [short.id]
    assert words(warned["suggestion_count"]) == "1, most urgent first (2 without filters)"
    assert ids(warned["tasks"], "t") == [task.id], "tasks have no such state"


def test_state_of_tasks_does_not_filter_suggestions(dispatcher):
    suggestion = SuggestionFactory()
    now = timezone.now()
    ready = TaskFactory()
    assigned = TaskFactory(assigned=True, assigned_at=now)
    overdue = TaskFactory(assigned=True, assigned_at=now - timezone.timedelta(hours=2))

    for state, expected in {
        "ready": [ready.id],
        "assigned": [overdue.id, assigned.id],
        "overdue": [overdue.id],
    }.items():
        shown = parts(dispatcher, f"state={state}")
        assert ids(shown["tasks"], "t") == expected, state
        assert ids(shown["suggestions"], "p") == [suggestion.id]


def test_summary_ignores_the_filters(dispatcher):
    SuggestionFactory.create_batch(3)

    assert parts(dispatcher, "source=none")["summary"] == parts(dispatcher)["summary"]
    assert words(parts(dispatcher, "source=none")["suggestions"]) == (
        "No suggestions match the filters."
    )


def test_show_all_lists_every_row_with_its_verdict(dispatcher, two_areas, monkeypatch):
    monkeypatch.setattr(filters, "SHOWN", 2)
    SuggestionFactory.create_batch(3, **move(1, 2, qty=15))
    TaskFactory.create_batch(3, **move(1, 2))

    few = parts(dispatcher, "area=North")
    assert words(few["suggestion_count"]) == "2 of 3, show all"
    (link,) = re.findall(r'href="\?([^"]*)" data-filters>show all', few["suggestion_count"])
    link = link.replace("&amp;", "&")
    everything = parts(dispatcher, link)

    assert everything["suggestions"].count('class="guard"') >= 3
    assert len(ids(everything["suggestions"], "p")) == len(ids(everything["tasks"], "t")) == 3
    assert words(everything["suggestion_count"]) == "3, most urgent first"
    monkeypatch.setattr(filters, "ALL_SHOWN", 2)
    assert words(parts(dispatcher, link)["suggestion_count"]) == "2 of 3, list"


def test_page_and_its_refresh_share_the_filters_and_a_version(dispatcher, two_areas, same_hour):
    shown = SuggestionFactory(**move(1, 3))
    SuggestionFactory(**move(1, 2))

    page = dispatcher.get(f"{BOARD}?area=South&source=").content.decode()

    state = re.search(r'data-state="([^"]*)"', page)[1]
    version = re.search(r'data-version="(\w+)"', page)[1]
    assert state == f"{STATE}?area=South"
    assert dispatcher.get(state, headers={"If-None-Match": f'"{version}"'}).status_code == 304
    assert dispatcher.get(STATE, headers={"If-None-Match": f'"{version}"'}).status_code == 200
    assert ids(page, "p") == [shown.id]
    assert "<option selected>South</option>" in page


def test_operations_return_to_the_filtered_board(dispatcher, two_areas):
    suggestion = SuggestionFactory(**move(1, 3))
    page = dispatcher.get(f"{BOARD}?area=South").content.decode()
    assert page.count('name="board" value="area=South"') == 4

    form = {"board": "area=South"}
    question = dispatcher.post(f"{SUGGESTIONS}{suggestion.id}/reject/", form).content.decode()
    assert 'name="board" value="area=South"' in question
    answer = dispatcher.post(f"{SUGGESTIONS}{suggestion.id}/approve/", form)

    assert answer["Location"] == f"{BOARD}?area=South"


def test_filter_choices_are_the_areas_and_sources_in_use(dispatcher, two_areas):
    SuggestionFactory(source="rain-model")
    SuggestionFactory(source="")
    SuggestionFactory(source="<b>")

    choices = parts(dispatcher, "source=gone-model")["filters"]

    assert re.findall(r"<option[^>]*>([^<]*)</option>", choices) == [
        *("All", "North", "South"),
        *("All", "&lt;b&gt;", "gone-model", "rain-model"),
        *("All", "without warnings", "with warnings", "ready", "assigned", "overdue"),
        *("with a problem", "without a crew"),
    ]


@pytest.mark.parametrize(
    "query",
    [
        "area=%00&source=%00&state=%00",
        "area=" + "x" * 4000,
        "state=approved",
        "state=ready&state=%ff",
        "source=%d9%a1%e2%80%ae&show=some",
        "area=%27%29%3B--",
    ],
)
def test_hostile_filters_are_answered(dispatcher, query):
    SuggestionFactory()
    for address in (BOARD, STATE):
        assert dispatcher.get(f"{address}?{query}").status_code == 200


def test_filters_survive_their_own_query_string():
    chosen = BoardFilters("San José & co", "rain=model", "fits", "all")

    assert BoardFilters.parse(QueryDict(chosen.query)) == chosen
    assert BoardFilters().query == ""


def test_query_count_under_filters_does_not_grow(dispatcher):
    def cost():
        with CaptureQueriesContext(connection) as captured:
            dispatcher.get(f"{STATE}?area=North&state=warned&show=all")
        return len(captured)

    city(3)
    Station.objects.update(area="North")
    SuggestionFactory(**move(1, 2))
    TaskFactory(**move(1, 2))
    few = cost()
    for number in range(1, 3):
        SuggestionFactory.create_batch(20, **move(number, number + 1))
        TaskFactory.create_batch(20, **move(number, number + 1))

    assert cost() == few
