from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from dispatch import services
from dispatch.exceptions import Refusal
from dispatch.models import ApiToken, User

ACTOR = "revoke_token"


class Command(BaseCommand):
    help = "Revokes tokens of the API: by id, or all of an account."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("id", type=int, nargs="?", help="as list_tokens shows it")
        which.add_argument("--user", help="all tokens of this account")

    def handle(self, *args: Any, **options: Any) -> None:
        ids = [options["id"]]
        if options["user"]:
            if not User.objects.filter(username=options["user"]).exists():
                raise CommandError(f"There is no account {options['user']}.")
            tokens = ApiToken.objects.filter(user__username=options["user"], revoked_at=None)
            ids = list(tokens.order_by("pk").values_list("pk", flat=True))
        try:
            revoked = [services.revoke_token(pk, actor=ACTOR) for pk in ids]
        except Refusal as refusal:
            raise CommandError(str(refusal)) from refusal
        changed = [token for token in revoked if token.changed]
        self.stdout.write(f"{len(changed)} revoked.")
