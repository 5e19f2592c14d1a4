"""Clicks on the board decide the row that the dispatcher saw, once, and can be undone."""

from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.utils import timezone

from dispatch import services
from dispatch.models import StationFeed, Suggestion, Task, TaskEvent

from ..support.cities import city
from ..support.decisions import grow_old
from ..support.factories import SuggestionFactory, TaskFactory, UserFactory

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

BOARD = "/admin/board/"
SECOND = 1000


def suggest(**fields):
    return SuggestionFactory(**{"from_station_id": 4, "to_station_id": 5, "qty": 2, **fields})


def button(page, name, suggestion):
    return page.get_by_role("button", name=f"{name} suggestion {suggestion.id}", exact=True)


def decided(page, suggestion):
    return page.locator(f"#p{suggestion.id}.decided .verdict")


@contextmanager
def answered_later(page, address):
    """Stop the clock, and answer the block's request once the clock has moved a little."""
    sent = []

    def hold(route):
        sent.append(route)

    page.clock.pause_at(page.evaluate("Date.now() + 1000") / 1000)
    page.route(address, hold)
    with page.expect_request(address):
        yield
    page.clock.run_for(10)
    (route,) = sent
    route.continue_()
    page.unroute(address)


def middle(locator):
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


@pytest.fixture
def board(browse):
    """Open the board with a clock that the test moves forward."""

    def opened(tab):
        tab.page.clock.install()
        # If busy, Chromium lets requests pass that closely follow a page's first route.
        tab.page.route("**/no-such-page/", lambda route: route.abort())
        tab.open(BOARD)
        return tab.page

    return opened


@pytest.mark.parametrize("reduced", [False, True])
def test_four_clicks_without_moving_the_pointer_decide_one_suggestion(browse, board, reduced):
    city(10)
    # A fifth of the bikes fit: the answer changes every row.
    suggestions = [suggest(priority=9 - n, qty=10 if reduced else 2) for n in range(6)]

    with browse(UserFactory()) as tab:
        page = board(tab)
        page.mouse.move(*middle(button(page, "Approve", suggestions[0])))
        for _ in range(4):
            page.mouse.down()
            page.mouse.up()
            decided(page, suggestions[0]).wait_for()
            page.clock.run_for(2 * SECOND)
        assert [task.suggestion_id for task in Task.objects.all()] == [suggestions[0].id]
        # However long the pointer rests there.
        page.clock.run_for(60 * SECOND)
        page.mouse.down()
        page.mouse.up()
        page.locator("#refresh").evaluate("button => button.click()")
        assert Task.objects.count() == 1
    assert tab.complaints == []


def test_three_taps_on_one_spot_decide_one_suggestion(browse, board):
    city(10)
    suggestions = [suggest(priority=9 - n) for n in range(6)]
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}

    with browse(UserFactory(), **phone) as tab:
        page = board(tab)
        page.clock.pause_at(page.evaluate("Date.now() + 1000") / 1000)
        spot = middle(button(page, "Approve", suggestions[0]))
        for _ in range(3):
            page.touchscreen.tap(*spot)
            decided(page, suggestions[0]).wait_for()
            page.clock.run_for(SECOND)
        assert [task.suggestion_id for task in Task.objects.all()] == [suggestions[0].id]
        # Ten seconds after the decision.
        page.clock.run_for(7 * SECOND + 100)
        page.locator(f"#p{suggestions[0].id}").wait_for(state="detached")
        # The next row has moved to the spot, and its button does nothing yet.
        page.touchscreen.tap(*spot)
        assert page.locator("[aria-busy]").count() == 0
        page.clock.run_for(SECOND)
        # Elsewhere on the button: the browser's own clock would make it the end of a double tap.
        page.touchscreen.tap(spot[0] + 40, spot[1])
        decided(page, suggestions[1]).wait_for()
        assert Task.objects.count() == 2
    assert tab.complaints == []


def test_two_clicks_before_the_answer_decide_once(browse, board):
    city(10)
    suggestion = suggest()

    with browse(UserFactory()) as tab:
        page = board(tab)
        sent = []

        def hold(route):
            sent.append(route)

        page.route("**/approve/", hold)
        approve = button(page, "Approve", suggestion)
        with page.expect_request("**/approve/"):
            approve.click()
        assert approve.get_attribute("aria-busy") == "true"
        approve.click()
        assert len(sent) == 1
        sent[0].continue_()
        decided(page, suggestion).wait_for()
        assert Task.objects.count() == 1
    assert tab.complaints == []


