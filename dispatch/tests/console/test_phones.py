"""The phones on a crew's page: adding one by a code, and signing one out."""

import io
import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.db import transaction
from django.db.models import F
from django.test import Client
from django.test.utils import override_script_prefix
from django.utils import timezone

from dispatch import services
from dispatch.models import Crew, CrewCode, CrewDevice
from dispatch.roles import ROLES

from ..support.browser import too_wide
from ..support.concurrency import background, open_transaction, wait_until_blocked
from ..support.factories import CrewFactory, UserFactory

pytestmark = pytest.mark.django_db

ROSTER = "/admin/dispatch/crew/"
SHOWN = re.compile(r'<p class="text">([A-Z]{4}-[A-Z]{4})</p>')


@pytest.fixture
def crew(db):
    # Far above the ids of crews that a test adds.
    return CrewFactory(id=1000, worker_id="van-3", name="Night van")


@pytest.fixture
def phone(crew):
    return join(services.create_code(crew.pk, actor="maria")[1])


def join(code, label="iPhone, Safari"):
    return services.join(code, "n" * 22, label=label, address="192.0.2.1")[0]


def add_phone(client, crew):
    """Return the page with a code, and the code."""
    page = client.post(f"{ROSTER}{crew.pk}/phone/")
    return page, SHOWN.search(page.content.decode())[1]


def progress(client, crew):
    code = CrewCode.objects.latest("id")
    return client.get(f"{ROSTER}{crew.pk}/codes/{code.pk}/").json()


def log():
    return [entry.change_message for entry in LogEntry.objects.order_by("id")]


def test_added_crew_leads_to_its_page_where_its_phone_is_added(dispatcher):
    form = {"worker_id": "van-3", "language": "en", "active": "on"}

    answer = dispatcher.post(f"{ROSTER}add/", form, follow=True)

    crew = Crew.objects.get()
    assert answer.redirect_chain == [(f"{ROSTER}{crew.pk}/change/", 302)]
    assert f'formaction="{ROSTER}{crew.pk}/phone/">Add phone<' in answer.content.decode()
    again = dispatcher.post(f"{ROSTER}add/", {**form, "worker_id": "van-4", "_addanother": "1"})
    assert again["Location"] == f"{ROSTER}add/"


def test_code_is_shown_once_with_its_link_and_qr_code(dispatcher, crew):
    page, code = add_phone(dispatcher, crew)

    text = page.content.decode()
    assert f'href="http://testserver/crew/join#{code}"' in text
    assert "<svg viewBox=" in text
    assert "style=" not in text
    assert "within 15 minutes" in text
    assert "no-store" in page["Cache-Control"]
    assert page["Referrer-Policy"] == "same-origin"
    assert services.find_code(code, address="192.0.2.1").crew == crew
    # Not in the history, the session, or any page that is opened later.
    assert log() == ["Created a code for a phone."]
    assert code not in str(dict(dispatcher.session))
    for path in (f"{ROSTER}1000/phone/", f"{ROSTER}1000/change/", f"{ROSTER}1000/history/", ROSTER):
        assert code not in dispatcher.get(path, follow=True).content.decode()


def test_link_has_the_path_of_the_service(dispatcher, crew):
    with override_script_prefix("/bikes/"):
        page, code = add_phone(dispatcher, crew)

    assert f'href="http://testserver/bikes/crew/join#{code}"' in page.content.decode()


def test_page_of_a_code_reports_the_phone_that_joins(dispatcher, crew):
    _, code = add_phone(dispatcher, crew)
    assert progress(dispatcher, crew) == {
        "state": "waiting",
        "text": "It can be used once, within 15 minutes.",
    }

    join(code)

    now = timezone.localtime()
    minutes = {f"{at:%H:%M}" for at in (now, now - timedelta(minutes=1))}
    assert progress(dispatcher, crew) in [
        {"state": "joined", "text": f"iPhone, Safari, joined {minute}"} for minute in minutes
    ]


def test_page_of_a_code_reports_its_end(dispatcher, crew):
    add_phone(dispatcher, crew)
    first = CrewCode.objects.get()
    CrewCode.objects.update(expires_at=F("expires_at") - timedelta(minutes=14))
    assert progress(dispatcher, crew)["text"] == "It can be used once, within 1 minute."
    CrewCode.objects.update(expires_at=F("expires_at") - timedelta(minutes=1))
    assert progress(dispatcher, crew)["state"] == "expired"

    add_phone(dispatcher, crew)
    answer = dispatcher.get(f"{ROSTER}1000/codes/{first.pk}/").json()
    assert answer == {"state": "replaced", "text": "A newer code has replaced this one."}


