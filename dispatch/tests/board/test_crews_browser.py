"""Dispatchers and crews on the board, in a browser: messages, assignments, all tasks of a crew."""

import pytest
from playwright.sync_api import expect

from dispatch.models import Suggestion, Task, TaskEvent

from ..support.cities import city
from ..support.factories import CrewFactory, SuggestionFactory, UserFactory, claimed

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ENDS = {"from_station_id": 4, "to_station_id": 5, "qty": 2}


@pytest.fixture
def board(browse):
    city(10)
    for number in (1, 2):
        CrewFactory(worker_id=f"van-{number}")
    with browse(UserFactory(username="maria")) as tab:
        tab.page.set_default_timeout(15_000)
        yield tab
    assert tab.complaints == []


def settle(page):
    """A control that just appeared under the pointer or got the focus ignores clicks at first."""
    expect(page.locator("[data-settling]")).to_have_count(0)


def dialog(page):
    found = page.locator("#confirm form")
    found.wait_for()
    return found


def toast(page):
    return page.locator("#toasts .toast .text").first


def test_message_is_written_by_keyboard_without_leaving_the_board(board):
    task = claimed(**ENDS)
    board.open("/admin/board/")
    page = board.page

    page.locator(f"#t{task.pk} [popovertarget]").focus()
    settle(page)
    page.keyboard.press("Enter")
    expect(page.locator(":focus")).to_have_text("Reassign")
    page.keyboard.press("ArrowDown")
    expect(page.locator(":focus")).to_have_text("Message")
    page.keyboard.press("Enter")
    dialog(page)
    page.keyboard.type("Mind the step")
    settle(page)
    page.keyboard.press("Control+Enter")

    expect(toast(page)).to_contain_text(f"Task {task.pk} updated with a message for van-1.")
    expect(page.locator(f"#t{task.pk} .message.quiet")).to_contain_text("Mind the step")
    assert TaskEvent.objects.get(kind="message").details == {"text": "Mind the step"}
    assert page.url.endswith("/admin/board/")


def test_all_tasks_of_a_crew_are_given_to_another(board):
    tasks = [claimed(**ENDS) for _ in range(2)]
    board.open("/admin/board/")
    page = board.page

    page.locator("#c-van-1 .row-action").click()
    form = dialog(page)
    expect(page.locator("#confirm-title")).to_have_text("Give 2 tasks of van-1 to another crew?")
    form.locator("[name=worker_id]").select_option("van-2")
    form.locator("[name=reason]").fill("Engine trouble")
    settle(page)
    form.locator("[type=submit]").click()

    expect(toast(page)).to_contain_text("2 given.")
    expect(page.locator("#c-van-2")).to_contain_text("2 tasks")
    expect(page.locator("#c-van-1")).to_contain_text("free")
    assert {Task.objects.get(pk=task.pk).worker_id for task in tasks} == {"van-2"}


def test_suggestion_is_assigned_with_one_key_and_one_choice(board):
    suggestion = SuggestionFactory(**ENDS)
    board.open("/admin/board/")
    page = board.page

    page.keyboard.press("j")
    page.keyboard.press("s")
    form = dialog(page)
    form.locator("[name=worker_id]").select_option("van-2")
    settle(page)
    form.locator("[type=submit]").click()

    expect(toast(page)).to_contain_text(f"Suggestion {suggestion.pk} approved as task")
    task = Task.objects.get()
    assert task.worker_id == "van-2"
    assert not Suggestion.objects.exists()
    expect(page.locator(f"#t{task.pk}")).to_contain_text("van-2")


def test_crews_name_opens_its_day(board):
    task = claimed(**ENDS)
    board.open("/admin/board/")
    page = board.page

    with page.expect_navigation():
        page.locator("#c-van-1 th a").click()

    expect(page.locator("h1").last).to_have_text("van-1, today")
    expect(page.locator(".crew-day")).to_contain_text(f"Task {task.pk}")
