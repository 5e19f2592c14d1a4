"""The board in a real browser: what a dispatcher does all day, and what must not get in the way."""

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
    """One refresh asked for by hand, and what it brought."""
    with page.expect_response(lambda answer: "state.json" in answer.url):
        page.locator("#refresh").click()


def hold(page, address):
    """The requests for it: they wait for the test to answer them."""
    held = []

    def keep(route):
        held.append(route)

    page.route(address, keep)
    return held


def pick(page, number):
    """A station on the map, also where a card lies over it."""
    page.locator(f"circle#s{number}").dispatch_event("click")


def said(page):
    page.locator("#said li").first.wait_for()
    return page.locator("#said li").all_inner_texts()


def test_a_dispatcher_approves_on_the_board_without_leaving_it(browse):
    city(10)
    first, second = suggest(priority=5), suggest(from_station_id=3)

    with browse(UserFactory(username="maria")) as tab:
        tab.open(BOARD)
        tab.page.evaluate("window.still_here = true")
        tab.page.locator(approve(first)).click()
        (told,) = said(tab.page)
        task = Task.objects.get()
        assert told == f"Suggestion {first.id} approved as task {task.id}."
        assert tab.page.locator(f"#p{first.id}").evaluate("row => row.inert"), "under the pointer"
        tab.page.mouse.move(0, 0)
        tab.page.locator(f"#p{first.id}").wait_for(state="detached")
        assert tab.page.locator(f"#t{task.id} .badge").inner_text() == "waiting"
        assert tab.page.locator(f"#b{task.id}.ready").count() == 1, "an arrow on the map"
        assert tab.page.locator("#n-decide b").inner_text() == "1"
        assert tab.page.evaluate("window.still_here")
    assert TaskEvent.objects.get(kind="approved").actor == "maria"
    assert Suggestion.objects.get() == second
    assert tab.complaints == []


def test_a_dispatcher_approves_by_keyboard_and_is_then_at_the_next_one(browse):
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
        said(tab.page)
        tab.page.locator(f"#p{first.id}").wait_for(state="detached")
        assert tab.page.evaluate("document.activeElement.id") == f"p{second.id}"
        press("Enter")
        assert Task.objects.count() == 1, "A second Enter does not approve what came in its place."
        # Its tick box: Enter there presses no button, also where one is ticked.
        for key in ("Tab", "Space", "Enter"):
            press(key)
        assert tab.page.locator("#ticked").inner_text() == "1 ticked"
        settled(tab.page)
        assert Suggestion.objects.count() == 1
    assert tab.complaints == []


def test_a_slow_refresh_does_not_bring_back_what_was_approved_meanwhile(browse):
    city(10)
    suggestion = suggest()

    with browse(UserFactory()) as tab:
        tab.open(BOARD)
        page = tab.page
        old = page.request.get(f"{tab.url}{BOARD}state.json")
        held = hold(page, "**/state.json")
        with page.expect_request("**/state.json"):
            page.locator("#refresh").click()
        page.locator(approve(suggestion)).click()
        said(page)
        page.mouse.move(0, 0)
        page.locator(f"#p{suggestion.id}").wait_for(state="detached")
        # The next refresh is asked for as soon as this one is done with.
        page.evaluate("setInterval(() => document.getElementById('refresh').click())")
        with page.expect_request("**/state.json"):
            held[0].fulfill(response=old)
        assert page.locator(f"#p{suggestion.id}").count() == 0
        assert page.locator(f"#t{Task.objects.get().id}").count() == 1


def test_many_are_approved_and_one_is_rejected_with_a_reason(browse):
    city(10)
    one, two, three = (suggest(from_station_id=number) for number in (1, 2, 3))

    with browse(UserFactory()) as tab:
        tab.open(BOARD)
        assert tab.page.locator(".bulk button").first.is_disabled()
        for each in (one, two):
            tab.page.check(f"#p{each.id} > input")
        assert tab.page.locator("#ticked").inner_text() == "2 ticked"
        tab.page.locator('.bulk [value="approve_selected"]').click()
        assert said(tab.page)[0] == "2 approved."

        tab.page.locator(f'[aria-label="Reject suggestion {three.id}"]').click()
        tab.page.locator("#ask textarea").fill("Road works")
        tab.page.locator("#ask [type=submit]").click()
        tab.page.locator("#ask").wait_for(state="hidden")
        assert said(tab.page) == [f"Suggestion {three.id} rejected."]
    assert Task.objects.count() == 2
    assert TaskEvent.objects.get(kind="rejected").details["rejection"] == "Road works"
    assert tab.complaints == []


def test_a_task_that_a_worker_claims_is_shown_so_at_the_next_refresh(browse, server):
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
        assert tab.page.locator(f"#b{task.id}.assigned").count() == 1
        assert tab.page.locator("[data-part=crews] .worker").inner_text() == "van-7"
    assert tab.complaints == []