def test_code_of_another_crew_is_not_reported(dispatcher, crew):
    code, _ = services.create_code(CrewFactory().pk, actor="maria")

    assert dispatcher.get(f"{ROSTER}1000/codes/{code.pk}/").json()["state"] == "replaced"


def test_inactive_crew_gets_no_code(dispatcher, crew):
    Crew.objects.update(active=False)

    assert "Add phone" not in dispatcher.get(f"{ROSTER}1000/change/").content.decode()
    answer = dispatcher.post(f"{ROSTER}1000/phone/", follow=True)

    assert "Crew van-3 is not active." in answer.content.decode()
    assert not CrewCode.objects.exists()


@pytest.mark.parametrize("path", ["7/phone/", "7/phones/7/revoke/", "1000/phones/7/revoke/"])
def test_phones_of_unknown_crews_lead_to_the_roster_or_are_not_found(dispatcher, crew, path):
    answer = dispatcher.post(f"{ROSTER}{path}", {"confirmed": "1"}, follow=True)

    assert answer.status_code in (200, 404)
    assert not CrewDevice.objects.exists()


def test_crew_page_lists_its_phones_and_the_roster_counts_them(dispatcher, crew, phone):
    other = join(services.create_code(crew.pk, actor="maria")[1], "Android phone, Chrome")
    join(services.create_code(CrewFactory(worker_id="van-4").pk, actor="maria")[1], "Mac")

    page = dispatcher.get(f"{ROSTER}1000/change/").content.decode()
    assert page.index("Android phone, Chrome") < page.index("iPhone, Safari")
    assert ">Mac<" not in page
    assert "2 phones" in dispatcher.get(ROSTER).content.decode()

    services.revoke_device(other.pk, actor="maria")
    assert "Android phone" not in dispatcher.get(f"{ROSTER}1000/change/").content.decode()
    Crew.objects.filter(pk=crew.pk).update(active=False)
    page = dispatcher.get(f"{ROSTER}1000/change/").content.decode()
    assert "While the crew is inactive, its phones are signed out." in page


def test_lost_phone_is_signed_out_after_a_confirmation(dispatcher, crew, phone):
    address = f"{ROSTER}1000/phones/{phone.pk}/revoke/"
    assert f'formaction="{address}"' in dispatcher.get(f"{ROSTER}1000/change/").content.decode()
    assert dispatcher.get(address)["Location"] == f"{ROSTER}1000/change/"

    question = dispatcher.post(address).content.decode()
    assert "Sign out iPhone, Safari?" in question
    assert f'&rsaquo; <a href="{ROSTER}1000/change/"><bdi>{crew}</bdi></a>' in question
    phone.refresh_from_db()
    assert phone.revoked_at is None

    for _ in range(2):
        answer = dispatcher.post(address, {"confirmed": "1"}, follow=True)
        assert "Signed out: iPhone, Safari." in answer.content.decode()
    phone.refresh_from_db()
    assert phone.revoked_by == "maria"
    assert log() == [f"Signed out phone {phone.pk}, iPhone, Safari."]


def test_phone_is_signed_out_on_the_page_of_its_own_crew_only(dispatcher, crew, phone):
    CrewFactory(id=2000)

    address = f"{ROSTER}2000/phones/{phone.pk}/revoke/"
    assert dispatcher.post(address, {"confirmed": "1"}).status_code == 404
    phone.refresh_from_db()
    assert phone.revoked_at is None


def test_enter_in_a_field_saves_the_crew_and_adds_no_phone(dispatcher, crew, phone):
    """Browsers press the first button of a field's own form."""
    page = dispatcher.get(f"{ROSTER}1000/change/").content.decode()

    buttons = re.findall(r"<button[^>]*formaction[^>]*>", page)
    assert len(buttons) == 2
    assert all('form="phone-form"' in button for button in buttons)
    assert page.index('id="phone-form"') > page.index('name="_save"')


