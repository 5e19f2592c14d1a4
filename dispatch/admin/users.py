from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group

from ..models import User
from .base import ConsoleAdmin

admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(ConsoleAdmin, DjangoUserAdmin):
    """Accounts. Groups and permissions decide what a user may do."""

    LOOKUPS = {
        "is_staff__exact": "[01]",
        "is_superuser__exact": "[01]",
        "is_active__exact": "[01]",
        "groups__id__exact": "[0-9]{1,9}",
    }


@admin.register(Group)
class GroupAdmin(ConsoleAdmin, DjangoGroupAdmin):
    """Roles, which are set up automatically."""
