from typing import Any

from ...models import ApiToken
from ...tables import aligned
from ..base import DispatchCommand

TITLES = ("ID", "TOKEN", "ACCOUNT", "LABEL", "WORKER", "LAST USE", "STATE")


class Command(DispatchCommand):
    help = "Lists the API tokens, without their secrets, which are not stored."

    def handle(self, *args: Any, **options: Any) -> None:
        usable = set(ApiToken.objects.usable().values_list("pk", flat=True))
        tokens = ApiToken.objects.select_related("user").order_by("pk")
        rows = [row(token, token.pk in usable) for token in tokens]
        for line in aligned([TITLES, *rows], "><<<<<<"):
            self.stdout.write(line)


def row(token: ApiToken, is_usable: bool) -> tuple[str, ...]:
    return (
        str(token.pk),
        f"{token.prefix}…",
        token.user.get_username(),
        token.label,
        token.worker_id or "",
        f"{token.last_used_at:%Y-%m-%d %H:%MZ}" if token.last_used_at else "never",
        state(token, is_usable),
    )


def state(token: ApiToken, is_usable: bool) -> str:
    if token.revoked_at:
        return f"revoked {token.revoked_at:%Y-%m-%d} by {token.revoked_by}"
    if not token.user.is_active:
        return "account is inactive"
    if token.expires_at is None:
        return "usable"
    return f"{'expires' if is_usable else 'expired'} {token.expires_at:%Y-%m-%d}"
