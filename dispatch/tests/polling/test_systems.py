"""The list of systems: in the console and as a file."""

from io import BytesIO, StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command
from django.db import IntegrityError
from django.db.models.functions import Now

from dispatch.board.feeds import read_feeds
from dispatch.exceptions import Refusal
from dispatch.ingest.systems import read_systems
from dispatch.models import FeedKind, StationFeed, System
from dispatch.services import import_systems

from ..support.factories import UserFactory

pytestmark = pytest.mark.django_db

PAGE = "/admin/dispatch/system/"
ADDRESS = "https://feeds.example/bay/gbfs.json?key=secret"
KEY = "X-Api-Key: secret"
FORM = {"name": "bay", "address": ADDRESS, "headers": KEY, "active": "on"}


@pytest.fixture
def bay():
    return System.objects.create(name="bay", address=ADDRESS, headers=KEY)


def postpone():
    System.objects.update(due_at="2100-01-01T00:00Z", stations_due_at="2100-01-01T00:00Z")


def is_due():
    return System.objects.due().filter(stations_due_at__lte=Now()).exists()


def test_system_is_added_in_the_console(admin_client):
    answer = admin_client.post(f"{PAGE}add/", FORM)

    assert answer.status_code == 302
    assert System.objects.values_list("name", "address", "headers", "active").get() == (
        "bay",
        ADDRESS,
        KEY,
        True,
    )
    assert is_due()


def test_kept_headers_and_keys_in_addresses_are_not_shown(admin_client, bay):
    page = admin_client.get(f"{PAGE}{bay.pk}/change/").content.decode()

    assert KEY not in page
    assert "secret" not in admin_client.get(PAGE).content.decode()


def test_viewer_of_a_system_sees_no_key(client, bay):
    eve = UserFactory(username="eve", is_superuser=False)
    eve.user_permissions.add(Permission.objects.get(codename="view_system"))
    client.force_login(eve)

    answer = client.get(f"{PAGE}{bay.pk}/change/")

    assert answer.status_code == 200
    assert "feeds.example" in answer.content.decode()
    assert "secret" not in answer.content.decode()


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({}, KEY),
        ({"headers": "X-Other: 1"}, "X-Other: 1"),
        ({"remove_headers": "on"}, ""),
    ],
)
def test_headers_stay_until_they_are_replaced_or_removed(admin_client, bay, fields, kept):
    postpone()

    form = {"address": ADDRESS, "headers": "", "active": "on", **fields}
    admin_client.post(f"{PAGE}{bay.pk}/change/", form)

    bay.refresh_from_db()
    assert bay.headers == kept
    assert is_due()
    assert "secret" not in LogEntry.objects.get().change_message


def test_name_of_a_system_never_changes(admin_client, bay):
    admin_client.post(f"{PAGE}{bay.pk}/change/", {**FORM, "name": "oslo"})

    bay.refresh_from_db()
    assert bay.name == "bay"
    assert admin_client.get(f"{PAGE}{bay.pk}/delete/").status_code == 403


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("address", "/etc/passwd", "Enter an address like"),
        ("address", "file:///etc/passwd", "Enter an address like"),
        ("address", "https://van:secret@feeds.example/", "user or password"),
        ("address", "https://", "not an address"),
        ("headers", "secret", "must be lines like"),
        ("name", "a\nb", "single line"),
    ],
)
def test_wrong_system_is_refused_in_console_and_file(admin_client, name, value, error):
    answer = admin_client.post(f"{PAGE}add/", {**FORM, name: value})

    assert error in str(answer.context["adminform"].form.errors)
    row = {**FORM, name: value.replace("\n", "\0")}
    with pytest.raises(Refusal):
        enter("name,address,headers\n{name},{address},{headers}\n".format(**row))
    assert not System.objects.exists()


def test_dispatchers_do_not_see_systems(client, roles, bay):
    maria = UserFactory(username="maria", is_superuser=False)
    maria.groups.set(Group.objects.filter(name__in=["dispatcher", "lead"]))
    client.force_login(maria)

    assert client.get(PAGE).status_code == 403


def test_database_refuses_an_address_that_is_not_on_the_web():
    with pytest.raises(IntegrityError, match="system_address_is_on_the_web"):
        System.objects.create(name="bay", address="/etc/passwd")


def enter(text):
    return import_systems(read_systems("systems.csv", BytesIO(text.encode())))


def test_file_adds_and_changes_systems(bay):
    postpone()
    result = enter(
        f"name,address,active\nbay,{ADDRESS},no\noslo,https://feeds.example/oslo/gbfs.json,\n"
    )

    assert result == "1 added, 1 changed, 0 unchanged."
    assert list(System.objects.order_by("name").values_list("name", "headers", "active")) == [
        ("bay", KEY, False),
        ("oslo", "", True),
    ]


def test_unchanged_systems_keep_their_schedule(bay):
    postpone()

    assert enter(f"name,address\nbay,{ADDRESS}\n") == "0 added, 0 changed, 1 unchanged."
    assert not is_due()


def test_file_with_a_wrong_row_changes_nothing():
    with pytest.raises(Refusal, match=r"^Nothing was changed\.\nbay: appears twice\noslo: address"):
        enter("name,address\nbay,https://a.example/\nbay,https://b.example/\noslo,x\n")
    with pytest.raises(Refusal, match="line 2: active: neither yes nor no"):
        enter("name,address,active\nbay,https://a.example/,perhaps\n")
    assert not System.objects.exists()


def test_import_command_reports_in_one_line(tmp_path):
    path = tmp_path / "systems.csv"
    path.write_text("name,address\nbay,https://a.example/\n")
    out = StringIO()

    call_command("import_systems", str(path), stdout=out)

    assert out.getvalue() == "1 added, 0 changed, 0 unchanged.\n"
    path.write_text("name,address\nbay,x\n")
    with pytest.raises(CommandError, match="bay: address: Enter an address like"):
        call_command("import_systems", str(path))


def test_feeds_of_inactive_systems_raise_no_alert(bay):
    StationFeed.objects.create(system="bay", kind=FeedKind.STATUS, source=ADDRESS, trouble="Down.")
    StationFeed.objects.create(system="by_hand", kind=FeedKind.STATUS, source="feed.json")
    assert [feed.system for feed in read_feeds()] == ["bay", "by_hand"]

    System.objects.update(active=False)

    assert [feed.system for feed in read_feeds()] == ["by_hand"]
    assert [feed.system for feed in StationFeed.objects.watched()] == ["by_hand"]
