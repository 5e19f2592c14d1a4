"""Every page of the console meets WCAG 2.2 AA, in the light and the dark scheme."""

import pytest
from django.contrib.auth.models import Group
from playwright.sync_api import expect

from dispatch import services
from dispatch.models import (
    ApiToken,
    CrewDevice,
    EventKind,
    MailMessage,
    MailSubscription,
    Task,
    WebhookDelivery,
    WebhookEndpoint,
)
from dispatch.services.events import record_task

from ..support.accessibility import violations
from ..support.cities import city
from ..support.factories import (
    MORNING,
    CrewFactory,
    SuggestionFactory,
    TaskFactory,
    UserFactory,
)

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

BOARD = "/admin/board/"
ENDPOINT = "/admin/dispatch/webhookendpoint/1/change/"


@pytest.fixture
def maria():
    """A dispatcher with work in every state."""
    city(20)
    ends = {"from_station_id": 4, "to_station_id": 5}
    SuggestionFactory(**ends, id=1, priority=5, source="demand-v2")
    SuggestionFactory(**ends, id=2, qty=40)
    SuggestionFactory(from_station_id=4, to_station_id=999, id=3)
    task = services.create_task(TaskFactory.build(**ends, id=1), actor="tom").task
    services.reassign_task(task.pk, "van-1", actor="tom", reason="Nearest")
    services.release_task(task.pk, actor="van-1", reason="Flat tyre")
    for status in ({}, {"assigned": True}, {"completed": True}, {"cancelled": True}):
        TaskFactory(**ends, **status)
    endpoint = WebhookEndpoint.objects.create(
        id=1, url="https://chat.example/hooks", description="chat", state="failed"
    )
    # The events below add deliveries, whose ids begin at 1.
    WebhookDelivery.objects.create(id=0, endpoint=endpoint, type="task.overdue", body="{}")
    maria = UserFactory(id=1, username="maria")
    subscription = MailSubscription.objects.create(user=maria, types=["task.overdue"])
    MailMessage.objects.create(
        id=1, subscription=subscription, kind="alerts", state="dead", finished_at=MORNING
    )
    Group.objects.update_or_create(id=1, defaults={"name": "night shift"})
    ApiToken.objects.create(user=maria, label="van-1", digest="d", worker_id="van-1")
    crew = CrewFactory(id=1, worker_id="van-1")
    CrewDevice.objects.create(crew=crew, label="iPhone, Safari", digest="d")
    talk_about(TaskFactory(**ends, id=1000))
    return maria


def talk_about(task):
    """A problem, a message and an assignment that the phone has not shown, each on a task."""
    services.reassign_task(task.pk, "van-1", actor="maria")
    held = Task.objects.assigned().filter(worker_id="van-1").exclude(pk=task.pk).first()
    services.message_crew(held.pk, "Mind the step", actor="maria")
    details = {"problems": ["station_closed"], "note": "Street fair"}
    record_task(EventKind.PROBLEM, held, "crew van-1", **details)


def press(selector):
    return lambda page: page.locator(selector).first.click()


def press_and_leave(selector):
    def leave(page):
        with page.expect_navigation():
            page.locator(selector).first.click()

    return leave


def open_dialog(page):
    page.locator("#p1 .reject").click()
    page.locator("#confirm form").wait_for()


def open_message(page):
    page.locator("#t1000 [popovertarget]").click()
    page.locator("#t1000 .menu .message").click()
    page.locator("#confirm form").wait_for()


def open_hand_over(page):
    page.locator("#c-van-1 .row-action").click()
    page.locator("#confirm form").wait_for()


def open_assignment(page):
    page.locator("#p1 .assign").click()
    page.locator("#confirm form").wait_for()


def open_station(page):
    page.locator("#p1 a.station").first.click()
    page.locator("#station-panel h3").wait_for()


def open_choices(page):
    page.locator("#id_to_station_id").fill("station")
    page.locator(".choices li").first.wait_for()
    page.keyboard.press("ArrowDown")
    page.locator("#move-verdict .quiet").wait_for()


def judge_move(page):
    page.locator("#move-verdict .guard").first.wait_for()


def create_token(page):
    page.select_option("#id_user", "1")
    page.fill("#id_label", "phone")
    page.locator("[name=_save]").click()
    page.locator(".secret").wait_for()


def rotate_secret(page):
    page.locator("text=Rotate the secret").click()
    page.locator("[type=submit][value='Rotate the secret']").click()
    page.locator(".secret").wait_for()


def repeat_deliveries(page):
    services.enable_endpoint(1)
    page.reload()
    page.locator("text=Repeat failed deliveries").click()
    page.locator("#id_since").wait_for()


def add_phone(page):
    page.locator("text=Add phone").click()
    page.locator("#phone-code .text").wait_for()


