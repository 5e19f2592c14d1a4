"""Each request of the crews' page refuses everyone but a signed-in phone on our own page."""

from uuid import uuid4

import pytest
from django.test import Client
from django.test.utils import override_settings

from dispatch import services
from dispatch.crew.api import PhoneView
from dispatch.crew.cookie import CrewView, cookie_name
from dispatch.crew.urls import urlpatterns
from dispatch.models import Crew, CrewReport, Task, TaskEvent

from ..support.crew_phone import OWN_PAGE, Phone
from ..support.factories import TaskFactory, UserFactory, claimed

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

KEY = {"Idempotency-Key": "k-1"}


def report(kind, task_id=1):
    return {
        "v": 1,
        "id": str(uuid4()),
        "kind": kind,
        "task_id": task_id,
        "attempt": 1,
        "problems": ["blocked"],
    }


# Path, body (None: GET), headers.
DOORS = {
    "state": ("state?tasks=1", None, {}),
    "next": ("next", {}, KEY),
    "done": ("reports", report("done"), {}),
    "give back": ("reports", report("give_back"), {}),
    "problem": ("reports", report("problem"), {}),
    "here": ("here", {}, {}),
    "seen": ("seen", {"task_id": 1, "attempt": 1, "message_id": None}, {}),
    "signout": ("signout", {}, {}),
}
PUBLIC = {"code", "join"}


@pytest.fixture
def phone():
    """Its crew holds task 1, and task 2 is ready."""
    TaskFactory(id=1)
    services.reassign_task(1, "van-1", actor="maria")
    TaskFactory(id=2)
    return Phone("van-1")


def content():
    models = (Task, TaskEvent, CrewReport)
    return [list(model.objects.order_by("pk").values()) for model in models]


def knock(client, door, page=OWN_PAGE, **more):
    path, body, headers = DOORS[door]
    headers = {**page, **headers, **more}
    if body is None:
        return client.get(f"/crew/api/{path}", headers=headers)
    return client.post(f"/crew/api/{path}", body, "application/json", headers=headers)


def refusal(answer):
    assert answer["Content-Type"] == "application/json"
    assert answer.json()["detail"]
    return answer.status_code, answer.json()["code"]


def test_every_door_is_known_here():
    views = {
        str(route.pattern).removeprefix("api/")
        for route in urlpatterns
        if issubclass(getattr(route.callback, "cls", object), CrewView)
    }

    assert views == {path.partition("?")[0] for path, _, _ in DOORS.values()} | PUBLIC
    assert not any(view.schema for view in PhoneView.__subclasses__())


@pytest.mark.parametrize("door", DOORS)
def test_signed_in_phone_may(phone, door):
    assert knock(phone.client, door).status_code == 200


def no_cookie(phone):
    return Client(), {}


def made_up_cookie(phone):
    client = Client()
    client.cookies[cookie_name()] = "x" * 43
    return client, {}


def endless_cookie(phone):
    phone.client.cookies[cookie_name()] = phone.client.cookies[cookie_name()].value + "x" * 5000
    return phone.client, {}


def revoked(phone):
    services.revoke_device(phone.device.pk, actor="maria")
    return phone.client, {}


def inactive_crew(phone):
    Crew.objects.update(active=False)
    return phone.client, {}


def deleted_crew(phone):
    Crew.objects.all().delete()
    return phone.client, {}


def api_token(phone):
    user = UserFactory(is_staff=False)
    _, secret = services.create_token(user, actor="maria", label="x", worker_id="van-1")
    return Client(), {"Authorization": f"Token {secret}"}


def session_of_the_console(phone):
    client = Client()
    client.force_login(UserFactory())
    return client, {}


STRANGERS = [
    no_cookie,
    made_up_cookie,
    endless_cookie,
    revoked,
    inactive_crew,
    deleted_crew,
    api_token,
    session_of_the_console,
]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("stranger", STRANGERS)
def test_anyone_else_is_signed_out(phone, stranger, door):
    client, headers = stranger(phone)
    before = content()

    assert refusal(knock(client, door, **headers)) == (401, "signed_out")
    assert content() == before


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("api_auth", ["open", "required"])
def test_phones_do_not_depend_on_the_access_to_the_api(phone, door, api_auth):
    with override_settings(API_AUTH=api_auth):
        assert knock(phone.client, door).status_code == 200


FOREIGN_PAGES = [
    {},
    {"Sec-Fetch-Site": "same-origin"},
    {"X-Crew": "0", "Sec-Fetch-Site": "same-origin"},
    {"X-Crew": "1", "Sec-Fetch-Site": "same-site"},
    {"X-Crew": "1", "Sec-Fetch-Site": "cross-site"},
    {"X-Crew": "1", "Sec-Fetch-Site": "none"},
    {"X-Crew": "1", "Origin": "https://evil.example"},
    {"X-Crew": "1", "Origin": "null"},
    {"X-Crew": "1", "Origin": "http://testserver:8000"},
]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("page", FOREIGN_PAGES, ids=str)
def test_foreign_page_is_refused(phone, page, door):
    before = content()

    assert refusal(knock(phone.client, door, page=page)) == (403, "foreign_page")
    assert content() == before


@pytest.mark.parametrize("door", DOORS)
def test_own_page_may_lack_what_old_browsers_do_not_send(phone, door):
    page = {"X-Crew": "1", "Origin": "http://testserver"}

    assert knock(phone.client, door, page=page).status_code == 200


@pytest.mark.parametrize("door", [door for door, (_, body, _) in DOORS.items() if body is not None])
@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain"])
def test_only_json_is_read(phone, door, content_type):
    path, _, headers = DOORS[door]
    before = content()

    answer = phone.client.post(
        f"/crew/api/{path}", "v=1", content_type, headers={**OWN_PAGE, **headers}
    )

    assert answer.status_code in (200, 415)
    assert answer.status_code == 415 or door in ("here", "next", "signout")
    assert answer.status_code == 200 or content() == before


@pytest.mark.parametrize("door", DOORS)
def test_other_methods_are_refused(phone, door):
    path, body, headers = DOORS[door]
    before = content()
    method = phone.client.get if body is not None else phone.client.post

    answer = method(f"/crew/api/{path}", headers={**OWN_PAGE, **headers})

    assert refusal(answer) == (405, "method_not_allowed")
    assert content() == before


def test_phone_cannot_read_or_touch_another_crews_task(phone):
    foreign = claimed("van-2")
    message = services.message_crew(foreign.id, "Secret", actor="maria")
    before = content()

    state = phone.state(foreign.id)
    phone.post("seen", {"task_id": foreign.id, "attempt": 1, "message_id": message.id})
    codes = [
        refusal(phone.post("reports", report(kind, foreign.id)))
        for kind in ("done", "give_back", "problem")
    ]
    phone.post("here")

    assert [task["id"] for task in state["tasks"]] == [1]
    assert [end["code"] for end in state["ended"]] == ["unknown"]
    assert "Secret" not in str(state)
    assert codes == [(404, "unknown_task")] * 3
    tasks, events, _ = content()
    assert [task for task in tasks if task["id"] == foreign.id] == [
        task for task in before[0] if task["id"] == foreign.id
    ]
    assert [event for event in events if event["task_id"] == foreign.id] == [
        event for event in before[1] if event["task_id"] == foreign.id
    ]


def test_phone_cannot_enter_the_console_or_a_closed_api(phone):
    with override_settings(API_AUTH="open"):
        assert phone.client.get("/admin/board/").status_code == 302
    assert not any(
        name in str(phone.client.get("/openapi.json").content) for name in ("/crew", "CrewCookie")
    )