def test_messages_do_not_move_the_page(browse, board):
    city(10)
    first, second = suggest(priority=5), suggest()

    with browse(UserFactory()) as tab:
        page = board(tab)
        places = [page.locator(f"#p{second.id}"), page.locator(".summary"), page.locator(".queue")]
        before = [each.bounding_box() for each in places]
        button(page, "Approve", first).click()
        page.locator("#toasts .text").wait_for()
        assert [each.bounding_box() for each in places] == before
        page.get_by_role("button", name="Close message").click()
        assert page.locator("#toasts .text").count() == 0
    assert tab.complaints == []


def test_undo_in_a_row_restores_the_suggestion_at_once(browse, board):
    city(10)
    suggestion, other = suggest(source="model", priority=7), suggest()

    with browse(UserFactory(username="maria")) as tab:
        page = board(tab)
        button(page, "Approve", suggestion).click()
        undo = decided(page, suggestion).get_by_role("button", name="Undo")
        # Undo is now where the last button of the row was.
        undo.evaluate("button => (button.closest('.verdict').style.inset = '7px 12px auto auto')")
        with answered_later(page, "**/undo/"):
            undo.click()
        page.locator("#toasts").get_by_text("undone").wait_for()
        restored = Suggestion.objects.exclude(pk=other.pk).get()
        assert (restored.source, restored.priority) == ("model", 7)
        assert Task.objects.get().status == "cancelled"
        assert page.locator("[data-part=suggestions] > .row").count() == 2
        page.get_by_text("Select all 2").wait_for()
        reject = button(page, "Reject", restored)
        reject.evaluate("button => button.click()")
        assert page.locator("[aria-busy]").count() == 0, "it moved under the pointer"
        page.clock.run_for(SECOND)
        reject.click()
        page.locator("#confirm").wait_for()
    assert TaskEvent.objects.get(kind="undone").actor == "maria"
    assert tab.complaints == []


def test_undo_keeps_the_rows_of_other_decisions(browse, board):
    city(10)
    first, second = suggest(priority=5), suggest()

    with browse(UserFactory()) as tab:
        page = board(tab)
        for suggestion in (first, second):
            button(page, "Approve", suggestion).click()
            decided(page, suggestion).wait_for()
        decided(page, first).get_by_role("button", name="Undo").click()
        decided(page, first).get_by_text("undone").wait_for()
        page.get_by_text("1 new, shown when you leave the list").wait_for()
        decided(page, second).get_by_role("button", name="Undo").click()
        button(page, "Approve", Suggestion.objects.get(priority=5)).wait_for()
        assert page.locator("[data-part=suggestions] > .decided").count() == 0
        assert Suggestion.objects.count() == 2
    assert tab.complaints == []


def test_rejection_is_undone_by_its_message(browse, board):
    city(10)
    suggestion = suggest()

    with browse(UserFactory()) as tab:
        page = board(tab)
        button(page, "Reject", suggestion).click()
        page.locator("#confirm textarea").fill("Road works")
        page.locator("#confirm [type=submit]").click()
        page.locator("#toasts").get_by_role("button", name="Undo").click()
        page.locator("#toasts").get_by_text("restored as").wait_for()
        assert Suggestion.objects.count() == 1
        assert decided(page, suggestion).get_by_role("button", name="Undo").count() == 0
    assert tab.complaints == []


def test_undo_after_a_claim_says_why_not(browse, board):
    city(10)
    suggestion = suggest()

    with browse(UserFactory()) as tab:
        page = board(tab)
        button(page, "Approve", suggestion).click()
        undo = decided(page, suggestion).get_by_role("button", name="Undo")
        undo.wait_for()
        services.claim_next_task("van-7", actor="api")
        undo.click()
        page.locator("#toasts .warning").get_by_text("van-7").wait_for()
        assert Task.objects.get().status == "assigned"
    assert tab.complaints == []


