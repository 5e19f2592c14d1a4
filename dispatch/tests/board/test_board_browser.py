"""The board in a real browser: a dispatcher's everyday work survives refreshes and failures."""

from datetime import timedelta

import pytest
import requests
from django.utils import timezone

from dispatch import services
from dispatch.models import StationFeed, Suggestion, Task, TaskEvent

from ..support.browser import too_wide
from ..support.cities import city, station
from ..support.factories import SuggestionFactory, TaskFactory, UserFactory
from ..support.hostile_texts import PAYLOADS

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

BOARD = "/admin/board/"


def suggest(**fields):
    return SuggestionFactory(**{"from_station_id": 4, "to_station_id": 5, "qty": 2, **fields})


def approve(suggestion):
    return f'[aria-label="Approve suggestion {suggestion.id}"]'


def settled(page):
    """Refresh once and wait for the response."""
    with page.expect_response(lambda answer: "state.json" in answer.url):
        page.locator("#refresh").click()


def hold(page, address):
    """Collect the requests for an address; each waits until the test answers it."""
    held = []

    def keep(route):
        held.append(route)

    page.route(address, keep)
    return held


def messages(page):
    page.locator("#toasts .text").first.wait_for()
    return [text.removesuffix(" Undo") for text in page.locator("#toasts .text").all_inner_texts()]


def confirm(page):
    """Press the button of the dialog, once it reacts."""
    page.locator("#confirm [type=submit]:not([data-settling])").click()
    page.locator("#confirm").wait_for(state="hidden")


def leave(page):
    """Move the pointer out of the lists, and let the decided rows go."""
    page.mouse.move(0, 0)
    page.clock.fast_forward(11_000)


def test_dispatcher_approves_without_leaving_the_board(browse):
    city(10)
    first, second = suggest(priority=5), suggest(from_station_id=3)

    with browse(UserFactory(username="maria")) as tab:
        tab.page.clock.install()
        tab.open(BOARD)
        tab.page.evaluate("window.still_here = true")
        tab.page.locator(approve(first)).click()
        (message,) = messages(tab.page)
        task = Task.objects.get()
        assert message == f"Suggestion {first.id} approved as task {task.id} (2 bikes)."
        verdict = tab.page.locator(f"#p{first.id} .verdict")
        assert verdict.inner_text() == f"Approved as task {task.id} (2 bikes) · Undo"
        leave(tab.page)
        tab.page.locator(f"#p{first.id}").wait_for(state="detached")
        assert tab.page.locator(f"#t{task.id} .badge").inner_text() == "ready"
        tab.page.locator(f".move.ready[data-row=t{task.id}]").wait_for()
        assert tab.page.locator("#n-suggestions b").inner_text() == "1"
        assert tab.page.evaluate("window.still_here")
    assert TaskEvent.objects.get(kind="approved").actor == "maria"
    assert Suggestion.objects.get() == second
    assert tab.complaints == []


def test_approving_by_keyboard_moves_focus_to_the_next_row(browse):
    city(10)
    first, second = suggest(priority=5), suggest(from_station_id=3)

    with browse(UserFactory()) as tab:
        tab.open(BOARD)
        press = tab.page.keyboard.press
        for _ in range(60):
            press("Tab")
            if tab.page.evaluate("document.activeElement.ariaLabel") == (
                f"Approve suggestion {first.id}"
            ):
                break
        press("Enter")
        messages(tab.page)
        tab.page.locator(f"#p{first.id}.decided").wait_for()
        assert tab.page.evaluate("document.activeElement.id") == f"p{second.id}"
        press("Enter")
        assert Task.objects.count() == 1, "the second Enter approves nothing"
        # Enter on a selected checkbox presses no button.
        for key in ("Tab", "Space", "Enter"):
            press(key)
        assert tab.page.locator("#selected").inner_text() == "1 selected"
        settled(tab.page)
        assert Suggestion.objects.count() == 1
    assert tab.complaints == []


