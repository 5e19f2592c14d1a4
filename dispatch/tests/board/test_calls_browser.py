"""The board calls dispatchers who look elsewhere."""

import re
import time
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db.models.functions import Now
from playwright.sync_api import expect

from dispatch.models import EventKind, StationFeed, Task
from dispatch.services import claim_next_task
from dispatch.services.events import record_task

from ..support.cities import city
from ..support.factories import SuggestionFactory, TaskFactory, UserFactory, claimed

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

BOARD = "/admin/board/"
ENDS = {"from_station_id": 4, "to_station_id": 5, "qty": 2}
# Chromium without a screen has no other window to look at. `shown` has the texts of notifications.
ELSEWHERE = """
window.shown = [];
window.notes = 0;
window.isElsewhere = true;
window.Notification = class extends Notification {
  constructor(title, options) {
    super(title, options);
    window.shown.push(options.body);
    window.last = this;
  }
};
Document.prototype.hasFocus = () => !window.isElsewhere;
const start = OscillatorNode.prototype.start;
OscillatorNode.prototype.start = function (at) { window.notes += 1; start.call(this, at); };
"""
ALLOWED = {"permissions": ["notifications"]}


def overdue(**fields):
    return TaskFactory(**ENDS, assigned=True, **fields)


def refresh(page):
    with page.expect_response("**/state.json*"):
        page.locator("#refresh").click()


def has_title(page, start):
    expect(page).to_have_title(re.compile(re.escape(start)))


def look_at(page):
    page.evaluate("window.dispatchEvent(new Event('focus'))")


def switch_on(page):
    look_at(page)
    page.locator("#notify").click()
    page.locator(".toast.info").get_by_role("button", name="Close message").click()


def choose(page, **settings):
    page.locator("#open-settings").click()
    for name, value in settings.items():
        page.locator(f"#settings [name={name}]").set_checked(value)
    page.keyboard.press("Escape")


def notified(page, count):
    # The page's policy forbids Playwright's own waiting.
    wait_until(page, lambda: page.evaluate("window.shown.length") == count)
    return page.evaluate("window.shown")


