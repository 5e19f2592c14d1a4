from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest

from ..models import User
from .base import ConsoleAdmin

admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(ConsoleAdmin, DjangoUserAdmin):
    """Accounts. Groups and permissions limit a user's actions; only superusers give them.

    Others manage only accounts without further permissions: a new password lets its author act
    for the account.
    """

    LOOKUPS = {
        "is_staff__exact": "[01]",
        "is_superuser__exact": "[01]",
        "is_active__exact": "[01]",
        "groups__id__exact": "[0-9]{1,9}",
    }
    AUTHORITY = ("is_staff", "is_superuser", "groups", "user_permissions")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return fields if request.user.is_superuser else (*fields, *self.AUTHORITY)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and within_reach(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and within_reach(request, obj)


def within_reach(request: HttpRequest, account: Any) -> bool:
    user: Any = request.user
    return account is None or user.accounts_within_reach().filter(pk=account.pk).exists()


@admin.register(Group)
class GroupAdmin(ConsoleAdmin, DjangoGroupAdmin):
    """Roles, which are set up automatically. Only superusers change them."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser and super().has_delete_permission(request, obj)
