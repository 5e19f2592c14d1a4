from typing import Any

from django.core.management.base import CommandError, CommandParser

from ... import services
from ...models import ApiToken, User
from ..base import DispatchCommand

ACTOR = "revoke_token"


class Command(DispatchCommand):
    help = "Revokes an API token, or all tokens of an account."

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("id", type=int, nargs="?", help="as shown by list_tokens")
        which.add_argument("--user", help="revoke all tokens of this account")

    def handle(self, *args: Any, **options: Any) -> None:
        ids = [options["id"]]
        if options["user"]:
            if not User.objects.filter(username=options["user"]).exists():
                raise CommandError(f"There is no account {options['user']}.")
            tokens = ApiToken.objects.filter(user__username=options["user"], revoked_at=None)
            ids = list(tokens.order_by("pk").values_list("pk", flat=True))
        revoked = [services.revoke_token(pk, actor=ACTOR) for pk in ids]
        changed = [token for token in revoked if token.changed]
        self.stdout.write(f"{len(changed)} revoked.")