def test_late_undo_says_why_not(browse, board):
    city(10)
    suggestion = suggest()

    with browse(UserFactory()) as tab:
        page = board(tab)
        button(page, "Approve", suggestion).click()
        undo = decided(page, suggestion).get_by_role("button", name="Undo")
        undo.wait_for()
        grow_old(TaskEvent.objects.filter(kind="approved"))
        undo.click()
        page.locator("#toasts .warning").get_by_text("more than 60 seconds ago").wait_for()
        assert Task.objects.get().status == "ready"
    assert tab.complaints == []


def test_all_warnings_of_an_approval_share_one_message(browse, board):
    city(10)
    suggestion = suggest(from_station_id=3, to_station_id=2, qty=30)

    with browse(UserFactory()) as tab:
        page = board(tab)
        button(page, "Approve", suggestion).click()
        page.locator("#toasts .warning").wait_for()
        assert page.locator("#toasts > *").count() == 2
        assert page.locator("#toasts .warning .text > *").count() == 2
    assert tab.complaints == []


def test_keyboard_approval_needs_a_key_for_each_suggestion(browse, board):
    city(10)
    first, second = suggest(priority=5), suggest()

    with browse(UserFactory()) as tab:
        page = board(tab)
        button(page, "Approve", first).focus()
        page.clock.run_for(SECOND)
        with answered_later(page, "**/approve/"):
            for _ in range(3):
                page.keyboard.press("Enter")
        decided(page, first).wait_for()
        assert page.evaluate("document.activeElement.id") == f"p{second.id}"
        page.keyboard.press("a")
        assert page.locator("[aria-busy]").count() == 0, "the focus moved there automatically"
        page.clock.run_for(SECOND)
        page.keyboard.press("a")
        decided(page, second).wait_for()
        assert Task.objects.count() == 2
    assert tab.complaints == []


def test_approval_asks_first_if_no_bike_fits(browse, board):
    city(10)
    # Station 5 is empty.
    suggestion = suggest(from_station_id=5, to_station_id=4)

    with browse(UserFactory()) as tab:
        page = board(tab)
        with answered_later(page, "**/approve/"):
            button(page, "Approve", suggestion).click()
        dialog = page.locator("#confirm")
        dialog.get_by_text("Approve suggestion").first.wait_for()
        assert "has no bike" in dialog.inner_text()
        assert Task.objects.count() == 0
        submit = dialog.locator("[type=submit]")
        submit.press("Enter")
        assert page.locator("[aria-busy]").count() == 0, "a second Enter is too early"
        page.clock.run_for(SECOND)
        submit.click()
        decided(page, suggestion).wait_for()
        assert Task.objects.count() == 1
    assert tab.complaints == []


def test_wrong_count_keeps_the_dialog_and_the_typed_text(browse, board):
    city(10)
    task = TaskFactory(assigned=True, from_station_id=4, to_station_id=5, qty=11)

    with browse(UserFactory()) as tab:
        page = board(tab)
        page.get_by_role("button", name=f"Actions for task {task.id}").click()
        page.locator(f"#m{task.id}").get_by_role("button", name="Complete").click()
        count = page.locator("#confirm input[name=moved_qty]")
        assert count.input_value() == "11"
        count.fill("140")
        page.locator("#confirm textarea").fill("Two vans")
        page.locator("#confirm [type=submit]:not([data-settling])").click()
        page.locator("#confirm .errorlist").get_by_text("the task is for 11 bikes").wait_for()
        assert count.input_value() == "140"
        assert page.locator("#confirm textarea").input_value() == "Two vans"
        count.fill("9")
        page.locator("#confirm [type=submit]:not([data-settling])").click()
        page.locator(f"#t{task.id}.decided").get_by_text("9 bikes moved").wait_for()
        task.refresh_from_db()
        assert (task.status, task.moved_qty, task.note) == ("completed", 9, "Two vans")
    assert tab.complaints == []


def test_task_of_a_new_priority_can_be_acted_on_at_once(browse, board):
    city(10)
    task = TaskFactory(from_station_id=4, to_station_id=5)

    with browse(UserFactory()) as tab:
        page = board(tab)
        for number in (1, 2):
            page.get_by_role("button", name=f"Actions for task {task.id}").click()
            page.locator(f"#m{task.id}").get_by_role("button", name="Raise priority").click()
            page.locator(f"#t{task.id}").get_by_text(f"priority {number * 10}").wait_for()
            page.clock.run_for(SECOND)
        assert page.locator(".decided").count() == 0
    assert tab.complaints == []


