"""The board by keyboard."""

import pytest

from dispatch.models import Suggestion, Task, TaskEvent

from ..support.cities import city
from ..support.factories import SuggestionFactory, TaskFactory, UserFactory

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

BOARD = "/admin/board/"


@pytest.fixture
def suggestions():
    city(10)
    ends = [(3, 10, 2), (4, 5, 25), (4, 5, 3)]
    # Station 4 has 20 bikes and station 5 has 20 docks: the second one does not fit.
    return [
        SuggestionFactory(from_station_id=start, to_station_id=end, qty=qty, priority=-number)
        for number, (start, end, qty) in enumerate(ends)
    ]


@pytest.fixture
def keyboard(browse, suggestions):
    with browse(UserFactory()) as tab:
        tab.open(BOARD)
        yield tab.page
    assert tab.complaints == []


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def focused(page):
    return page.evaluate("document.activeElement.id")


@pytest.mark.parametrize(("links", "target"), [(2, "suggestions-title"), (3, "queue-title")])
def test_skip_links_lead_to_suggestions_and_tasks(keyboard, links, target):
    press(keyboard, *["Tab"] * links, "Enter")
    assert focused(keyboard) == target


def test_dispatcher_decides_three_suggestions_by_key(keyboard, suggestions):
    first, second, third = suggestions
    press(keyboard, "j")
    assert focused(keyboard) == f"p{first.pk}"
    press(keyboard, "j", "j", "k")
    assert focused(keyboard) == f"p{second.pk}"
    press(keyboard, "f")
    keyboard.locator("[data-part=tasks] > .row").wait_for()
    assert Task.objects.get().suggestion_id == second.pk

    press(keyboard, "j")
    assert focused(keyboard) == f"p{third.pk}", "over the decided row"
    press(keyboard, "r")
    keyboard.locator("#confirm form").wait_for()
    press(keyboard, "Space", "Tab")
    keyboard.keyboard.type("jar of a road works")
    press(keyboard, "Control+Enter")
    keyboard.locator("#confirm").wait_for(state="hidden")
    event = TaskEvent.objects.get(kind="rejected")
    assert event.details["rejection"] == "jar of a road works"
    assert event.details["code"]

    press(keyboard, "k", "a")
    keyboard.locator("[data-part=tasks] > .row").nth(1).wait_for()
    assert not Suggestion.objects.exists()

    press(keyboard, "u")
    keyboard.locator("[data-part=tasks] > .row").nth(1).wait_for(state="detached")
    assert Suggestion.objects.get().qty == first.qty


def test_keys_do_nothing_while_typing_with_modifiers_or_in_a_dialog(keyboard, suggestions):
    press(keyboard, "j", "Control+a", "Alt+a", "Meta+a")
    press(keyboard, "/")
    assert focused(keyboard) == "search"
    keyboard.keyboard.type("far")
    assert keyboard.locator("#search").input_value() == "far"
    keyboard.locator(f"#p{suggestions[0].pk}").focus()
    press(keyboard, "?", "a", "r")
    assert keyboard.locator("#settings").is_visible()
    press(keyboard, "Escape")
    assert keyboard.locator("#settings").is_hidden()
    assert focused(keyboard) == f"p{suggestions[0].pk}"
    assert Suggestion.objects.count() == 3


def test_keys_can_be_switched_off(keyboard, suggestions):
    press(keyboard, "?")
    keyboard.locator("#settings [name=keys]").uncheck()
    press(keyboard, "Escape")
    keyboard.reload()
    keyboard.locator(f"#p{suggestions[0].pk}").focus()
    press(keyboard, "j", "a", "?")
    assert focused(keyboard) == f"p{suggestions[0].pk}"
    assert keyboard.locator("#settings").is_hidden()
    assert Suggestion.objects.count() == 3


def test_keys_move_within_the_list_of_tasks(keyboard):
    tasks = [TaskFactory(from_station_id=4, to_station_id=5) for _ in range(2)]
    keyboard.reload()
    keyboard.locator(f"#t{tasks[0].pk}").focus()
    press(keyboard, "j", "a", "r")
    assert focused(keyboard) == f"t{tasks[1].pk}"
    assert Task.objects.count() == 2