@pytest.mark.django_db(transaction=True)
def test_crew_is_deleted_although_a_phone_joins_meanwhile(dispatcher, crew):
    _, code = services.create_code(crew.pk, actor="maria")
    with background() as run:
        with open_transaction():
            join(code)
            deletion = run(dispatcher.post, f"{ROSTER}1000/delete/", {"post": "yes"})
            wait_until_blocked(deletion)
        assert deletion.result(timeout=20).status_code == 302

    assert not Crew.objects.exists()
    assert not CrewDevice.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_phone_that_joins_a_crew_while_it_is_deleted_is_refused(crew):
    _, code = services.create_code(crew.pk, actor="maria")
    with background() as run:
        with transaction.atomic():
            Crew.objects.select_for_update().get()
            joining = run(join, code)
            wait_until_blocked(joining)
            crew.delete()
        assert "wrong, used or expired" in str(joining.exception(timeout=20))


# Roles

DOORS = {
    "phone/": "add_crewcode",
    "codes/{code}/": "add_crewcode",
    "phones/{phone}/revoke/": "revoke_crewdevice",
}


@pytest.mark.slow
@pytest.mark.parametrize("role", [*ROLES, "permission alone", None])
@pytest.mark.parametrize("path", DOORS)
def test_only_leads_add_and_sign_out_phones(roles, crew, phone, path, role):
    browser = Client()
    if role:
        user = UserFactory(is_superuser=False)
        user.groups.set(Group.objects.filter(name=role))
        browser.force_login(user)
    address = ROSTER + "1000/" + path.format(code=phone.code_id, phone=phone.pk)

    answer = browser.get(address) if "code" in path else browser.post(address, {"confirmed": "1"})

    allowed = role == "lead"
    assert answer.status_code in ((200, 302) if allowed else (302,) if role is None else (403,))
    phone.refresh_from_db()
    assert (phone.revoked_at is not None) == (allowed and "revoke" in path)
    assert CrewCode.objects.count() == (2 if allowed and path == "phone/" else 1)
    page = browser.get(f"{ROSTER}1000/change/").content.decode()
    assert ("Add phone" in page) == allowed
    assert ("Sign out" in page) == (allowed and "revoke" not in path)


def test_roster_shows_phones_to_viewers_without_buttons(viewer, crew, phone):
    page = viewer.get(f"{ROSTER}1000/change/").content.decode()

    assert "iPhone, Safari" in page
    assert "Add phone" not in page
    assert "Sign out" not in page


# The command


def enrol(*arguments):
    out = io.StringIO()
    call_command("enrol_crew", *arguments, stdout=out)
    return out.getvalue()


def test_command_prints_a_code_a_link_and_a_qr_code(crew):
    first, second, *drawing = enrol("van-3", "--url", "https://dispatch.example/").splitlines()

    code = re.fullmatch(r"Code: (\S+) \(for one phone, within 15 minutes\)", first)[1]
    assert second == f"Link: https://dispatch.example/crew/join#{code}"
    assert len(drawing) > 10
    assert {char for line in drawing for char in line} <= set(" █▀▄")
    assert join(code).crew == crew
    assert CrewCode.objects.get().created_by == "enrol_crew"
    assert len(enrol("van-3").splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["van-9"], "Crew van-9 is not on the roster."),
        (["van-3", "--url", "dispatch.example"], "--url must begin with https:// or http://."),
        (["van-4"], "Crew van-4 is not active."),
    ],
)
def test_command_refuses_in_one_line(crew, arguments, complaint):
    CrewFactory(worker_id="van-4", active=False)

    with pytest.raises(CommandError, match=re.escape(complaint)):
        enrol(*arguments)
    assert not CrewCode.objects.exists()


# In a browser


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_lead_sees_the_phone_join_on_the_page_with_the_code(browse, crew):
    with browse(UserFactory(username="maria")) as tab:
        tab.open(f"{ROSTER}1000/change/")
        tab.press("text=Add phone")
        code = tab.page.locator("#phone-code .text").inner_text()
        assert too_wide(tab.page) == {}

        join(code)

        end = tab.page.locator("#code-end")
        end.get_by_text("iPhone, Safari, joined").wait_for()
        assert not tab.page.locator("#phone-code .code").is_visible()
        tab.press("text=New code")
        assert tab.page.locator("#phone-code .text").inner_text() != code
        tab.press("text=Back to the crew")
        tab.press("text=Sign out")
        tab.press("[type=submit][value='Sign out']")
        assert tab.messages() == ["Signed out: iPhone, Safari."]
        assert tab.complaints == []