def test_slow_refresh_does_not_bring_back_an_approved_row(browse):
    city(10)
    suggestion = suggest()

    with browse(UserFactory()) as tab:
        page = tab.page
        page.clock.install()
        tab.open(BOARD)
        old = page.request.get(f"{tab.url}{BOARD}state.json")
        held = hold(page, "**/state.json*")
        with page.expect_request("**/state.json*"):
            page.locator("#refresh").click()
        page.locator(approve(suggestion)).click()
        messages(page)
        leave(page)
        page.locator(f"#p{suggestion.id}").wait_for(state="detached")
        # The next refresh starts as soon as this one is done.
        page.evaluate("setInterval(() => document.getElementById('refresh').click())")
        with page.expect_request("**/state.json*"):
            held[0].fulfill(response=old)
        assert page.locator(f"#p{suggestion.id}").count() == 0
        assert page.locator(f"#t{Task.objects.get().id}").count() == 1


def test_dispatcher_approves_in_bulk_and_rejects_with_a_reason(browse):
    city(10)
    one, two, three = (suggest(from_station_id=number) for number in (1, 2, 3))

    with browse(UserFactory()) as tab:
        tab.open(BOARD)
        assert tab.page.locator(".bulk button").first.is_hidden()
        for each in (one, two):
            tab.page.check(f"#p{each.id} > input")
        assert tab.page.locator("#selected").inner_text() == "2 selected"
        tab.page.locator('.bulk [value="approve_selected"]').click()
        tab.page.locator("#confirm").get_by_text("2 selected, 4 bikes in total").wait_for()
        confirm(tab.page)
        assert tab.page.locator(".bulk button").first.is_hidden(), "nothing is selected now"
        counts, *lines = messages(tab.page)[0].splitlines()
        assert counts == "2 approved."
        tasks = Task.objects.order_by("id")
        assert [line.removesuffix(" Undo") for line in lines] == [
            f"#{task.suggestion_id} → task {task.id} (2 bikes)" for task in tasks
        ]

        tab.page.locator(f'[aria-label="Reject suggestion {three.id}"]').click()
        tab.page.locator("#confirm textarea").fill("Road works")
        confirm(tab.page)
        assert messages(tab.page) == [f"Suggestion {three.id} rejected."]
    assert Task.objects.count() == 2
    assert TaskEvent.objects.get(kind="rejected").details["rejection"] == "Road works"
    assert tab.complaints == []


def test_refresh_shows_a_newly_claimed_task(browse, server):
    city(10)
    task = TaskFactory(from_station_id=4, to_station_id=5)

    with browse(UserFactory()) as tab:
        tab.open(BOARD)
        answer = requests.post(
            f"{server.url}/dispatch/next", json={"worker_id": "van-7"}, timeout=10
        )
        assert answer.json()["id"] == task.id
        settled(tab.page)
        row = tab.page.locator(f"#t{task.id}")
        row.locator(".badge.assigned").wait_for()
        assert row.locator(".worker").inner_text() == "van-7"
        tab.page.locator(f".move.assigned[data-row=t{task.id}]").wait_for()
        assert tab.page.locator("[data-part=crews] .worker").inner_text() == "van-7"
    assert tab.complaints == []


def test_refresh_updates_tooltips_of_the_feed(browse):
    city(10)
    StationFeed.objects.update(trouble="Down.", read_at=timezone.now() - timedelta(hours=3))

    with browse(UserFactory()) as tab:
        tab.open(BOARD)
        link, time = tab.page.locator("#n-feed a"), tab.page.locator("#n-feed time")
        assert link.get_attribute("title") == "test: Down."
        before = time.get_attribute("title")
        StationFeed.objects.update(trouble="", read_at=timezone.now())
        settled(tab.page)
        tab.page.get_by_text("station data age").wait_for()
        assert link.get_attribute("title") is None
        assert time.inner_text() == "<1 min"
        assert time.get_attribute("title") == time.get_attribute("datetime").replace("T", " ")
        assert time.get_attribute("title") != before
    assert tab.complaints == []


