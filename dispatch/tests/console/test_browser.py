"""Console and API pages in a real browser, served by gunicorn."""

from urllib.parse import quote

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType

from dispatch import services
from dispatch.models import ApiToken, RejectionCode, Suggestion, Task, TaskEvent, User

from ..support.browser import too_wide
from ..support.factories import SuggestionFactory, TaskFactory, UserFactory
from ..support.hostile_texts import PAYLOADS, enter

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

SUGGESTIONS, TASKS, USERS, TOKENS = (
    f"/admin/dispatch/{kind}/" for kind in ("suggestion", "task", "user", "apitoken")
)
LONG = "an-unbroken-name-" * 6


def test_every_page_loads_cleanly_and_fits_the_screen(browse):
    maria = UserFactory(username="maria")
    services.create_token(maria, actor="maria", label=LONG[:100], worker_id=LONG)
    suggestion = SuggestionFactory(reason=LONG * 3, source=LONG[:100])
    task = TaskFactory(assigned=True, reason=LONG * 3, worker_id=LONG)
    services.release_task(task.id, actor="maria", reason=LONG)
    services.reassign_task(task.id, LONG, actor="maria", reason=LONG)
    task_page = f"{TASKS}{task.id}/change/"
    pages = [
        "/admin/board/",
        "/admin/lists/",
        SUGGESTIONS,
        SUGGESTIONS + "add/",
        f"{SUGGESTIONS}{suggestion.id}/change/",
        TASKS,
        TASKS + "add/",
        task_page,
        USERS,
        USERS + "add/",
        f"{USERS}{maria.id}/change/",
        TOKENS,
        TOKENS + "add/",
        "/admin/password_change/",
    ]
    forms = [
        (SUGGESTIONS, "reject"),
        (TASKS, "release"),
        (task_page, "reassign"),
        (task_page, "complete"),
        (task_page, "cancel"),
    ]
    wide = {}

    with browse(None) as tab:
        tab.open("/admin/")
        assert tab.page.url.endswith("/admin/login/?next=/admin/")
        wide["login"] = too_wide(tab.page)
        for path, ready in [("/docs", ".opblock"), ("/redoc", "h1")]:
            tab.open(path)
            tab.page.locator(ready).first.wait_for()
            wide[path] = too_wide(tab.page)
        complaints = tab.complaints

    with browse(maria) as tab:
        for path in pages:
            tab.open(path)
            wide[path] = too_wide(tab.page)
        for path, operation in forms:
            tab.open(path)
            tab.press(f".row-action.{operation}")
            assert tab.page.locator("form.confirm").count() == 1, operation
            wide[operation] = too_wide(tab.page)
        complaints += tab.complaints

    assert complaints == []
    assert {path: pixels for path, pixels in wide.items() if pixels} == {}


def test_phone_header_has_two_lines_and_fades_where_the_navigation_goes_on(browse):
    with browse(UserFactory(), viewport={"width": 390, "height": 844}, has_touch=True) as tab:
        tab.open("/admin/lists/")
        assert tab.page.locator("#header").bounding_box()["height"] < 120
        nav = tab.page.locator("#console-nav")
        assert nav.evaluate("nav => nav.scrollWidth > nav.clientWidth")
        assert "gradient" in nav.evaluate("nav => getComputedStyle(nav).maskImage")
        # At the end of the scroll, the last link is clear of the fade.
        nav.evaluate("nav => nav.scrollTo(9999, 0)")
        last = nav.get_by_role("link").last.bounding_box()
        assert last["x"] + last["width"] <= 390 - 32


def test_user_input_is_shown_verbatim_and_never_executed(browse, server):
    entered = [enter(server.url, payload, n) for n, payload in enumerate(PAYLOADS, start=1)]
    mallory, *_ = [UserFactory(username=payload) for payload in PAYLOADS]
    kind = ContentType.objects.get_for_model(User)
    for payload in PAYLOADS:
        Group.objects.create(name=payload)
        # The service would refuse unprintable labels.
        ApiToken.objects.create(user=mallory, label=payload, digest=payload[:64])
        LogEntry.objects.create(
            user=mallory,
            content_type=kind,
            object_id=mallory.pk,
            action_flag=CHANGE,
            change_message=payload,
        )

    # Without the content security policy, so that unescaped markup would run.
    with browse(mallory, bypass_csp=True) as tab:

        def shows_all(where, part="body"):
            assert tab.page.evaluate("window.owned") is None, where
            text = tab.page.locator(part).text_content()
            assert [payload for payload in PAYLOADS if payload not in text] == [], where

        for path in (
            SUGGESTIONS,
            TASKS,
            TOKENS,
            "/admin/activity/",
            USERS,
            f"{USERS}{mallory.id}/change/",
            f"{USERS}{mallory.id}/history/",
        ):
            tab.open(path)
            shows_all(path)
            if path in (SUGGESTIONS, TASKS):
                shows_all("the sidebar", "#changelist-filter")

        for _, rejected in entered:
            tab.page.request.get(f"{server.url}{SUGGESTIONS}{rejected}/change/", max_redirects=0)
        tab.open(SUGGESTIONS + f"?q={quote(PAYLOADS[1])}")
        shows_all("the messages", ".messagelist")
        assert tab.page.locator("#searchbar").input_value() == PAYLOADS[1]

        for path, action in [(SUGGESTIONS, "reject_selected"), (TASKS, "cancel_selected")]:
            tab.open(path)
            tab.page.check("#action-toggle")
            tab.page.select_option("select[name=action]", action)
            tab.press("button[name=index]")
            shows_all(action, ".moves")

        for (task, _), payload in zip(entered, PAYLOADS, strict=True):
            tab.open(f"{TASKS}{task}/change/")
            assert tab.page.evaluate("window.owned") is None, payload
            # The reason and note as fields; two reasons and the note in the history.
            assert tab.page.locator("#content").text_content().count(payload) >= 5, payload
    assert tab.complaints == []


