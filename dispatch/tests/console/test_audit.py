"""The audit trail: sign-ins, accounts, roles, tokens and phones."""

import csv
from io import StringIO

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client

from dispatch import services
from dispatch.admin import audit
from dispatch.models import Crew, CrewDevice

from ..support.factories import UserFactory

pytestmark = pytest.mark.django_db
AUDIT, PASSWORD = "/admin/audit/", "correct horse battery"


@pytest.fixture
def root(client):
    client.force_login(UserFactory(username="root", is_superuser=True))
    return client


def summaries(client, **query):
    return [entry.summary for entry in client.get(AUDIT, query).context["entries"]]


def sign_in(name, **headers):
    browser = Client(REMOTE_ADDR="203.0.113.9", headers={"User-Agent": "Firefox", **headers})
    account = {"username": name, "password": PASSWORD}
    assert browser.post("/admin/login/", account).status_code == 302
    return browser


def test_sign_ins_show_account_browser_and_address(root):
    UserFactory(username="maria", password=PASSWORD)
    browser = sign_in("maria")
    browser.post("/admin/logout/")

    ended, began = root.get(AUDIT).context["entries"][:2]

    assert (began.summary, began.remark) == ("maria signed in", "Firefox")
    assert began.address == "203.0.113.9"
    assert (ended.summary, ended.address) == ("maria signed out", "203.0.113.9")


def test_roles_that_an_account_gets_are_listed(root):
    maria = UserFactory(username="maria", is_superuser=False)
    page = f"/admin/dispatch/user/{maria.id}/change/"
    form = root.get(page).context["adminform"].form
    group = Group.objects.create(name="night shift")
    filled = {name: value for name, value in form.initial.items() if value}

    answer = root.post(page, {**filled, "groups": [group.pk]})
    assert answer.status_code == 302
    newest = root.get(AUDIT).context["entries"][0]

    assert newest.summary == "root changed user maria"
    assert "Groups" in newest.remark


def test_tokens_are_listed_when_made_and_when_revoked(root):
    owner = UserFactory(username="van-3")
    token, _ = services.create_token(owner, actor="maria", label="Phone 7")
    services.revoke_token(token.pk, actor="tom")

    revoked, created = summaries(root)[:2]

    assert revoked == f"tom revoked token {token} of van-3"
    assert created == f"maria created token {token} for van-3"


def test_phones_are_listed_when_they_join_and_when_they_are_signed_out(root):
    crew = Crew.objects.create(worker_id="van-3")
    code, _ = services.create_code(crew.pk, actor="maria")
    phone = CrewDevice.objects.create(crew=crew, code=code, label="Android", digest="x")
    services.revoke_device(phone.pk, actor="tom")

    revoked, joined = summaries(root)[:2]

    assert revoked == "tom signed out a phone of crew van-3: Android"
    assert joined == "A phone joined crew van-3: Android"


def test_entries_come_in_pages_and_as_csv(root, monkeypatch):
    monkeypatch.setattr(audit, "ENTRIES_SHOWN", 1)
    services.create_token(UserFactory(username="van-3"), actor="maria", label="Phone 7")

    assert summaries(root)[0].startswith("maria created token")
    assert summaries(root, page=2) == ["root signed in"]
    answer = root.get(AUDIT, {"as": "csv"})
    lines = list(csv.DictReader(StringIO(answer.getvalue().decode("utf-8-sig"))))
    assert [line["kind"] for line in lines] == ["token created", "signed in"]
    assert lines[0]["actor"] == "maria"


def test_audit_trail_is_for_superusers_and_holders_of_its_permission(client):
    auditor = UserFactory(is_superuser=False)
    client.force_login(auditor)
    assert client.get(AUDIT).status_code == 403
    auditor.user_permissions.add(Permission.objects.get(codename="view_logentry"))
    assert client.get(AUDIT).status_code == 200
