from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from dispatch import services
from dispatch.exceptions import Refusal
from dispatch.models import User
from dispatch.roles import ROLES

ACTOR = "create_token"


class Command(BaseCommand):
    help = "Makes a token of the API and prints it, once. With --role it also makes the account."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("user", help="the account that it acts for")
        add("--role", choices=ROLES, help="put the account into this group; make it if need be")
        add("--worker-id", help="the van crew that it speaks for; a worker's token needs it")
        add("--label", default="", help="which phone or job uses it; default: the account's name")
        add("--days", type=int, help="until it expires; default: never")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with transaction.atomic(durable=True):
                token, secret = services.create_token(
                    account(options["user"], options["role"]),
                    actor=ACTOR,
                    label=options["label"] or options["user"],
                    worker_id=options["worker_id"],
                    expires_at=expiry(options["days"]),
                )
        except Refusal as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stderr.write(f"Token {token.pk} of {token.user}. It is not shown again:")
        self.stdout.write(secret)


def account(name: str, role: str | None) -> User:
    """Without a role it must be there. A new one has no password: no way into the console."""
    user = User.objects.filter(username=name).first()
    if role is None:
        if user is None:
            raise CommandError(f"There is no account {name}: --role makes it.")
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
