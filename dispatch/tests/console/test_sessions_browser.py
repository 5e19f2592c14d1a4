"""The warning before the session ends, in a real browser whose clock the test moves."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.sessions.models import Session
from django.utils import timezone
from playwright.sync_api import expect

from baywheels.sessions import RENEWED_AT
from dispatch.models import User

from ..support.accessibility import violations
from ..support.browser import too_wide
from ..support.factories import UserFactory

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ADD = "/admin/dispatch/task/add/"
LIFE = settings.SESSION_COOKIE_AGE
WARNING = "#session[open]"


def session_store():
    [row] = Session.objects.all()
    return row, row.get_decoded()


def leave_seconds(seconds):
    """Let the server's session end in so many seconds."""
    row, data = session_store()
    data[RENEWED_AT] += seconds - LIFE
    row.session_data = Session.objects.encode(data)
    row.expire_date = timezone.now() + timedelta(seconds=seconds)
    row.save()


def end_session():
    Session.objects.all().delete()


@pytest.fixture
def desk(browse):
    """A dispatcher's tab, with its clock in the test's hands."""
    with browse(UserFactory(username="maria")) as tab:
        tab.page.clock.install()
        yield tab
        assert tab.complaints == []


def warn(tab, seconds=55):
    # A request of the page's load would renew the session.
    tab.page.wait_for_load_state("networkidle")
    leave_seconds(seconds)
    tab.page.clock.fast_forward((LIFE - 60) * 1000)
    expect(tab.page.locator(WARNING)).to_be_visible()


def sign_in(tab, name):
    # The server does not know the quick hashes of the tests.
    quick = PBKDF2PasswordHasher().encode("a long enough password", "salt", iterations=1)
    User.objects.filter(username=name).update(password=quick)
    tab.page.fill("#id_username", name)
    tab.page.fill("#id_password", "a long enough password")
    tab.press("#login-form [type=submit]")


@pytest.mark.parametrize("page", ["/admin/board/", "/admin/lists/", ADD])
def test_page_warns_and_keeps_the_session_on_request(desk, page):
    desk.open(page)
    warn(desk)
    before = session_store()[1][RENEWED_AT]
    # The board ignores clicks on what has just opened under the pointer.
    desk.page.clock.run_for(1000)

    desk.page.click(f"{WARNING} button")

    expect(desk.page.locator(WARNING)).to_be_hidden()
    assert session_store()[1][RENEWED_AT] > before + LIFE - 120


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_warning_is_accessible_and_fits_a_phone(browse, scheme):
    with browse(UserFactory(), color_scheme=scheme, bypass_csp=True) as tab:
        tab.page.clock.install()
        tab.open("/admin/board/")
        warn(tab)
        assert violations(tab.page) == []
        assert too_wide(tab.page) == {}


def test_page_does_not_warn_while_another_tab_is_used(desk):
    desk.open("/admin/lists/")
    with desk.page.expect_response("**/admin/session/"):
        desk.page.clock.fast_forward((LIFE - 60) * 1000)
    expect(desk.page.locator(WARNING)).to_be_hidden()


def test_typing_keeps_the_session(desk):
    desk.open(ADD)
    desk.page.wait_for_load_state("networkidle")
    leave_seconds(100)
    desk.page.clock.fast_forward(61_000)
    with desk.page.expect_response("**/admin/session/") as renewal:
        desk.page.locator("#id_reason").press("x")
    assert renewal.value.json() == {"seconds": LIFE}


def test_unsaved_text_returns_after_signing_in_again(desk):
    desk.open(ADD)
    desk.page.fill("#id_reason", "Street fair")
    warn(desk)
    end_session()
    with desk.page.expect_navigation():
        desk.page.clock.fast_forward(56_000)
    expect(desk.page.get_by_text("the page was not used for a while")).to_be_visible()

    sign_in(desk, "maria")

    assert desk.page.url.endswith(ADD)
    assert desk.page.input_value("#id_reason") == "Street fair"
    expect(desk.page.get_by_text("Your text is back")).to_be_visible()


def test_another_user_does_not_get_the_unsaved_text(desk):
    UserFactory(username="tom")
    desk.open(ADD)
    desk.page.fill("#id_reason", "Street fair")
    warn(desk)
    end_session()
    with desk.page.expect_navigation():
        desk.page.clock.fast_forward(56_000)

    sign_in(desk, "tom")

    assert desk.page.url.endswith(ADD)
    assert desk.page.input_value("#id_reason") == ""
    assert desk.page.evaluate("sessionStorage.length") == 0


def test_fields_that_may_hold_a_key_are_not_kept(desk):
    desk.open("/admin/dispatch/system/add/")
    desk.page.fill("#id_name", "oslo")
    desk.page.fill("#id_address", "https://oslo.example/gbfs.json?key=0123456789")
    desk.page.fill("#id_headers", "x-api-key: 0123456789")
    warn(desk)
    end_session()
    with desk.page.expect_navigation():
        desk.page.clock.fast_forward(56_000)

    kept = desk.page.evaluate("JSON.stringify({ ...sessionStorage })")

    assert "oslo" in kept
    assert "0123456789" not in kept
