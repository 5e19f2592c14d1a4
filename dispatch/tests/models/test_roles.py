"""The roles that `migrate` creates."""

from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command

from dispatch.roles import ROLES, create_missing_roles

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("roles")]


def migrate():
    call_command("migrate", verbosity=0)


def permissions_of(role):
    return set(Group.objects.get(name=role).permissions.values_list("codename", flat=True))


def test_migrate_creates_missing_roles():
    Group.objects.all().delete()

    migrate()

    assert {role: permissions_of(role) for role in ROLES} == {
        role: set(codenames) for role, codenames in ROLES.items()
    }


def test_migrate_does_not_restore_a_removed_permission():
    group = Group.objects.get(name="dispatcher")
    group.permissions.remove(Permission.objects.get(codename="cancel_task"))

    migrate()

    assert permissions_of("dispatcher") == {*ROLES["dispatcher"]} - {"cancel_task"}


def test_role_waits_until_its_permissions_exist():
    Group.objects.all().delete()
    Permission.objects.get(codename="view_station").delete()

    create_missing_roles(apps=apps, using="default")
    assert not Group.objects.exists()

    migrate()
    assert Group.objects.count() == len(ROLES)


def test_stations_migration_extends_older_roles():
    viewer = Group.objects.get(name="viewer")
    viewer.permissions.remove(Permission.objects.get(codename="view_station"))

    import_module("dispatch.migrations.0005_stations").grant_view_station(apps, None)

    assert permissions_of("viewer") == set(ROLES["viewer"])