def see_phone_join(page):
    add_phone(page)
    code = page.locator("#phone-code .text").inner_text()
    services.join(code, "n" * 22, label="iPhone, Safari", address="192.0.2.1")
    page.locator("#phone-code[data-state=joined]").wait_for()


def sign_out_phone(page):
    page.locator("text=Sign out").click()
    page.locator("[type=submit][value='Sign out']").wait_for()


PAGES = {
    "index": "/admin/lists/",
    "board": BOARD,
    "suggestions": "/admin/dispatch/suggestion/",
    "suggestion": "/admin/dispatch/suggestion/1/change/",
    "new suggestion": "/admin/dispatch/suggestion/add/",
    "tasks": "/admin/dispatch/task/",
    "task": "/admin/dispatch/task/1/change/",
    "new task": "/admin/dispatch/task/add/",
    "stations": "/admin/dispatch/station/",
    "station": "/admin/dispatch/station/4/change/",
    "crews": "/admin/dispatch/crew/",
    "crew": "/admin/dispatch/crew/1/change/",
    "day of a crew": "/admin/crew-day/?crew=van-1",
    "tasks with a problem": "/admin/dispatch/task/?attention=problem",
    "new crew": "/admin/dispatch/crew/add/",
    "crew import": "/admin/dispatch/crew/import/",
    "tokens": "/admin/dispatch/apitoken/",
    "new token": "/admin/dispatch/apitoken/add/",
    "users": "/admin/dispatch/user/",
    "user": "/admin/dispatch/user/1/change/",
    "new user": "/admin/dispatch/user/add/",
    "groups": "/admin/auth/group/",
    "group": "/admin/auth/group/1/change/",
    "webhook endpoints": "/admin/dispatch/webhookendpoint/",
    "webhook endpoint": "/admin/dispatch/webhookendpoint/1/change/",
    "new webhook endpoint": "/admin/dispatch/webhookendpoint/add/",
    "webhook deliveries": "/admin/dispatch/webhookdelivery/",
    "webhook delivery": "/admin/dispatch/webhookdelivery/0/change/",
    "my e-mails": "/admin/my-mail/",
    "mail subscriptions": "/admin/dispatch/mailsubscription/",
    "e-mails": "/admin/dispatch/mailmessage/",
    "e-mail": "/admin/dispatch/mailmessage/1/change/",
    "feeds": "/admin/dispatch/stationfeed/",
    "figures": "/admin/kpi/",
    "activity": "/admin/activity/",
    "audit": "/admin/audit/",
    "search": "/admin/search/?q=Station",
    "password": "/admin/password_change/",
    "no such page": "/admin/nothing/",
}
OPENED = {
    "settings": (BOARD, press("#open-settings")),
    "dialog": (BOARD, open_dialog),
    "message": (BOARD, open_message),
    "tasks to give to another crew": (BOARD, open_hand_over),
    "approval for a crew": (BOARD, open_assignment),
    "station card": (BOARD, open_station),
    "station list": (BOARD, press("#station-list > summary")),
    "menu": (BOARD, press(".queue [popovertarget]")),
    "choice of a station": ("/admin/dispatch/task/add/", open_choices),
    "verdict": (
        "/admin/dispatch/task/add/?from_station_id=1&to_station_id=5&qty=40",
        judge_move,
    ),
    "account": (BOARD, press("#user-tools [popovertarget]")),
    "rejection": ("/admin/dispatch/suggestion/", press_and_leave(".row-action.reject")),
    "cancellation": ("/admin/dispatch/task/1/change/", press_and_leave(".row-action.cancel")),
    "assignment": ("/admin/dispatch/task/1/change/", press_and_leave(".row-action.assign")),
    "code for a phone": ("/admin/dispatch/crew/1/change/", add_phone),
    "phone that has joined": ("/admin/dispatch/crew/1/change/", see_phone_join),
    "phone to sign out": ("/admin/dispatch/crew/1/change/", sign_out_phone),
    "new secret of a webhook endpoint": (ENDPOINT, rotate_secret),
    "deliveries to repeat": (ENDPOINT, repeat_deliveries),
    "token created": ("/admin/dispatch/apitoken/add/", create_token),
}


def check(page):
    # A control that the page has just focused is faint and inactive for less than a second.
    expect(page.locator("[data-settling]")).to_have_count(0)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        # Colours fade from one scheme to the other.
        page.evaluate("document.getAnimations().forEach((fade) => fade.finish())")
        found = violations(page)
        assert not found, "\n".join([scheme, *found])


@pytest.mark.parametrize("name", [*PAGES, *OPENED])
def test_page_is_accessible(browse, maria, name):
    path, prepare = OPENED.get(name) or (PAGES[name], None)
    with browse(maria) as tab:
        tab.open(path)
        if prepare:
            prepare(tab.page)
        check(tab.page)


def test_sign_in_page_is_accessible(browse):
    with browse() as tab:
        tab.open("/admin/")
        check(tab.page)
