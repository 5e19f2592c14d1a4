from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import Group, Permission
from django.contrib.postgres.expressions import ArraySubquery
from django.db import models
from django.db.models import ExpressionWrapper, OuterRef, Q
from django.db.models.functions import Now

from .moves import is_a_date
from .users import User

# How stale the time of last use may be: each newer use would cost a write.
LAST_USE_PRECISION = timedelta(minutes=5)
USE_IS_OLD = Q(last_used_at__isnull=True) | Q(last_used_at__lte=Now() - LAST_USE_PRECISION)


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def usable(self) -> "ApiTokenQuerySet":
        """Neither revoked nor expired, and of an active account."""
        return self.filter(
            Q(expires_at__isnull=True) | Q(expires_at__gt=Now()),
            revoked_at__isnull=True,
            user__is_active=True,
        )

    def with_permissions(self) -> "ApiTokenQuerySet":
        """With `permissions`: the codenames that the owner has, own and of groups, in one query."""
        owner = OuterRef(OuterRef("user_id"))
        own = User.user_permissions.through.objects.filter(user_id=owner)
        of_groups = Group.permissions.through.objects.filter(group__user=owner)
        of_owner = Permission.objects.filter(
            Q(pk__in=own.values("permission_id")) | Q(pk__in=of_groups.values("permission_id")),
            content_type__app_label="dispatch",
        )
        columns = {"permissions": ArraySubquery(of_owner.values("codename"))}
        return self.annotate(**columns)

    def with_age_of_use(self) -> "ApiTokenQuerySet":
        """With `use_is_old`: whether a use is to be written down."""
        columns = {"use_is_old": ExpressionWrapper(USE_IS_OLD, models.BooleanField())}
        return self.annotate(**columns)


class ApiToken(models.Model):
    """What a phone or a job signs in with. The secret itself is not kept, only its SHA-256."""

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        verbose_name="owner",
        related_name="api_tokens",
    )
    label = models.CharField(max_length=100, help_text="Which phone or job uses it.")
    worker_id = models.CharField(
        "worker",
        max_length=200,
        null=True,
        blank=True,
        help_text="The van crew that it speaks for; empty for what is no van.",
    )
    # The first characters of the secret, to tell tokens apart by.
    prefix = models.CharField(max_length=12, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=200, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: never.")
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)
    revoked_by = models.CharField(max_length=200, db_default="", editable=False)

    # On a row that was read `with_permissions()` and `with_age_of_use()`.
    permissions: list[str]
    use_is_old: bool
    # False on a token that a service returns as it already was.
    changed = True

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        db_table = "api_tokens"
        verbose_name = "API token"
        constraints = [
            models.CheckConstraint(
                name="api_token_worker_has_a_name",
                condition=Q(worker_id__isnull=True) | ~Q(worker_id=""),
            ),
            models.CheckConstraint(
                name="api_token_expires_at_is_a_date",
                condition=Q(expires_at__isnull=True) | is_a_date("expires_at"),
                violation_error_message="An expiry must lie in the years 2000 to 8999.",
            ),
        ]
        permissions = [("revoke_apitoken", "Can revoke API tokens")]

    def __str__(self) -> str:
        return f"{self.prefix}… ({self.label})"