def test_menu_opens_in_full_at_the_bottom_and_by_arrow_keys(browse, board):
    city(10)
    tasks = [
        TaskFactory(assigned=True, from_station_id=4, to_station_id=5, worker_id=f"van-{number}")
        for number in range(12)
    ]

    with browse(UserFactory(), viewport={"width": 1440, "height": 900}) as tab:
        page = board(tab)
        last = page.get_by_role("button", name=f"Actions for task {tasks[-1].id}")
        last.scroll_into_view_if_needed()
        last.click()
        menu = page.locator(f"#m{tasks[-1].id}")
        box = menu.bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 900
        items = menu.get_by_role("button").all_inner_texts()
        assert items[-1] == "Cancel"
        page.keyboard.press("ArrowUp")
        assert page.evaluate("document.activeElement.textContent") == "Cancel"
        page.keyboard.press("Home")
        assert page.evaluate("document.activeElement.textContent") == items[0]
        page.keyboard.press("Escape")
        assert menu.is_hidden()
        assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith(
            "Actions"
        )
    assert tab.complaints == []


def test_half_typed_reason_survives_a_refresh(browse, board):
    city(10)
    suggestion, other = suggest(), suggest(from_station_id=3)

    with browse(UserFactory()) as tab:
        page = board(tab)
        button(page, "Reject", suggestion).click()
        reason = page.locator("#confirm textarea")
        reason.press_sequentially("Road w")
        services.approve_suggestion(other.id, actor="tom")
        page.clock.run_for(16 * SECOND)
        page.locator(f"#t{Task.objects.get().id}").wait_for()
        reason.press_sequentially("orks")
        page.locator("#confirm [type=submit]").click()
        decided(page, suggestion).wait_for()
    assert TaskEvent.objects.get(kind="rejected").details["rejection"] == "Road works"
    assert tab.complaints == []


def test_lost_reply_leaves_the_dialog_as_it_was(browse, board):
    city(10)
    suggestion = suggest()

    with browse(UserFactory()) as tab:
        page = board(tab)
        button(page, "Reject", suggestion).click()
        page.locator("#confirm textarea").fill("Road works")
        page.route("**/reject/", lambda route: route.abort())
        page.locator("#confirm [type=submit]").click()
        page.locator("#confirm").get_by_text("No reply from the server.").wait_for()
        assert page.locator("#confirm textarea").input_value() == "Road works"


@pytest.mark.parametrize(
    ("width", "height"), [(320, 640), (390, 844), (1024, 768), (1440, 900), (1920, 1080)]
)
def test_board_fits_its_screen_and_cuts_no_name_or_number(browse, board, width, height):
    city(40)
    for number in range(1, 30):
        suggest(from_station_id=number, to_station_id=number + 1, priority=number)
        TaskFactory(from_station_id=number, to_station_id=number + 1)
    services.claim_next_task("van-1", actor="van-1")
    hours = timezone.now() - timedelta(hours=11, minutes=48)
    StationFeed.objects.update(made_at=hours)
    Task.objects.update(created_at=hours)
    Task.objects.filter(worker_id="van-1").update(assigned_at=hours)
    screen = {"viewport": {"width": width, "height": height}, "has_touch": width < 1200}

    with browse(UserFactory(), **screen) as tab:
        page = board(tab)
        over = "document.documentElement.scrollWidth - window.innerWidth"
        cut = """[...document.querySelectorAll(
            '.station, .summary :is(ul, a, span), .crews .scroll')]
            .filter((text) => text.checkVisibility() && (text.scrollWidth > text.clientWidth + 1
                || text.closest('.summary') && text.scrollHeight > text.clientHeight + 1))
            .map((text) => text.outerHTML)"""
        for section in ["Suggestions", "Tasks", "Map", "Today"] if width < 900 else [None]:
            if section:
                page.locator(".tabs").get_by_role("link", name=section).click()
            assert page.evaluate(over) <= 0
            assert page.evaluate(cut) == []
        if width < 900:
            page.locator(".tabs").get_by_role("link", name="Suggestions").click()
            assert page.locator("[data-part=suggestions] > li:visible").count() == 10
            page.get_by_role("button", name="Show all rows").click()
            assert page.locator("[data-part=suggestions] > li:visible").count() == 29
        if width >= 1600:
            assert page.locator(".panel:visible").count() == 5
    assert tab.complaints == []