def test_approving_keeps_the_scroll_position_and_reports_the_task(browse):
    SuggestionFactory.insert_batch(40)
    chosen = Suggestion.objects.order_by("id")[25]

    with browse(UserFactory(username="maria")) as tab:
        tab.open(SUGGESTIONS)
        button = f'[aria-label="Approve suggestion {chosen.id}"]'
        tab.page.locator(button).scroll_into_view_if_needed()
        before = tab.page.evaluate("scrollY")
        tab.press(button)
        (task,) = Task.objects.all()
        assert tab.messages() == [f"Suggestion {chosen.id} approved as task {task.id} (5 bikes)."]
        assert tab.page.locator(button).count() == 0
        assert tab.page.evaluate("scrollY") == before > 0

    assert task.suggestion_id == chosen.id
    assert TaskEvent.objects.get(kind="approved").actor == "maria"
    assert tab.complaints == []


def test_dispatcher_approves_in_bulk_completes_and_releases(browse):
    suggestions = [SuggestionFactory(from_station_id=number) for number in (1, 2, 3)]

    with browse(UserFactory()) as tab:
        tab.open(SUGGESTIONS)
        for suggestion in suggestions[:2]:
            tab.page.check(f'.action-select[value="{suggestion.id}"]')
        tab.page.select_option("select[name=action]", "approve_selected")
        tab.press("button[name=index]")
        tab.press("[type=submit][value='Approve 2 suggestions']")
        assert tab.messages()[0].startswith("2 approved.")
        assert tab.page.locator("#result_list tbody tr").count() == 1

        first, second = [services.claim_next_task(van, actor="api") for van in ("v1", "v2")]
        tab.open(TASKS)
        tab.press(f'[aria-label="Complete task {first.id}"]')
        tab.press(f'[type=submit][value="Complete task {first.id}"]')
        assert tab.messages() == [f"Task {first.id} completed: 5 bikes moved by v1."]
        tab.press(f'[aria-label="Release task {second.id}"]')
        tab.page.fill("#id_reason", "The van broke down")
        tab.press(f'[type=submit][value="Release task {second.id}"]')
        assert tab.messages() == [f"Task {second.id} released."]

    assert list(Task.objects.order_by("id").values_list("status", flat=True)) == [
        "completed",
        "ready",
    ]
    assert TaskEvent.objects.get(kind="released").details["reason"] == "The van broke down"
    assert tab.complaints == []


def test_dispatcher_rejects_with_a_reason_by_keyboard(browse):
    SuggestionFactory()
    chosen = SuggestionFactory()

    with browse(UserFactory()) as tab:
        tab.open(SUGGESTIONS)
        press = tab.page.keyboard.press
        for _ in range(80):
            press("Tab")
            if tab.page.evaluate("document.activeElement.ariaLabel") == (
                f"Reject suggestion {chosen.id}"
            ):
                break
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert tab.page.evaluate(outline) == "solid", "the focused button is outlined"
        with tab.page.expect_navigation():
            press("Enter")
        # The browser focuses the field some time after the page has loaded.
        tab.page.locator("[name=code]:focus").wait_for()
        press("Space")
        press("Tab")
        tab.page.keyboard.type("Road works")
        press("Tab")
        with tab.page.expect_navigation():
            press("Enter")
        assert tab.messages() == [f"Suggestion {chosen.id} rejected."]

    event = TaskEvent.objects.get(kind="rejected")
    assert (event.suggestion_id, event.details["rejection"]) == (chosen.id, "Road works")
    assert event.details["code"] == RejectionCode.values[0]
    assert tab.complaints == []
