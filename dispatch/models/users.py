from django.contrib.auth.models import AbstractUser, Permission
from django.db.models import QuerySet


class User(AbstractUser):
    class Meta:
        db_table = "users"

    def accounts_within_reach(self) -> QuerySet["User"]:
        """Accounts without a permission that this one lacks: acting for them gains nothing.

        Inactive accounts count with all their permissions: activating them restores these.
        """
        if self.is_superuser:
            return User.objects.all()
        beyond = Permission.objects.exclude(user=self).exclude(group__user=self)
        accounts = User.objects.filter(is_superuser=False)
        return accounts.exclude(user_permissions__in=beyond).exclude(groups__permissions__in=beyond)
