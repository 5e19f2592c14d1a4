"""Choosing stations and reading the verdict in a real browser."""

import pytest

from dispatch.models import Task

from ..support.browser import too_wide
from ..support.cities import station
from ..support.factories import UserFactory
from ..support.hostile_texts import PAYLOADS

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ADD = "/admin/dispatch/task/add/"
SOURCE, TARGET = "#id_from_station_id", "#id_to_station_id"


@pytest.fixture
def stations(transactional_db):
    station(3, 18, 2, name="Ferry Pier")
    station(4, 9, 9, name="Fish Pier")
    station(58, 0, 11, name="Old Market", lat=37.78)


def options(page, field):
    return page.locator(f"{field}-choices [role=option]")


def active(page, field):
    """The text of the option that a screen reader announces."""
    pk = page.locator(field).get_attribute("aria-activedescendant")
    return page.locator(f"#{pk} bdi").inner_text() if pk else None


def test_task_is_added_by_keyboard(browse, stations):
    with browse(UserFactory()) as tab:
        page, press = tab.page, tab.page.keyboard.press
        tab.open(ADD)
        page.locator(SOURCE).focus()
        page.keyboard.type("pier")
        options(page, SOURCE).nth(1).wait_for()
        assert page.locator(SOURCE).get_attribute("aria-expanded") == "true"
        assert active(page, SOURCE) is None
        press("ArrowDown")
        assert active(page, SOURCE) == "Ferry Pier"
        press("ArrowDown")
        assert active(page, SOURCE) == "Fish Pier"
        press("ArrowDown")
        press("ArrowUp")
        press("ArrowUp")
        assert active(page, SOURCE) == "Ferry Pier"
        press("Enter")
        assert page.locator(SOURCE).input_value() == "Ferry Pier #3"
        assert page.locator(SOURCE).get_attribute("aria-expanded") == "false"

        press("Tab")
        page.keyboard.type("market")
        options(page, TARGET).first.wait_for()
        press("Escape")
        assert not page.locator(f"{TARGET}-choices").is_visible()
        assert page.locator(TARGET).input_value() == "market", "Escape keeps the text"
        press("ArrowDown")
        options(page, TARGET).first.wait_for()
        press("ArrowDown")
        press("Enter")
        press("Tab")
        page.keyboard.type("12")
        page.get_by_text("Only 11 of 12 bikes fit at Old Market (11 docks free).").wait_for()
        with page.expect_navigation():
            press("Enter")
    task = Task.objects.get()
    assert (task.from_station_id, task.to_station_id, task.qty) == (3, 58, 12)
    assert tab.complaints == []


def test_half_typed_text_survives_choices_and_verdicts(browse, stations):
    with browse(UserFactory()) as tab:
        page = tab.page
        tab.open(f"{ADD}?from_station_id=3&to_station_id=58")
        page.get_by_text("18 bikes · 2 docks free").wait_for()
        page.locator("#id_qty").fill("4")
        page.get_by_text("4 bikes fit").wait_for()
        page.locator(TARGET).fill("old m")
        options(page, TARGET).first.wait_for()
        page.get_by_text("Choose both stations").wait_for()
        page.locator("#id_reason").fill("half a sen")
        assert page.locator(TARGET).input_value() == "old m"
        assert page.locator(SOURCE).input_value() == "Ferry Pier #3"
        assert page.locator("#id_qty").input_value() == "4"
        # The server refuses it, and shows all of it again.
        tab.press("[name=_save]")
        page.get_by_text("No station is called “old m”. Similar: Old Market #58.").wait_for()
        assert page.locator(TARGET).input_value() == "old m"
        assert page.locator("#id_reason").input_value() == "half a sen"
    assert tab.complaints == []


def test_option_is_chosen_with_the_mouse_and_by_touch(browse, stations):
    for touch in (False, True):
        with browse(UserFactory(), has_touch=touch) as tab:
            page = tab.page
            tab.open(ADD)
            page.locator(SOURCE).click()
            page.keyboard.type("fish")
            choice = options(page, SOURCE).first
            choice.tap() if touch else choice.click()
            assert page.locator(SOURCE).input_value() == "Fish Pier #4"
            assert page.evaluate("document.activeElement.name") == "from_station_id"
            assert too_wide(page) == {}


def test_slow_choices_do_not_replace_newer_ones(browse, stations):
    old = {"choices": [{"text": "Pier #3", "name": "Pier", "detail": "", "level": "fine"}]}

    with browse(UserFactory()) as tab:
        page = tab.page
        held = []

        def hold(route):
            held.append(route)

        page.route("**/stations.json?q=pier", hold)
        tab.open(ADD)
        with page.expect_request("**/stations.json?q=pier"):
            page.locator(SOURCE).fill("pier")
        page.locator(SOURCE).fill("market")
        options(page, SOURCE).first.wait_for()
        held[0].fulfill(json=old)
        assert options(page, SOURCE).locator("bdi").all_inner_texts() == ["Old Market"]


def test_form_works_without_javascript(browse, stations):
    with browse(UserFactory(), java_script_enabled=False) as tab:
        tab.open(ADD)
        tab.page.fill(SOURCE, "ferry pier")
        tab.page.fill(TARGET, "#58")
        tab.page.fill("#id_qty", "3")
        tab.press("[name=_save]")
    assert Task.objects.get().from_station_id == 3


def test_station_names_are_never_markup(browse, transactional_db):
    for number, payload in enumerate(PAYLOADS, start=1):
        station(number, name=f"Pier {payload}"[:200])

    with browse(UserFactory()) as tab:
        page = tab.page
        tab.open(f"{ADD}?from_station_id=1&to_station_id=2")
        page.locator("#move-verdict .move").wait_for()
        page.locator(SOURCE).fill("pier")
        options(page, SOURCE).first.wait_for()
        assert page.locator("#move-verdict img, .choices img").count() == 0
    assert tab.complaints == []