def test_second_of_two_approvals_is_reported_as_refused(browse):
    city(10)
    suggestion = suggest()

    with browse(UserFactory()) as slow, browse(UserFactory(username="maria")) as quick:
        slow.open(BOARD)
        quick.open(BOARD)
        quick.page.locator(approve(suggestion)).click()
        messages(quick.page)
        slow.page.locator(approve(suggestion)).click()
        task = Task.objects.get()
        assert messages(slow.page) == [
            f"Suggestion {suggestion.id} was already approved as task {task.id} by maria."
        ]
        slow.page.mouse.move(0, 0)
        slow.page.locator(f"#t{task.id}").wait_for()
    assert slow.complaints == quick.complaints == []


def test_refresh_keeps_selection_input_focus_and_open_menus(browse):
    city(10)
    kept, other = suggest(), suggest(from_station_id=3)
    task = TaskFactory(from_station_id=4, to_station_id=5)

    with browse(UserFactory()) as tab:
        tab.open(BOARD)
        page = tab.page
        page.check(f"#p{kept.id} > input")
        page.locator("#station-list > summary").click()
        page.select_option("#state", "empty")
        page.locator("#station-list tr#s5 a").click()
        page.locator("#station-panel h3").wait_for()
        page.locator(f"#m{task.id}").evaluate("menu => menu.showPopover()")
        page.fill("#find", "stat")
        new = suggest(priority=50, from_station_id=2)
        services.reject_suggestion(other.id, actor="tom", reason="Road works")
        page.evaluate("window.dispatchEvent(new Event('online'))")
        page.locator(f"#p{new.id}").wait_for()

        assert (
            page.locator("[data-part=suggestions] > li").first.get_attribute("id") == f"p{new.id}"
        )
        assert page.locator(f"#p{other.id}").count() == 0
        assert page.locator(f"#p{kept.id} > input").is_checked()
        assert page.locator(f"#m{task.id}").is_visible()
        assert page.locator("#station-panel h3").inner_text() == "Station 5"
        assert page.evaluate("document.activeElement.id") == "find"
        assert page.locator("#find").input_value() == "stat"
        assert page.locator("#state").input_value() == "empty"
        assert page.locator("#station-list tbody tr:visible").count() == 2
        assert page.locator("#selected").inner_text() == "1 selected"
    assert tab.complaints == []


@pytest.mark.parametrize("width", [1024, 1440, 1920])
def test_rows_under_the_pointer_do_not_move(browse, width):
    city(10)
    gone, stays = suggest(priority=5), suggest(from_station_id=3)

    with browse(UserFactory(), viewport={"width": width, "height": 900}) as tab:
        tab.open(BOARD)
        row = tab.page.locator(f"#p{stays.id}")
        row.hover()
        before = row.bounding_box()
        services.approve_suggestion(gone.id, actor="tom")
        new = suggest(priority=50, from_station_id=2)
        with tab.page.expect_response(lambda answer: "state.json" in answer.url):
            tab.page.evaluate("window.dispatchEvent(new Event('online'))")
        tab.page.locator(f"#p{gone.id}.gone").wait_for()
        assert row.bounding_box() == before
        assert tab.page.locator(".review .held").inner_text().startswith("1 new")
        assert tab.page.locator(f"#p{new.id}").count() == 0
        tab.page.mouse.move(0, 0)
        tab.page.locator(f"#p{new.id}").wait_for()
        assert tab.page.locator(f"#p{gone.id}").count() == 0
    assert tab.complaints == []


def test_lost_connection_is_shown_and_recovers_automatically(browse):
    city(10)

    with browse(UserFactory()) as tab:
        tab.open(BOARD)
        tab.page.context.set_offline(True)
        tab.page.locator("#refresh").click()
        tab.page.get_by_text("No connection to the server.").wait_for()
        tab.page.context.set_offline(False)
        tab.page.locator("#notice").wait_for(state="hidden")
        suggestion = suggest()
        settled(tab.page)
        tab.page.locator(f"#p{suggestion.id}").wait_for()
    assert [
        what for _, kind, what in tab.complaints if "ERR_INTERNET_DISCONNECTED" not in what
    ] == []