def test_what_is_told_of_the_feed_under_the_pointer_is_as_new_as_the_rest(browse):
    city(10)
    StationFeed.objects.update(trouble="Down.", read_at=timezone.now() - timedelta(hours=3))

    with browse(UserFactory()) as tab:
        tab.open(BOARD)
        link, time = tab.page.locator("#n-feed a"), tab.page.locator("#n-feed time")
        assert link.get_attribute("title") == "test: Down."
        before = time.get_attribute("title")
        StationFeed.objects.update(trouble="", read_at=timezone.now())
        settled(tab.page)
        tab.page.get_by_text("age of the feed").wait_for()
        assert link.get_attribute("title") is None
        assert time.inner_text() == "<1 min"
        assert time.get_attribute("title") == time.get_attribute("datetime").replace("T", " ")
        assert time.get_attribute("title") != before
    assert tab.complaints == []


def test_of_two_dispatchers_who_approve_the_same_one_is_told(browse):
    city(10)
    suggestion = suggest()

    with browse(UserFactory()) as slow, browse(UserFactory()) as quick:
        slow.open(BOARD)
        quick.open(BOARD)
        quick.page.locator(approve(suggestion)).click()
        said(quick.page)
        slow.page.locator(approve(suggestion)).click()
        task = Task.objects.get()
        assert said(slow.page) == [
            f"0 approved; 1 skipped: Suggestion {suggestion.id} was already approved "
            f"as task {task.id}."
        ]
        slow.page.mouse.move(0, 0)
        slow.page.locator(f"#t{task.id}").wait_for()
    assert slow.complaints == quick.complaints == []


def test_a_refresh_leaves_alone_what_is_ticked_typed_focused_and_opened(browse):
    city(10)
    kept, other = suggest(), suggest(from_station_id=3)
    task = TaskFactory(from_station_id=4, to_station_id=5)

    with browse(UserFactory()) as tab:
        tab.open(BOARD)
        page = tab.page
        page.check(f"#p{kept.id} > input")
        page.locator("#station-list > summary").click()
        page.select_option("#state", "empty")
        page.locator("circle#s5").click()
        page.locator("#card h3").wait_for()
        page.locator(f"#m{task.id} > summary").press("Enter")
        page.fill("#find", "stat")
        new = suggest(priority=50, from_station_id=2)
        services.reject_suggestion(other.id, actor="tom", reason="Road works")
        page.evaluate("window.dispatchEvent(new Event('online'))")
        page.locator(f"#p{new.id}").wait_for()

        assert page.locator("[data-part=proposals] > li").first.get_attribute("id") == f"p{new.id}"
        assert page.locator(f"#p{other.id}").count() == 0
        assert page.locator(f"#p{kept.id} > input").is_checked()
        assert page.locator(f"#m{task.id}").evaluate("menu => menu.open")
        assert page.locator("#card h3").inner_text() == "Station 5"
        assert page.evaluate("document.activeElement.id") == "find"
        assert page.locator("#find").input_value() == "stat"
        assert page.locator("#state").input_value() == "empty"
        assert page.locator("[data-part=stations] tr:visible").count() == 2
        assert page.locator("#ticked").inner_text() == "1 ticked"
    assert tab.complaints == []


def test_under_the_pointer_no_row_moves(browse):
    city(10)
    gone, stays = suggest(priority=5), suggest(from_station_id=3)

    with browse(UserFactory()) as tab:
        tab.open(BOARD)
        row = tab.page.locator(f"#p{stays.id}")
        row.hover()
        before = row.bounding_box()
        services.approve_suggestion(gone.id, actor="tom")
        new = suggest(priority=50, from_station_id=2)
        with tab.page.expect_response(lambda answer: "state.json" in answer.url):
            tab.page.evaluate("window.dispatchEvent(new Event('online'))")
        tab.page.locator(f"#p{gone.id}.gone").wait_for()
        assert row.bounding_box()["y"] - before["y"] < 30, "Only the line that says so comes above."
        assert tab.page.locator(".decide .held").inner_text().startswith("1 more")
        assert tab.page.locator(f"#p{new.id}").count() == 0
        tab.page.mouse.move(0, 0)
        tab.page.locator(f"#p{new.id}").wait_for()
        assert tab.page.locator(f"#p{gone.id}").count() == 0
    assert tab.complaints == []


def test_without_a_connection_the_board_says_so_and_recovers_by_itself(browse):
    city(10)

    with browse(UserFactory()) as tab:
        tab.open(BOARD)
        tab.page.context.set_offline(True)
        tab.page.locator("#refresh").click()
        tab.page.get_by_text("No connection to the service.").wait_for()
        tab.page.context.set_offline(False)
        tab.page.locator("#notice").wait_for(state="hidden")
        suggestion = suggest()
        settled(tab.page)
        tab.page.locator(f"#p{suggestion.id}").wait_for()
    assert [
        what for _, kind, what in tab.complaints if "ERR_INTERNET_DISCONNECTED" not in what
    ] == []


@pytest.mark.parametrize("status", [502, 503, 504])
def test_of_an_operation_without_an_answer_it_is_not_said_that_it_was_refused(browse, status):
    city(10)
    suggestion = suggest()

    with browse(UserFactory()) as tab:
        tab.open(BOARD)
        tab.page.route(
            "**/approve/", lambda route: route.fulfill(status=status, json={"detail": "Try again."})
        )
        tab.page.locator(approve(suggestion)).click()
        (told,) = said(tab.page)
    assert told.startswith("No answer came: whether it was done is not known.")


