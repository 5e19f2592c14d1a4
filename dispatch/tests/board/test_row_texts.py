"""The text of a row: distance, areas, effect, outages and the guard's verdict."""

from datetime import timedelta

import pytest
from django.utils import timezone

from dispatch.models import Station, StationOutage

from ..support.cities import station
from ..support.factories import SuggestionFactory, TaskFactory
from ..support.pages import words
from .test_board import parts, row

pytestmark = pytest.mark.django_db
SOURCE, TARGET = 100, 200


@pytest.fixture
def two_areas():
    """Two stations 66 km apart."""
    station(SOURCE, 18, 2, name="Caltrain")
    station(TARGET, 0, 20, name="Diridon")
    Station.objects.filter(pk=SOURCE).update(lat=37.7766, lon=-122.3953, area="San Francisco")
    Station.objects.filter(pk=TARGET).update(lat=37.3297, lon=-121.9018, area="San José")


def suggestion_row(client, suggestion):
    return row(parts(client)["suggestions"], f"p{suggestion.id}")


def test_row_begins_with_priority_distance_areas_and_effect(dispatcher, two_areas):
    suggestion = SuggestionFactory(qty=11, priority=50, reason="Diridon empties at noon")

    shown = words(suggestion_row(dispatcher, suggestion))

    assert (
        f"#{suggestion.id} · priority 50 · 66 km · San Francisco → San José · 18 → 7, 0 → 11 ·"
    ) in shown
    assert shown.index("18 → 7") < shown.index("Diridon empties at noon")


def test_effect_counts_open_tasks(dispatcher, two_areas):
    TaskFactory(qty=3)
    suggestion = SuggestionFactory(qty=11)

    assert "15 → 4, 3 → 14" in words(suggestion_row(dispatcher, suggestion))


def test_row_warns_of_a_move_between_areas(dispatcher, two_areas):
    shown = words(suggestion_row(dispatcher, SuggestionFactory()))

    assert "From San Francisco to San José, 66 km: different areas." in shown


def test_task_row_shows_distance_and_shared_area(dispatcher, two_areas):
    Station.objects.update(area="Bay Area")
    task = TaskFactory(priority=7)

    shown = words(row(parts(dispatcher)["tasks"], f"t{task.id}"))

    assert f"#{task.id} · priority 7 · 66 km · Bay Area ·" in shown


def test_row_without_feeds_has_no_distance_and_no_warning(dispatcher):
    shown = words(suggestion_row(dispatcher, SuggestionFactory()))

    assert "km" not in shown
    assert "not in the feed" not in shown


def test_row_says_how_long_a_station_has_been_empty(dispatcher, two_areas):
    since = timezone.now() - timedelta(hours=8)
    StationOutage.objects.create(station_id=TARGET, kind="empty", started_at=since)
    suggestion = SuggestionFactory()

    shown = suggestion_row(dispatcher, suggestion)

    assert f"empty since {timezone.localtime(since):%H:%M}" in words(shown)
    # The page's script turns it into an age.
    assert (
        f'class="age" data-before="for " datetime="{timezone.localtime(since).isoformat()}"'
        in shown
    )


def test_row_says_nothing_of_an_outage_that_is_over(dispatcher, two_areas):
    begun = timezone.now() - timedelta(hours=8)
    StationOutage.objects.create(
        station_id=TARGET, kind="empty", started_at=begun, ended_at=timezone.now()
    )

    assert "empty since" not in words(suggestion_row(dispatcher, SuggestionFactory()))


def test_approve_is_disabled_with_its_reason_where_it_can_only_fail(
    dispatcher, settings, two_areas
):
    settings.INVENTORY_GUARD = "refuse"
    refused, possible = SuggestionFactory(qty=19), SuggestionFactory(qty=18)

    reason = "Only 18 of 19 bikes can leave Caltrain (18 there)."
    assert f'title="{reason}" disabled' in suggestion_row(dispatcher, refused)
    assert "disabled" not in suggestion_row(dispatcher, possible)
    settings.INVENTORY_GUARD = "warn"
    assert "disabled" not in suggestion_row(dispatcher, refused)


def test_card_shows_distances_and_the_same_warnings(dispatcher, two_areas):
    TaskFactory(qty=3)
    SuggestionFactory(qty=4)

    card = words(dispatcher.get(f"/admin/board/stations/{TARGET}/").content.decode())

    assert card.count("· 66 km #") == 2
    assert "From San Francisco to San José, 66 km: different areas." in card


def test_dialog_about_many_counts_each_move_for_the_next(dispatcher, two_areas):
    first, second = SuggestionFactory.create_batch(2, qty=12)
    data = {"action": "approve_selected", "_selected_action": [first.id, second.id]}

    dialog = words(dispatcher.post("/admin/dispatch/suggestion/", data).content.decode())

    about_first, _, about_second = dialog.partition(f"#{second.id}:")
    assert "Only" not in about_first.partition(f"#{first.id}:")[2]
    assert "Only 6 of 12 bikes can leave Caltrain (18 there, 12 already promised)." in about_second
    assert f"Suggestion {first.id} comes first." in about_second


def test_dialog_counts_only_the_bikes_that_fit(dispatcher, two_areas):
    first, second = SuggestionFactory(qty=30), SuggestionFactory(qty=2)
    data = {"action": "fit_selected", "_selected_action": [first.id, second.id]}

    dialog = words(dispatcher.post("/admin/dispatch/suggestion/", data).content.decode())

    assert "Caltrain has no bike to give (18 there, 18 already promised; 2 wanted)." in dialog


def test_guard_off_has_no_warnings_in_the_dialog(dispatcher, settings, two_areas):
    settings.INVENTORY_GUARD = "off"
    ids = [each.id for each in SuggestionFactory.create_batch(2, qty=99)]
    data = {"action": "approve_selected", "_selected_action": ids}

    dialog = dispatcher.post("/admin/dispatch/suggestion/", data).content.decode()

    assert "2 selected" in dialog
    assert 'class="guard"' not in dialog
