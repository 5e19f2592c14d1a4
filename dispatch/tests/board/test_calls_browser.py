"""The board calls dispatchers who look elsewhere."""

import re

import pytest
from playwright.sync_api import expect

from dispatch.models import EventKind, StationFeed
from dispatch.services.events import record_task

from ..support.cities import city
from ..support.factories import SuggestionFactory, TaskFactory, UserFactory, claimed

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

BOARD = "/admin/board/"
ENDS = {"from_station_id": 4, "to_station_id": 5, "qty": 2}
# Chromium without a screen shows no notifications and has no other window to look at.
ELSEWHERE = """
window.shown = [];
window.notes = 0;
window.Notification = class {
  static requestPermission() { return Promise.resolve(window.permission ?? "granted"); }
  constructor(title, { body }) { window.shown.push(body); }
};
Document.prototype.hasFocus = () => false;
const start = OscillatorNode.prototype.start;
OscillatorNode.prototype.start = function (at) { window.notes += 1; start.call(this, at); };
"""


def overdue(**fields):
    return TaskFactory(**ENDS, assigned=True, **fields)


def refresh(page):
    with page.expect_response("**/state.json*"):
        page.locator("#refresh").click()


def has_title(page, start):
    expect(page).to_have_title(re.compile(re.escape(start)))


@pytest.fixture
def board(browse):
    city(10)
    with browse(UserFactory()) as tab:
        tab.page.add_init_script(ELSEWHERE)
        tab.open(BOARD)
        yield tab.page
    assert tab.complaints == []


def choose(page, *names):
    page.locator("#open-settings").click()
    for name in names:
        page.locator(f"#settings [name={name}]").check()
    page.keyboard.press("Escape")


def test_title_counts_calls_for_a_dispatcher(board):
    assert board.title().startswith("Board |")
    overdue()
    SuggestionFactory(**ENDS, priority=75)
    SuggestionFactory(**ENDS, priority=74)
    StationFeed.objects.update(trouble="Not JSON.")
    refresh(board)
    has_title(board, "(3) Board |")

    board.locator("#open-settings").click()
    board.select_option("#settings [name=urgent]", "50")
    has_title(board, "(4) Board |")
    board.select_option("#settings [name=urgent]", "")
    has_title(board, "(2) Board |")
    board.reload()
    has_title(board, "(2) Board |")


def test_problem_of_a_crew_calls(board):
    task = claimed(**ENDS)
    choose(board, "notify")
    record_task(EventKind.PROBLEM, task, "crew van-1", problems=["blocked"])
    refresh(board)

    has_title(board, "(1) Board |")
    assert board.evaluate("window.shown") == [
        f"Task {task.pk} has a problem: Blocked, reported by van-1:"
        " 2 bikes, Station 4 to Station 5."
    ]


def test_only_new_causes_make_a_sound_and_a_notification(board):
    overdue()
    refresh(board)
    has_title(board, "(1) Board |")
    assert board.evaluate("[window.shown, window.notes]") == [[], 0], "nothing is chosen yet"

    choose(board, "sound", "notify")
    assert board.evaluate("window.notes") == 2, "a sample"
    late = overdue(worker_id="van-2")
    SuggestionFactory(**ENDS, priority=90)
    refresh(board)
    has_title(board, "(3) Board |")
    first, second = board.evaluate("window.shown[0]").split("\n")
    assert first == f"Task {late.pk} of van-2 is overdue: 2 bikes, Station 4 to Station 5."
    assert second.startswith("Urgent suggestion ")
    assert board.evaluate("window.notes") == 4

    SuggestionFactory(**ENDS, priority=10)
    refresh(board)
    board.locator("[data-part=suggestions] > .row").nth(1).wait_for()
    assert board.evaluate("[window.shown.length, window.notes]") == [1, 4]


def test_refused_notifications_are_reported_and_switched_off(board):
    board.evaluate("window.permission = 'denied'")
    board.locator("#open-settings").click()
    # Not check(), which insists that the box stays checked.
    board.locator("#settings [name=notify]").click()
    board.get_by_text("This browser does not allow notifications").wait_for()
    assert not board.locator("#settings [name=notify]").is_checked()


def test_hidden_board_asks_once_a_minute(browse):
    city(10)
    with browse(UserFactory()) as tab:
        page = tab.page
        page.clock.install()
        tab.open(BOARD)
        page.evaluate(
            "Object.defineProperty(document, 'hidden', { value: true });"
            "document.dispatchEvent(new Event('visibilitychange'));"
        )
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.clock.run_for(59_000)
        # The browser itself asks for the page's icon, late if it is busy.
        assert [url for url in asked if not url.endswith("/favicon.svg")] == []
        overdue()
        with page.expect_response("**/state.json*"):
            page.clock.run_for(1_500)
        has_title(page, "(1) Board |")
    assert tab.complaints == []


def test_age_of_station_data_turns_amber_after_three_missed_polls(browse):
    city(10)
    with browse(UserFactory()) as tab:
        page = tab.page
        page.clock.install()
        tab.open(BOARD)
        age = page.locator("#n-feed time")
        age.evaluate("time => { time.dataset.limit = 180; }")
        page.clock.run_for(170_000)
        assert age.get_attribute("class") == "age"
        page.clock.run_for(15_000)
        assert age.get_attribute("class") == "age behind"