def test_who_is_signed_out_meanwhile_is_told(browse):
    city(10)
    suggestion = suggest()

    with browse(UserFactory()) as tab:
        tab.open(BOARD)
        tab.page.context.clear_cookies(name="sessionid")
        tab.page.locator("#refresh").click()
        tab.page.get_by_text("You are signed out").wait_for()
        tab.page.locator(approve(suggestion)).click()
        tab.page.get_by_text("nothing was done").wait_for()
    assert Suggestion.objects.get() == suggestion


def test_the_map_is_one_stop_for_the_tab_key_and_arrow_keys_go_on(browse):
    city(40)

    with browse(UserFactory()) as tab:
        tab.open(BOARD)
        page = tab.page
        assert page.locator(".circles [tabindex='0']").count() == 1
        page.locator(".circles [tabindex='0']").focus()
        start = page.evaluate("document.activeElement.cx.baseVal.value")
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.cx.baseVal.value") > start
        number = page.evaluate("document.activeElement.id")[1:]
        page.keyboard.press("Enter")
        page.locator("#card h3").wait_for()
        assert page.locator("#card h3").inner_text() == f"Station {number}"
        assert page.locator("#card time.age").inner_text() == "1 min ago"
        page.keyboard.press("Escape")
        assert page.locator("#card").is_hidden()
        assert page.evaluate("document.activeElement.id") == f"s{number}"
    assert tab.complaints == []


@pytest.mark.parametrize("status", [None, 502, 503])
def test_a_card_without_an_answer_says_so_and_shows_no_other_station(browse, status):
    city(10)

    with browse(UserFactory()) as tab:
        tab.open(BOARD)
        page = tab.page
        pick(page, 4)
        page.get_by_role("heading", name="Station 4").wait_for()
        page.route(
            "**/stations/5/",
            lambda route: (
                route.fulfill(status=status, content_type="text/html", body="<p>Down</p>")
                if status
                else route.abort()
            ),
        )
        pick(page, 5)
        page.locator("#card").get_by_text("No answer came: try again.").wait_for()
        assert "Station 4" not in page.locator("#card").inner_text()
        page.locator("#card .close").click()
        assert page.locator("#card").is_hidden()
        page.unroute_all()
        pick(page, 5)
        page.get_by_role("heading", name="Station 5").wait_for()


def test_a_card_that_was_closed_or_left_for_another_while_it_loads_does_not_open(browse):
    city(10)

    with browse(UserFactory()) as tab:
        tab.open(BOARD)
        page = tab.page
        held = hold(page, "**/stations/5/")

        def answer_late():
            with page.expect_response("**/stations/5/"):
                held.pop().continue_()
            # One that is asked for now is answered behind it.
            page.evaluate("fetch('stations/7/').then((answer) => answer.text())")

        pick(page, 4)
        page.get_by_role("heading", name="Station 4").wait_for()
        with page.expect_request("**/stations/5/"):
            pick(page, 5)
        page.locator("#card").press("Escape")
        answer_late()
        assert page.locator("#card").is_hidden()

        with page.expect_request("**/stations/5/"):
            pick(page, 5)
        pick(page, 6)
        page.get_by_role("heading", name="Station 6").wait_for()
        answer_late()
        assert page.locator("#card h3").inner_text() == "Station 6"
        assert page.locator(".chosen").get_attribute("id") == "s6"
    assert tab.complaints == []


@pytest.mark.parametrize("hour", ["day", "night"])
def test_the_board_fits_a_phone_and_a_desk_also_with_the_longest_names(browse, hour):
    station(4, 20, 0, name="A-very-long-name" * 12)
    station(5, 0, 20, name="Long name " * 20)
    suggest(reason="an-unbroken-word" * 20, source="s" * 100)
    TaskFactory(assigned=True, worker_id="w" * 200, from_station_id=4, to_station_id=5)

    with browse(UserFactory(), color_scheme="dark" if hour == "night" else "light") as tab:
        tab.open(BOARD + "?station=4")
        assert tab.page.locator("#card h3").is_visible()
        assert too_wide(tab.page) == {}
    assert tab.complaints == []


def test_what_others_write_is_shown_on_the_board_and_never_run(browse):
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

    # Without the policy, so that what is not escaped would run.
    with browse(UserFactory(), bypass_csp=True) as tab:
        tab.open(BOARD + "?station=1")
        new = suggest(from_station_id=1, reason=PAYLOADS[0])
        settled(tab.page)
        tab.page.locator(f"#p{new.id}").wait_for()
        for part in ("proposals", "stations", "jobs", "crews", "map"):
            text = tab.page.locator(f"[data-part={part}]").text_content()
            assert [payload for payload in PAYLOADS if payload not in text] == [], part
        assert PAYLOADS[0] in tab.page.locator("#card").text_content()
        assert tab.page.evaluate("window.owned") is None
    assert tab.complaints == []
