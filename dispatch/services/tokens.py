"""Create, find and revoke API tokens."""

import hashlib
import secrets
from datetime import datetime
from functools import cache
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models.functions import Now

from ..exceptions import NotFound, Refusal
from ..models import ApiToken, User
from ..models.tokens import USE_IS_OLD
from ..texts import is_printable
from .rows import run

DIGEST = "any digest"
COLUMNS = tuple(field.attname for field in ApiToken._meta.concrete_fields)
OWNER_FIELDS = ("user__username", "user__is_superuser", "user__is_active")
EXTRAS = ("permissions", "use_is_old")
MARKER = "bw_"
SECRET_BYTES = 32
PREFIX_LENGTH = len(MARKER) + 6


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


@transaction.atomic
def create_token(
    user: User,
    *,
    actor: str,
    label: str,
    worker_id: str | None = None,
    expires_at: datetime | None = None,
) -> tuple[ApiToken, str]:
    """Return a new token and its secret, which cannot be read again.

    Refusal: a crew's account without a worker_id, or invalid values. Not durable: the console's
    form has its own transaction.
    """
    worker_id = (worker_id or "").strip()
    if not worker_id and user.groups.filter(name="worker").exists():
        raise Refusal("A crew's token needs its worker_id.")
    secret = MARKER + secrets.token_urlsafe(SECRET_BYTES)
    token = ApiToken(
        user=user,
        label=label,
        worker_id=worker_id or None,
        expires_at=expires_at,
        prefix=secret[:PREFIX_LENGTH],
        digest=digest_of(secret),
        created_by=actor,
    )
    validate(token)
    token.save(force_insert=True)
    return token, secret


def validate(token: ApiToken) -> None:
    try:
        token.full_clean(exclude=["created_at", "last_used_at", "revoked_at", "revoked_by"])
    except ValidationError as error:
        raise Refusal(" ".join(error.messages)) from error
    if not (is_printable(token.worker_id or "") and is_printable(token.label)):
        raise Refusal("The worker and the label must be one line of printable characters.")


def find_token(secret: str) -> ApiToken | None:
    """Return the usable token with this secret, and its owner's permissions, in one query.

    An unknown secret costs the same work. Only the fields OWNER_FIELDS of the owner are read.
    """
    statement, parameters = find_statement()
    wanted = digest_of(secret)
    [rows] = run((statement, [wanted if each == DIGEST else each for each in parameters]))
    if not rows:
        return None
    values = dict(zip((*COLUMNS, *OWNER_FIELDS, *EXTRAS), rows[0], strict=True))
    user = User(pk=values["user_id"], **{name[6:]: values.pop(name) for name in OWNER_FIELDS})
    extras = {name: values.pop(name) for name in EXTRAS}
    token = ApiToken(**values)
    token.user = user
    token.permissions, token.use_is_old = extras["permissions"], extras["use_is_old"]
    record_use(token)
    return token


@cache
def find_statement() -> tuple[str, tuple[Any, ...]]:
    """The query, with DIGEST in place of the digest.

    Compiled once per process: compiling it for each request took three quarters of the time that
    a token costs (benchmarks/claim_with_token.py).
    """
    tokens = ApiToken.objects.usable().with_permissions().with_age_of_use().filter(digest=DIGEST)
    return tokens.values_list(*COLUMNS, *OWNER_FIELDS, *EXTRAS).query.sql_with_params()


def record_use(token: ApiToken) -> None:
    """Record the use in its own transaction: it counts even if the request is refused."""
    if token.use_is_old and not settings.READ_ONLY:
        ApiToken.objects.filter(USE_IS_OLD, pk=token.pk).update(last_used_at=Now())


@transaction.atomic(durable=True)
def revoke_token(token_id: int, *, actor: str) -> ApiToken:
    """Revoke a token for good. Revoking it again changes nothing."""
    token = ApiToken.objects.select_for_update().filter(pk=token_id).first()
    if token is None:
        raise NotFound(f"Token {token_id} not found.")
    token.changed = token.revoked_at is None
    if token.changed:
        ApiToken.objects.filter(pk=token_id).update(revoked_at=Now(), revoked_by=actor)
        token.refresh_from_db()
    return token
