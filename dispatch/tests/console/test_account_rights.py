"""A permission to manage accounts or tokens gives no more than its owner already has."""

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.test import Client

from dispatch.models import ApiToken, User
from dispatch.roles import create_missing_roles

from ..support.factories import UserFactory

pytestmark = [pytest.mark.slow, pytest.mark.django_db]
USERS, GROUPS, TOKENS = (
    "/admin/dispatch/user/",
    "/admin/auth/group/",
    "/admin/dispatch/apitoken/",
)
NEW_PASSWORD = "entirely-unlike-the-old-1"


@pytest.fixture
def account():
    create_missing_roles(apps=apps, using="default")

    def create(*permissions, groups=(), **fields):
        user = UserFactory(**{"is_superuser": False, **fields})
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        user.groups.set(Group.objects.filter(name__in=groups))
        return user

    return create


def signed_in(user):
    client = Client()
    client.force_login(user)
    return client


STRONGER = {
    "superuser": {"is_superuser": True},
    "inactive superuser": {"is_superuser": True, "is_active": False},
    "dispatcher": {"groups": ["dispatcher"]},
    "inactive dispatcher": {"groups": ["dispatcher"], "is_active": False},
}
stronger = pytest.mark.parametrize("rights", STRONGER.values(), ids=STRONGER)


@stronger
def test_token_is_refused_for_accounts_with_more_rights(account, rights):
    other = account(**rights)
    page = signed_in(account("add_apitoken")).post(
        TOKENS + "add/", {"user": other.pk, "label": "Mine"}
    )
    assert "Select a valid choice" in page.content.decode()
    assert not ApiToken.objects.exists()


def test_token_is_created_for_accounts_with_equal_or_fewer_rights(account):
    maker = account("add_apitoken", "claim_task", "view_station")
    for owner in (account(), account(groups=["worker"]), maker):
        form = {"user": owner.pk, "label": "Phone", "worker_id": "van-1"}
        assert "Copy the token now" in signed_in(maker).post(TOKENS + "add/", form).content.decode()
    assert ApiToken.objects.count() == 3


@pytest.mark.parametrize("label", ["two\nlines", "\u202elebal", "no\u200bthing"])
def test_token_label_must_be_one_printable_line(account, label):
    maker = account("add_apitoken")
    page = signed_in(maker).post(TOKENS + "add/", {"user": maker.pk, "label": label})
    assert "Enter a single line" in page.content.decode()


def test_changing_accounts_does_not_raise_ones_own_rights(account):
    user = account("change_user")
    group = Group.objects.get(name="dispatcher")
    everything = list(Permission.objects.values_list("pk", flat=True))
    form = {
        "username": user.username,
        "first_name": "Maria",
        "is_active": "on",
        "is_staff": "on",
        "is_superuser": "on",
        "groups": [group.pk],
        "user_permissions": everything,
        "date_joined": "2026-01-01T00:00:00",
    }
    assert signed_in(user).post(f"{USERS}{user.pk}/change/", form).status_code == 302
    user = User.objects.get()
    assert (user.first_name, user.is_superuser) == ("Maria", False)
    assert user.get_all_permissions() == {"dispatch.change_user"}


@stronger
def test_accounts_with_more_rights_cannot_be_taken_over(account, rights):
    other = account(**rights)
    client = signed_in(account("change_user", "delete_user", "add_user"))
    passwords = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "usable_password": "true"}
    assert client.get(f"{USERS}{other.pk}/change/").status_code == 200
    assert client.post(f"{USERS}{other.pk}/password/", passwords).status_code == 403
    form = {"username": "mine", "is_active": "on", "email": "mine@example.org"}
    assert client.post(f"{USERS}{other.pk}/change/", form).status_code == 403
    assert client.post(f"{USERS}{other.pk}/delete/", {"post": "yes"}).status_code == 403
    client.post(USERS, {"action": "delete_selected", "_selected_action": other.pk, "post": "yes"})

    now = User.objects.get(pk=other.pk)
    assert (now.username, now.password, now.is_active) == (
        other.username,
        other.password,
        other.is_active,
    )


def test_accounts_with_equal_or_fewer_rights_can_be_managed(account):
    other = account(is_staff=False)
    client = signed_in(account("change_user"))
    passwords = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "usable_password": "true"}
    assert client.post(f"{USERS}{other.pk}/password/", passwords).status_code == 302
    assert User.objects.get(pk=other.pk).check_password(NEW_PASSWORD)


def test_only_superusers_change_groups(account):
    user = account("add_group", "change_group", "delete_group", groups=["viewer"])
    group = user.groups.get()
    everything = list(Permission.objects.values_list("pk", flat=True))
    client = signed_in(user)
    form = {"name": "viewer", "permissions": everything}
    for path in (f"{group.pk}/change/", f"{group.pk}/delete/", "add/"):
        assert client.post(GROUPS + path, {**form, "post": "yes"}).status_code == 403, path
    root = signed_in(account(is_superuser=True))
    assert root.post(f"{GROUPS}{group.pk}/change/", form).status_code == 302
    assert group.permissions.count() == len(everything)
