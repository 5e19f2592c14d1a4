"""Access of each role to each endpoint, console page, button and action.

An endpoint or page without an entry here fails a test.
"""

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.views import APIView

from dispatch import services
from dispatch.admin.csv_lists import CsvList
from dispatch.api import urls
from dispatch.api.authentication import ApiTokenAuthentication
from dispatch.board import urls as board_urls
from dispatch.models import (
    ApiToken,
    Crew,
    Suggestion,
    System,
    Task,
    TaskEvent,
    User,
    WebhookDelivery,
    WebhookEndpoint,
)
from dispatch.roles import ROLES
from dispatch.urls import urlpatterns as console_pages

from ..support.factories import (
    CrewFactory,
    StationFactory,
    SuggestionFactory,
    TaskFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

OWN, FOREIGN = "van-1", "van-2"
ROOT = "superuser"
EVERYBODY = {"dispatcher", "lead", "worker", "ml", "viewer", ROOT}
# None: not signed in.
EACH_ROLE = pytest.mark.parametrize("role", [*sorted(EVERYBODY), None])


@pytest.fixture
def required(settings, monkeypatch):
    settings.API_AUTH = "required"
    for view in (APIView, *APIView.__subclasses__()):
        if view.authentication_classes:
            monkeypatch.setattr(view, "authentication_classes", [ApiTokenAuthentication])
    for route in urls.router.urls:
        monkeypatch.setattr(route.callback.cls, "authentication_classes", [ApiTokenAuthentication])


def account(role, **fields):
    user = UserFactory(username=f"{role}-account", is_superuser=role == ROOT, **fields)
    if role in ROLES:
        user.groups.add(Group.objects.get(name=role))
    return user


def token_of(role):
    worker_id = OWN if role == "worker" else None
    _, secret = services.create_token(
        account(role, is_staff=False), actor="test", label="test", worker_id=worker_id
    )
    return secret


# The API


@dataclass(frozen=True)
class Door:
    """`who`: the roles with access. `body`: of a POST request. `foreign`: the status for a worker
    and a task that it does not hold."""

    who: set[str]
    body: dict[str, Any] | None = None
    foreign: int | None = None


READERS = {"dispatcher", "lead", "ml", "viewer", ROOT}
DISPATCHERS = {"dispatcher", "lead", ROOT}
REASON = {"reason": "Because"}
MOVE = {"from_station_id": 1, "to_station_id": 2, "qty": 3, "reason": "Full"}
DOORS = {
    ("get", "suggestions"): Door(READERS),
    ("post", "suggestions"): Door(DISPATCHERS | {"ml"}, MOVE),
    ("post", "suggestions/<row_id:suggestion_id>/reject"): Door(DISPATCHERS, REASON),
    ("post", "suggestions/<row_id:suggestion_id>/priority"): Door(DISPATCHERS, {"priority": 5}),
    ("get", "tasks"): Door(EVERYBODY),
    ("get", "task/<row_id:task_id>"): Door(EVERYBODY, foreign=404),
    ("get", "task/<row_id:task_id>/events"): Door(EVERYBODY, foreign=404),
    ("post", "task/approve"): Door(DISPATCHERS, {"suggestion_id": 1}),
    ("post", "task/<row_id:task_id>/complete"): Door(DISPATCHERS | {"worker"}, {}, foreign=409),
    ("post", "task/<row_id:task_id>/extend"): Door({"worker", ROOT}, {}, foreign=409),
    ("post", "task/<row_id:task_id>/release"): Door(DISPATCHERS | {"worker"}, REASON, foreign=409),
    ("post", "task/<row_id:task_id>/reassign"): Door(DISPATCHERS, {"worker_id": "van-9", **REASON}),
    ("post", "task/<row_id:task_id>/cancel"): Door(DISPATCHERS, REASON),
    ("post", "task/<row_id:task_id>/priority"): Door(DISPATCHERS, {"priority": 5}),
    ("post", "dispatch/next"): Door({"worker", ROOT}, {"worker_id": OWN}),
    ("get", "events"): Door(READERS),
    ("get", "stations"): Door(EVERYBODY),
    ("get", "stations/<row_id:station_id>"): Door(EVERYBODY),
}


@pytest.fixture
def rows(roles):
    SuggestionFactory(id=1)
    StationFactory(id=1)
    StationFactory(id=2)
    TaskFactory(id=1)
    TaskFactory(id=2, assigned=True, worker_id=OWN)
    TaskFactory(id=3, assigned=True, worker_id=FOREIGN)
    for task in Task.objects.all():
        TaskEvent.objects.create(kind="created", task_id=task.id, actor="maria")
    with connection.cursor() as cursor:
        cursor.execute("SELECT setval(pg_get_serial_sequence('tasks', 'id'), 100)")
        cursor.execute("SELECT setval(pg_get_serial_sequence('suggestions', 'id'), 100)")


def content():
    return [list(model.objects.order_by("pk").values()) for model in (Suggestion, Task, TaskEvent)]


def everything():
    return [
        *content(),
        list(ApiToken.objects.values()),
        list(WebhookEndpoint.objects.values()),
        list(WebhookDelivery.objects.values()),
        list(Crew.objects.values()),
        list(System.objects.values()),
        User.objects.count(),
        Group.objects.count(),
    ]


@contextmanager
def undone():
    """Undo all changes of the database afterwards."""
    savepoint = transaction.savepoint()
    try:
        yield
    finally:
        transaction.savepoint_rollback(savepoint)


def knock(client, method, path, role, task_id=2, body=None):
    headers = {"Authorization": f"Token {token_of(role)}"} if role else {}
    return knock_with(headers, client, method, path, task_id, body)


def knock_with(headers, client, method, path, task_id=2, body=None):
    url = "/" + path.replace("<row_id:task_id>", str(task_id))
    url = url.replace("<row_id:suggestion_id>", "1").replace("<row_id:station_id>", "1")
    if method == "get":
        return client.get(url, headers=headers)
    return client.post(url, body, content_type="application/json", headers=headers)


def test_every_endpoint_is_in_the_access_table():
    served = {
        (method, str(route.pattern))
        for route in urls.router.urls
        for method in route.callback.actions
        if method != "head"
    }
    public = {str(route.pattern) for route in urls.urlpatterns} - {
        str(route.pattern) for route in urls.router.urls
    }

    assert served == DOORS.keys()
    assert public == {
        "", "healthz", "readyz", "docs", "redoc", "redoc.js", "openapi.json"
    }  # fmt: skip


@EACH_ROLE
def test_each_role_at_each_endpoint(client, required, rows, role, subtests):
    headers = {"Authorization": f"Token {token_of(role)}"} if role else {}
    before = content()
    for (method, path), door in DOORS.items():
        with subtests.test(f"{method} {path}"), undone():
            answer = knock_with(headers, client, method, path, body=door.body)
            check_answer(answer, role, door, before)


def check_answer(answer, role, door, before):
    if role in door.who:
        assert answer.status_code == 200, answer.content
        return
    assert answer.status_code == (401 if role is None else 403), answer.content
    assert answer.json()["detail"]
    assert content() == before
    if role is None:
        assert answer["WWW-Authenticate"] == "Token"


@pytest.mark.parametrize(
    ("method", "path"), [door for door, entry in DOORS.items() if entry.foreign]
)
def test_worker_cannot_touch_another_workers_task(client, required, rows, method, path):
    door, before = DOORS[method, path], content()

    answer = knock(client, method, path, "worker", task_id=3, body=door.body)

    assert answer.status_code == door.foreign, answer.content
    assert content() == before


@pytest.mark.parametrize(
    "path",
    [
        "dispatch/next",
        "task/<row_id:task_id>/complete",
        "task/<row_id:task_id>/extend",
        "task/<row_id:task_id>/release",
    ],
)
def test_worker_token_cannot_act_for_another_worker(client, required, rows, path):
    before = content()

    answer = knock(client, "post", path, "worker", task_id=3, body={"worker_id": FOREIGN, **REASON})

    assert answer.status_code == 403
    assert answer.json() == {"detail": "This token is for van-1 only."}
    assert content() == before


def test_worker_sees_only_its_own_tasks(client, required, rows):
    tasks = knock(client, "get", "tasks", "worker").json()

    assert [task["id"] for task in tasks] == [2]
    headers = {"Authorization": f"Token {token_of('viewer')}"}
    assert len(client.get("/tasks?worker_id=van-2", headers=headers).json()) == 1


def test_worker_cannot_reach_other_tasks_by_filter_or_events(client, required, rows):
    secret = token_of("worker")

    def get(path):
        return client.get(path, headers={"Authorization": f"Bearer {secret}"})

    assert get("/tasks?worker_id=van-2").json() == []
    assert get("/task/1").status_code == 404
    assert get("/task/1/events").status_code == 404


def test_worker_token_without_worker_id_can_do_nothing(client, required, rows):
    user = account("worker", is_staff=False)
    ApiToken.objects.create(
        user=user, label="x", prefix="x", digest=services.tokens.digest_of("x"), created_by="x"
    )
    headers = {"Authorization": "Token x"}

    for path, body in (("/dispatch/next", {"worker_id": OWN}), ("/task/2/complete", {})):
        answer = client.post(path, body, content_type="application/json", headers=headers)
        assert answer.status_code == 403
        assert answer.json() == {"detail": "This token is for no worker."}
    assert client.get("/tasks", headers=headers).status_code == 403


def test_token_has_its_owners_permissions(roles):
    for role in ROLES:
        user = account(role, is_staff=False)
        user.user_permissions.add(Permission.objects.get(codename="add_user"))
        _, secret = services.create_token(user, actor="test", label="test", worker_id="van-1")

        found = services.find_token(secret)

        owned = {p.removeprefix("dispatch.") for p in user.get_all_permissions()}
        assert set(found.permissions) == owned >= set(ROLES[role])


def test_public_paths_ignore_tokens(client, required):
    for path in ("/", "/healthz", "/readyz", "/docs", "/redoc", "/redoc.js", "/openapi.json"):
        for headers in ({}, {"Authorization": "Token made-up"}):
            assert client.get(path, headers=headers).status_code == 200, path


def test_token_adds_one_query_to_a_claim(client, required, rows, settings):
    TaskFactory.create_batch(2)
    secret = token_of("worker")
    services.find_token(secret)

    def queries(**headers):
        with CaptureQueriesContext(connection) as captured:
            answer = client.post(
                "/dispatch/next", {"worker_id": OWN}, "application/json", headers=headers
            )
        assert answer.status_code == 200
        return [query["sql"].split()[0] for query in captured]

    with_token = queries(Authorization=f"Token {secret}")
    settings.API_AUTH = "open"
    assert with_token == ["SELECT", *queries()]


# The console

STAFF = {
    ("suggestion", "view"): {"dispatcher", "lead", "ml", "viewer"},
    ("suggestion", "add"): {"dispatcher", "lead", "ml"},
    ("suggestion", "approve"): {"dispatcher", "lead"},
    ("suggestion", "assign"): {"dispatcher", "lead"},
    ("suggestion", "fit"): {"dispatcher", "lead"},
    ("suggestion", "reject"): {"dispatcher", "lead"},
    ("suggestion", "raise"): {"dispatcher", "lead"},
    ("suggestion", "lower"): {"dispatcher", "lead"},
    ("suggestion", "undo"): {"dispatcher", "lead"},
    ("task", "view"): {"dispatcher", "lead", "ml", "viewer"},
    ("task", "add"): {"dispatcher", "lead"},
    ("task", "complete"): {"dispatcher", "lead"},
    ("task", "release"): {"dispatcher", "lead"},
    ("task", "message"): {"dispatcher", "lead"},
    ("task", "assign"): {"dispatcher", "lead"},
    ("task", "reassign"): {"dispatcher", "lead"},
    ("task", "raise"): {"dispatcher", "lead"},
    ("task", "lower"): {"dispatcher", "lead"},
    ("task", "cancel"): {"dispatcher", "lead"},
    ("task", "undo"): {"dispatcher", "lead"},
    ("station", "view"): EVERYBODY,
    # Only feeds write stations.
    ("station", "add"): None,
    ("stationfeed", "view"): EVERYBODY,
    ("stationfeed", "add"): None,
    ("crew", "view"): {"dispatcher", "lead", "viewer"},
    ("crew", "add"): {"lead"},
    ("apitoken", "view"): set(),
    ("apitoken", "add"): set(),
    ("apitoken", "revoke"): set(),
    ("webhookendpoint", "view"): set(),
    ("webhookendpoint", "add"): set(),
    ("webhookdelivery", "view"): set(),
    ("webhookdelivery", "add"): None,
    ("system", "view"): set(),
    ("system", "add"): set(),
    ("mailsubscription", "view"): set(),
    ("mailsubscription", "add"): None,
    ("mailmessage", "view"): set(),
    ("mailmessage", "add"): None,
    ("user", "view"): set(),
    ("user", "add"): set(),
    ("group", "view"): set(),
    ("group", "add"): set(),
}
ANSWERS = {
    "confirmed": "1",
    "reason": "Because",
    "text": "Hello",
    "worker_id": "van-9",
    "moved_qty": "1",
}
# The form of a message names the crew that it was opened for.
OTHER_ANSWERS = {"message": {"worker_id": OWN}}


def filled_in(kind):
    password = "a long enough password"
    return {
        "suggestion": {**MOVE, "priority": 0},
        "task": {**MOVE, "priority": 0},
        "station": {},
        "stationfeed": {},
        "crew": {"worker_id": "van-9", "language": "en"},
        "apitoken": {"user": User.objects.first().pk, "label": "A job", "worker_id": ""},
        "webhookendpoint": {"url": "https://example.org/hooks"},
        "webhookdelivery": {},
        "system": {"name": "bay", "address": "https://example.org/gbfs.json", "active": "on"},
        "mailsubscription": {},
        "mailmessage": {},
        "user": {
            "username": "new",
            "usable_password": "true",
            "password1": password,
            "password2": password,
        },
        "group": {"name": "new"},
    }[kind]


@pytest.fixture
def console_rows(rows):
    ApiToken.objects.create(
        id=2, user=UserFactory(), label="x", prefix="x", digest="x", created_by="x"
    )
    with connection.cursor() as cursor:
        # The sequence may not have come so far.
        cursor.execute(
            "SELECT setval(name, greatest(2, nextval(name)))"
            " FROM pg_get_serial_sequence('api_tokens', 'id') AS found (name)"
        )
    Suggestion.objects.filter(id=1).update(id=2)


def is_in(door, role):
    """None: forbidden even to users with all permissions."""
    who = STAFF[door]
    return who is not None and (role == ROOT or role in who)


def test_every_console_page_is_in_the_access_table():
    doors = set()
    for model, model_admin in admin.site._registry.items():
        names = [operation.name for operation in getattr(model_admin, "operations", ())]
        doors |= {(model._meta.model_name, name) for name in ("view", "add", *names)}

    assert doors == STAFF.keys()


@pytest.mark.slow
@EACH_ROLE
def test_each_role_at_each_console_page(console_rows, role, subtests):
    browser = signed_in(role)
    before = everything()
    for kind, name in STAFF:
        with subtests.test(f"{kind} {name}"), undone():
            allowed = is_in((kind, name), role)
            if name in ("view", "add"):
                open_page(browser, kind, name, role, allowed)
            else:
                press_button(browser, kind, name, role, allowed)
            if not allowed:
                form = {"action": f"{name}_selected", "_selected_action": ["2"], **ANSWERS}
                browser.post(list_of(kind), form)
                assert everything() == before
            # No decision is fresh enough to be undone.
            elif name not in ("view", "undo"):
                assert everything() != before


def signed_in(role):
    browser = Client()
    if role:
        browser.force_login(account(role, is_staff=True))
    return browser


def list_of(kind):
    return f"/admin/{'auth' if kind == 'group' else 'dispatch'}/{kind}/"


def open_page(browser, kind, name, role, allowed):
    answer = browser.get(list_of(kind) + ("" if name == "view" else "add/"))
    assert answer.status_code == (200 if allowed else 302 if role is None else 403)
    if name == "add":
        browser.post(f"{list_of(kind)}add/", filled_in(kind))


def press_button(browser, kind, name, role, allowed):
    offered = f'value="{name}_selected"' in browser.get(list_of(kind)).content.decode()
    assert offered == (allowed and name not in ("undo", "message"))
    answers = ANSWERS | OTHER_ANSWERS.get(name, {})
    button = browser.post(f"{list_of(kind)}2/{name}/", answers)
    assert button.status_code == (302 if allowed or role is None else 403)


def csv_file():
    return SimpleUploadedFile("crews.csv", b"worker_id,name\nvan-8,Night van\n")


# Far above the ids of crews that an import adds.
A_CREW = 1_000_000
ROSTER_DOORS = {
    ("get", f"{A_CREW}/change/"): ({"dispatcher", "lead", "viewer"}, None),
    ("get", "list.csv"): ({"dispatcher", "lead", "viewer"}, None),
    ("get", "import/"): ({"lead"}, None),
    ("post", f"{A_CREW}/change/"): ({"lead"}, lambda: {"language": "es"}),
    ("post", f"{A_CREW}/delete/"): ({"lead"}, lambda: {"post": "yes"}),
    ("post", "import/"): ({"lead"}, lambda: {"file": csv_file()}),
}


@pytest.mark.slow
@EACH_ROLE
@pytest.mark.parametrize(("method", "path"), ROSTER_DOORS)
def test_each_role_at_each_page_of_the_roster(roles, method, path, role):
    CrewFactory(id=A_CREW)
    browser = signed_in(role)
    before = everything()
    who, form = ROSTER_DOORS[method, path]
    allowed = role in {*who, ROOT}

    answer = getattr(browser, method)(f"/admin/dispatch/crew/{path}", form() if form else {})

    done = 302 if method == "post" else 200
    assert answer.status_code == (done if allowed else 302 if role is None else 403)
    assert (everything() != before) == (allowed and method == "post")


WEBHOOK_DOORS = [
    (model._meta.model_name, action.name)
    for model in (WebhookEndpoint, WebhookDelivery)
    for action in admin.site.get_model_admin(model).row_actions
]


@pytest.mark.slow
@EACH_ROLE
@pytest.mark.parametrize(("kind", "name"), WEBHOOK_DOORS)
def test_each_role_at_each_operation_on_webhooks(roles, kind, name, role):
    state = "disabled" if name == "enable" else "enabled"
    endpoint = WebhookEndpoint.objects.create(url="https://example.org", state=state)
    delivery = WebhookDelivery.objects.create(endpoint=endpoint, state="dead", finished_at=Now())
    row = endpoint if kind == "webhookendpoint" else delivery
    browser = signed_in(role)
    before = everything()

    answer = browser.post(
        f"/admin/dispatch/{kind}/{row.pk}/{name}/", {"confirmed": "1", "since": "2020-01-01 00:00"}
    )

    done = 200 if name == "rotate" else 302
    assert answer.status_code == (done if role == ROOT else 302 if role is None else 403)
    assert (everything() != before) == (role == ROOT)


BOARD_DOORS = (
    "/admin/board/",
    "/admin/board/state.json",
    "/admin/board/answer.json",
    "/admin/board/stations.geojson",
    "/admin/board/stations/1/",
)


@pytest.mark.slow
@EACH_ROLE
@pytest.mark.parametrize("address", BOARD_DOORS)
def test_each_role_at_each_board_page(console_rows, address, role):
    browser = signed_in(role)
    before = everything()

    answer = browser.get(address)

    allowed = is_in(("suggestion", "view"), role) and is_in(("task", "view"), role)
    assert answer.status_code == (200 if allowed else 302 if role is None else 403)
    buttons = re.findall(r'formaction="/admin/dispatch/(\w+)/2/(\w+)/', answer.content.decode())
    assert all(is_in(door, role) for door in buttons)
    assert everything() == before


def test_every_board_page_is_in_the_access_table():
    served = {str(route.pattern).replace("<int:number>", "1") for route in board_urls.urlpatterns}

    assert {f"/admin/board/{path}" for path in served} == set(BOARD_DOORS)


PAGE_DOORS = {
    "activity/": READERS,
    "audit/": {ROOT},
    "crew-day/": DISPATCHERS | {"viewer"},
    "kpi/": READERS,
    # Each user's own. It offers only what the user may see.
    "my-mail/": EVERYBODY,
    # The search shows only rows that the user may view.
    "search/": EVERYBODY,
    "stations.json": DISPATCHERS | {"ml"},
    "verdict/": DISPATCHERS | {"ml"},
    "dispatch/suggestion/list.csv": READERS,
    "dispatch/task/list.csv": READERS,
    "dispatch/station/list.csv": EVERYBODY,
}


# Parameters that a page requires.
QUERIES = {"crew-day/": {"crew": OWN}}


@pytest.mark.slow
@EACH_ROLE
@pytest.mark.parametrize("address", PAGE_DOORS)
def test_each_role_at_each_other_page(console_rows, address, role):
    browser = signed_in(role)

    answer = browser.get(f"/admin/{address}", QUERIES.get(address))

    allowed = role in PAGE_DOORS[address]
    assert answer.status_code == (200 if allowed else 302 if role is None else 403)
    assert browser.post(f"/admin/{address}").status_code in (302, 403, 405)


def test_every_other_page_is_in_the_access_table():
    pages = {str(route.pattern) for route in console_pages if str(route.pattern) != "admin/board/"}
    lists = {
        f"dispatch/{model._meta.model_name}/list.csv"
        for model, model_admin in admin.site._registry.items()
        if isinstance(model_admin, CsvList) and model is not Crew
    }

    served = {page.removeprefix("admin/") for page in pages if page.startswith("admin/")}
    assert served | lists == PAGE_DOORS.keys()


def test_account_without_staff_status_cannot_enter_console(console_rows):
    browser = Client()
    browser.force_login(account("dispatcher", is_staff=False))
    before = content()

    assert browser.get("/admin/dispatch/task/").status_code == 302
    assert browser.post("/admin/dispatch/suggestion/2/approve/").status_code == 302
    assert content() == before


def test_roles_have_exactly_these_permissions(roles):
    for role, codenames in ROLES.items():
        group = Group.objects.get(name=role)
        assert set(group.permissions.values_list("codename", flat=True)) == set(codenames)


def test_job_proposes_under_its_own_name_only(client, required, rows):
    secret = token_of("ml")
    SuggestionFactory(source="console", from_station_id=1, to_station_id=2, qty=9)

    def propose(**fields):
        headers = {"Authorization": f"Token {secret}"}
        return client.post("/suggestions", {**MOVE, **fields}, "application/json", headers=headers)

    for source in ("console", "other-job"):
        answer = propose(source=source)
        assert answer.status_code == 403
        assert answer.json() == {"detail": "This token proposes as ml-account only."}
    assert propose().status_code == propose(source="ml-account").status_code == 200
    assert Suggestion.objects.get(source="console").qty == 9
    assert Suggestion.objects.filter(source="ml-account").count() == 1


@pytest.mark.parametrize(("site", "status"), [("cross-site", 403), ("same-origin", 200), ("", 200)])
def test_open_api_refuses_writes_from_other_sites(client, rows, site, status):
    before = content()
    headers = {"Sec-Fetch-Site": site} if site else {}

    answer = client.post("/task/2/complete", headers=headers)

    assert answer.status_code == status
    assert (content() == before) == (status == 403)
    assert client.get("/suggestions", headers=headers).status_code == 200
