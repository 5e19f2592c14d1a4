from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import Group, Permission
from django.contrib.postgres.expressions import ArraySubquery
from django.db import models
from django.db.models import ExpressionWrapper, OuterRef, Q
from django.db.models.functions import Cast, Now

from .moves import WORKER_ID_LENGTH, is_a_date
from .users import User

# last_used_at is at most this old: updating it for each request would cost a write each time.
LAST_USE_PRECISION = timedelta(minutes=5)
# With the cast, PostgreSQL can prepare statements with it.
USE_IS_OLD = Q(last_used_at__isnull=True) | Q(
    last_used_at__lte=Now() - Cast(models.Value(LAST_USE_PRECISION), models.DurationField())
)


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def usable(self) -> "ApiTokenQuerySet":
        """Tokens that are not revoked, not expired, and owned by an active account."""
        return self.filter(
            Q(expires_at__isnull=True) | Q(expires_at__gt=Now()),
            revoked_at__isnull=True,
            user__is_active=True,
        )

    def with_permissions(self) -> "ApiTokenQuerySet":
        """Add `permissions`: the codenames of the owner's permissions and those of its groups."""
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
        """Add `use_is_old`: True if the next use must update last_used_at."""
        columns = {"use_is_old": ExpressionWrapper(USE_IS_OLD, models.BooleanField())}
        return self.annotate(**columns)


class ApiToken(models.Model):
    """The credential of a phone or a job. Only the SHA-256 of its secret is stored."""

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        verbose_name="owner",
        related_name="api_tokens",
    )
    label = models.CharField(max_length=100, help_text="The phone or job that uses it.")
    worker_id = models.CharField(
        "worker",
        max_length=WORKER_ID_LENGTH,
        null=True,
        blank=True,
        help_text="The crew that uses it. Empty: it is not for a crew.",
    )
    # The first characters of the secret, by which people recognise a token.
    prefix = models.CharField(max_length=12, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=200, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: it never expires.")
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)
    revoked_by = models.CharField(max_length=200, db_default="", editable=False)

    # Only on a row that was read `with_permissions()` and `with_age_of_use()`.
    permissions: list[str]
    use_is_old: bool
    # False if the service that returned this token did not change it.
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
                violation_error_message="The expiry must be in the years 2000 to 8999.",
            ),
        ]
        permissions = [("revoke_apitoken", "Can revoke API tokens")]

    def __str__(self) -> str:
        return f"{self.prefix}… ({self.label})"
