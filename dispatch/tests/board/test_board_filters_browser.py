"""The board's filters in a real browser."""

import pytest

from dispatch.models import Station, Suggestion

from ..support.cities import city
from ..support.factories import SuggestionFactory, UserFactory

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

BOARD = "/admin/board/"


def shown(page):
    return page.locator(".review .row").evaluate_all("rows => rows.map((row) => row.id)")


def choose(page, name, value):
    with page.expect_response(lambda answer: "state.json" in answer.url):
        page.locator(f"#filters [name={name}]").select_option(value)


@pytest.fixture
def areas():
    city(10)
    Station.objects.filter(pk__lte=5).update(area="North")
    Station.objects.filter(pk__gt=5).update(area="South")
    moves = [(4, 5), (9, 10), (4, 10)]
    return [
        SuggestionFactory(from_station_id=start, to_station_id=end, qty=2, source=f"model-{end}")
        for start, end in moves
    ]


def test_filters_apply_without_a_reload_and_survive_one(browse, areas):
    north, south, across = areas

    with browse(UserFactory()) as tab:
        page = tab.page
        tab.open(BOARD)
        page.evaluate("window.still_here = true")
        choose(page, "area", "South")
        page.locator(f"#p{north.id}").wait_for(state="detached")
        assert shown(page) == [f"p{south.id}", f"p{across.id}"]
        assert page.url.endswith("?area=South")
        assert page.evaluate("window.still_here")

        # An approval returns to the filtered board.
        page.locator(f'[aria-label="Approve suggestion {across.id}"]').click()
        page.locator(".queue .row").wait_for()
        assert f"p{north.id}" not in shown(page)
        assert Suggestion.objects.count() == 2

        tab.open(page.url.removeprefix(tab.url))
        assert shown(page) == [f"p{south.id}"]
        page.get_by_text("Clear filters").click()
        page.locator(f"#p{north.id}").wait_for()
        assert page.locator("#filters [name=area]").input_value() == ""
        assert page.url.endswith(BOARD)
    assert tab.complaints == []


def test_chosen_source_stays_when_another_one_appears(browse, areas):
    with browse(UserFactory()) as tab:
        page = tab.page
        tab.open(BOARD)
        choose(page, "source", "model-10")
        SuggestionFactory(source="a-model")
        with page.expect_response(lambda answer: "state.json" in answer.url):
            page.locator("#refresh").click()
        page.locator("#filters option", has_text="a-model").wait_for(state="attached")
        assert page.locator("#filters [name=source]").input_value() == "model-10"
        assert page.url.endswith("?source=model-10")


def test_select_all_says_how_many_rows_it_selects(browse, areas):
    with browse(UserFactory()) as tab:
        tab.open(f"{BOARD}?area=South")
        assert tab.page.locator("#selected").inner_text() == "Select all 2"
        tab.page.locator("#select-all").check()
        assert tab.page.locator("#selected").inner_text() == "2 selected"