def wait_until(page, condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"Not within {seconds} s."
        page.wait_for_timeout(30)


def toasts(page):
    return page.locator(".toast .text div").all_inner_texts()


def announced(pages):
    return sum(page.evaluate("window.shown.length") for page in pages)


def plain(text):
    """Without the marks that isolate names."""
    return re.sub("[\u2066-\u2069]", "", text)


@pytest.fixture
def opened(browse):
    """Open a board in a browser that allows notifications, or in one that does not."""
    city(10)

    @contextmanager
    def board(**options):
        with browse(UserFactory(), **options) as tab:
            tab.page.context.add_init_script(ELSEWHERE)
            tab.open(BOARD)
            yield tab.page
        assert tab.complaints == []

    return board


@pytest.fixture
def board(opened):
    with opened(**ALLOWED) as page:
        yield page


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
    board.locator("#settings [name=feed]").uncheck()
    has_title(board, "(1) Board |")
    board.reload()
    has_title(board, "(1) Board |")


def test_notifications_are_off_until_switched_on(board):
    overdue()
    refresh(board)
    has_title(board, "(1) Board |")
    assert toasts(board) == []
    assert board.locator("#notify").get_attribute("aria-pressed") == "false"

    switch_on(board)
    board.reload()

    assert board.locator("#notify").get_attribute("aria-pressed") == "true"
    assert board.evaluate("window.shown") == []


def test_problem_of_a_crew_calls(board):
    task = claimed(**ENDS)
    switch_on(board)
    record_task(EventKind.PROBLEM, task, "crew van-1", problems=["blocked"])
    refresh(board)

    assert [plain(text) for text in notified(board, 1)] == [
        f"Task {task.pk} has a problem: Blocked, reported by van-1:"
        " 2 bikes, Station 4 to Station 5."
    ]
    has_title(board, "(1) Board |")


def test_only_new_causes_make_a_sound_and_a_notification(board):
    overdue()
    refresh(board)
    has_title(board, "(1) Board |")
    switch_on(board)
    choose(board, sound=True)
    assert board.evaluate("[window.shown.length, window.notes]") == [0, 2], "a sample"

    late = overdue(worker_id="van-2")
    SuggestionFactory(**ENDS, priority=90)
    refresh(board)
    first, second = plain(notified(board, 1)[0]).split("\n")
    assert first == f"Task {late.pk} of van-2 is overdue: 2 bikes, Station 4 to Station 5."
    assert second.startswith("Urgent suggestion ")
    assert board.evaluate("window.notes") == 4

    SuggestionFactory(**ENDS, priority=10)
    refresh(board)
    board.locator("[data-part=suggestions] > .row").nth(1).wait_for()
    assert board.evaluate("[window.shown.length, window.notes]") == [1, 4]


def test_many_calls_are_one_notification(board):
    switch_on(board)
    for number in range(8):
        overdue(worker_id=f"van-{number}")
    refresh(board)

    *lines, last = notified(board, 1)[0].split("\n")
    assert (len(lines), last) == (5, "and 3 more")
    assert board.evaluate("window.last.tag") == "board"


def test_kind_that_was_not_chosen_does_not_call(board):
    switch_on(board)
    choose(board, overdue=False)
    overdue()
    StationFeed.objects.update(trouble="Not JSON.")
    refresh(board)

    assert [plain(text) for text in notified(board, 1)] == ["Station feed test is failing."]


def test_notification_leads_to_its_row(board):
    switch_on(board)
    task = overdue()
    refresh(board)
    notified(board, 1)

    board.evaluate("window.last.onclick()")

    assert board.evaluate("document.activeElement.id") == f"t{task.pk}"


def test_feed_that_works_again_is_announced(board):
    switch_on(board)
    for text in ("Not JSON.", ""):
        StationFeed.objects.update(trouble=text)
        refresh(board)

    shown = notified(board, 2)
    assert plain(shown[1]).split("\n")[0] == "Station feed test works again."
    StationFeed.objects.update(trouble="Not JSON.")
    refresh(board)
    assert len(notified(board, 3)) == 3


def test_event_counts_in_the_title_until_someone_looks(board):
    task = TaskFactory(**ENDS)
    claim_next_task("van-1", actor="api")
    Task.objects.update(lease_expires_at=Now() - timedelta(minutes=1))
    call_command("sweep")
    refresh(board)
    has_title(board, "(1) Board |")
    assert task.pk

    look_at(board)
    has_title(board, "Board |")


def test_each_call_is_announced_in_one_tab(board):
    switch_on(board)
    other = board.context.new_page()
    other.goto(board.url)
    assert other.locator("#notify").get_attribute("aria-pressed") == "true"

    pages = (board, other)
    for number in range(3):
        overdue(worker_id=f"van-{number}")
        for page in pages:
            page.evaluate("document.getElementById('refresh').click()")
        for page in pages:
            has_title(page, f"({number + 1}) Board |")

        while announced(pages) <= number:
            board.wait_for_timeout(50)
    assert announced(pages) == 3
    other.close()


def test_call_that_came_while_the_page_was_closed_is_announced_later(board):
    switch_on(board)
    url = board.url
    board.goto("about:blank")
    overdue()
    board.goto(url)

    assert len(notified(board, 1)) == 1


def test_messages_on_the_board_replace_notifications_that_are_refused(opened):
    with opened() as board:
        board.locator("#notify").click()
        board.get_by_text("This browser does not allow notifications").wait_for()
        board.locator(".toast .close").click()
        task = overdue()
        refresh(board)
        board.locator(".toast.warning").wait_for()
        overdue(worker_id="van-2")
        refresh(board)
        expect(board.locator(".toast .text div")).to_have_count(2)
        assert board.locator(".toast").count() == 1
        assert board.evaluate("window.shown") == []

        board.locator(".toast a").last.click()
        assert board.evaluate("document.activeElement.id") == f"t{task.pk}"


def test_board_with_the_focus_shows_a_message_that_leaves(board):
    switch_on(board)
    board.evaluate("window.isElsewhere = false")
    overdue()
    refresh(board)

    expect(board.locator(".toast.info .text div")).to_have_count(1)
    assert board.evaluate("window.shown") == []


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
