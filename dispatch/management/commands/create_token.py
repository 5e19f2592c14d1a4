from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from ... import services
from ...models import User
from ...roles import ROLES
from ..base import DispatchCommand

ACTOR = "create_token"


class Command(DispatchCommand):
    help = "Creates an API token and prints it once. With --role it also creates the account."

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("user", help="the account that the token acts for")
        add(
            "--role",
            choices=ROLES,
            help="add the account to this group; create it if needed",
        )
        add("--worker-id", help="the crew that the token acts for; required for a worker's token")
        add("--label", help="the phone or job that uses it; default: the account's name")
        add("--days", type=int, help="days until it expires; default: never")

    def handle(self, *args: Any, **options: Any) -> None:
        with transaction.atomic(durable=True):
            token, secret = services.create_token(
                account(options["user"], options["role"]),
                actor=ACTOR,
                label=options["label"] or options["user"],
                worker_id=options["worker_id"],
                expires_at=expiry(options["days"]),
            )
        self.stderr.write(f"Token {token.pk} of {token.user}. It will not be shown again:")
        self.report(secret)


def account(name: str, role: str | None) -> User:
    """Without a role, the account must exist. A new one has no password and cannot sign in."""
    user = User.objects.filter(username=name).first()
    if role is None:
        if user is None:
            raise CommandError(f"There is no account {name}: --role creates it.")
        return user
    if user is None:
        user = new_account(name)
    user.groups.add(Group.objects.get(name=role))
    return user


def new_account(name: str) -> User:
    user = User(username=name)
    user.set_unusable_password()
    try:
        user.full_clean()
    except ValidationError as error:
        raise CommandError(" ".join(error.messages)) from error
    user.save()
    return user


def expiry(days: int | None) -> datetime | None:
    if days is None:
        return None
    if not 1 <= days <= 3650:
        raise CommandError("--days takes 1 to 3650.")
    return timezone.now() + timedelta(days=days)