@pytest.mark.parametrize("width", [390, 1024, 1440, 1920])
def test_summary_stays_on_top_after_a_message_and_while_offline(browse, width):
    city(10)
    suggestion = suggest()

    with browse(UserFactory(), viewport={"width": width, "height": 900}) as tab:
        tab.open(BOARD)
        page = tab.page

        def is_above_the_panels():
            summary = page.locator("section.summary").bounding_box()
            tops = [panel.bounding_box()["y"] for panel in page.locator(".panel:visible").all()]
            return summary["y"] + summary["height"] <= min(tops)

        assert is_above_the_panels()
        page.locator(approve(suggestion)).click()
        messages(page)
        assert is_above_the_panels()
        page.context.set_offline(True)
        page.evaluate("window.dispatchEvent(new Event('online'))")
        page.get_by_text("No connection to the server.").wait_for()
        assert is_above_the_panels()


@pytest.mark.parametrize("status", [502, 503, 504])
def test_lost_response_is_reported_as_unknown(browse, status):
    city(10)
    suggestion = suggest()

    with browse(UserFactory()) as tab:
        tab.open(BOARD)
        tab.page.route(
            "**/approve/", lambda route: route.fulfill(status=status, json={"detail": "Try again."})
        )
        tab.page.locator(approve(suggestion)).click()
        (message,) = messages(tab.page)
    assert message.startswith("No reply from the server. It may have gone through")


def test_signed_out_dispatcher_is_asked_to_sign_in(browse):
    city(10)
    suggestion = suggest()

    with browse(UserFactory()) as tab:
        tab.open(BOARD)
        tab.page.context.clear_cookies(name="sessionid")
        tab.page.locator("#refresh").click()
        tab.page.get_by_text("You are signed out").wait_for()
        tab.page.locator(approve(suggestion)).click()
        tab.page.get_by_text("Nothing was changed").wait_for()
    assert Suggestion.objects.get() == suggestion


@pytest.mark.parametrize("hour", ["day", "night"])
def test_board_fits_phone_and_desktop_with_long_names(browse, hour):
    station(4, 20, 0, name="A-very-long-name" * 12)
    station(5, 0, 20, name="Long name " * 20)
    suggest(reason="an-unbroken-word" * 20, source="s" * 100)
    TaskFactory(assigned=True, worker_id="w" * 200, from_station_id=4, to_station_id=5)

    with browse(UserFactory(), color_scheme="dark" if hour == "night" else "light") as tab:
        tab.open(BOARD + "?station=4")
        assert tab.page.locator("#station-panel h3").is_visible()
        assert too_wide(tab.page) == {}
    assert tab.complaints == []


def test_user_input_on_the_board_is_never_executed(browse):
    for number, payload in enumerate(PAYLOADS, start=1):
        station(number, name=payload)
        suggest(from_station_id=number, to_station_id=900 + number, reason=payload, source=payload)
        TaskFactory(
            assigned=True,
            worker_id=payload,
            reason=payload,
            from_station_id=number,
            to_station_id=900,
        )

    # Without the content security policy, so that unescaped markup would run.
    with browse(UserFactory(), bypass_csp=True) as tab:
        tab.open(BOARD + "?station=1")
        new = suggest(from_station_id=1, reason=PAYLOADS[0])
        settled(tab.page)
        tab.page.locator(f"#p{new.id}").wait_for()
        tab.page.locator("#station-list > summary").click()
        for part in ("[data-part=suggestions]", "[data-part=tasks]", "[data-part=crews]", "tbody"):
            text = tab.page.locator(part).first.text_content()
            assert [payload for payload in PAYLOADS if payload not in text] == [], part
        assert PAYLOADS[0] in tab.page.locator("#station-panel").text_content()
        assert tab.page.evaluate("window.owned") is None
    assert tab.complaints == []
