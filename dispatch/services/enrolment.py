"""Enrol phones: a lead shows a code, and the phone that gives it becomes a device of the crew."""

import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import DurationField, ExpressionWrapper, F
from django.db.models.functions import Now
from django.utils.crypto import salted_hmac

from ..exceptions import CodeRefused, Conflict, NotFound, TooManyTries
from ..models import Crew, CrewCode, CrewDevice, WrongCode
from ..models.crews import LAST_SEEN_IS_OLD
from ..models.phones import CODE_LIFE, SIGN_OF_LIFE_IS_OLD
from .locks import advisory_lock
from .tokens import digest_of

# That of RFC 8628, section 6.1: no vowels, so no words, and nothing that looks alike.
ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
CODE = re.compile(f"[{ALPHABET}]{{8}}", re.ASCII)
# For so long, the phone that joined may repeat its request: the answer may have been lost.
REPEATABLE_FOR = timedelta(minutes=1)
WRONG_CODE = "The code is wrong, used or expired. Ask for a new one."

Found = TypeVar("Found")


@dataclass(frozen=True)
class Limit:
    """At most `tries` wrong codes within `span`."""

    tries: int
    span: timedelta


# Five tries of 20^8 codes. Many phones share one address, so the lock ends soon.
OF_ADDRESS = Limit(5, timedelta(minutes=15))
# An attacker may have any number of addresses. A short span: the lock delays strangers too.
OF_SERVICE = Limit(60, timedelta(minutes=1))


def create_text() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(8))


def grouped(text: str) -> str:
    """Return the code as people read it: BCDF-GHJK."""
    return f"{text[:4]}-{text[4:]}"


def enrolment_link(url: str, code: str) -> str:
    """Return the address that a phone opens to join. `url`: where the service is.

    The code is in the fragment, which browsers send to no server.
    """
    return f"{url.rstrip('/')}/crew/join#{code}"


def keyed_digest(text: str) -> str:
    return salted_hmac("dispatch.crew_code", text, algorithm="sha256").hexdigest()


def secret_of(text: str, nonce: str) -> str:
    """The same for each request of one phone, so that a late answer keeps it signed in."""
    mac = salted_hmac("dispatch.crew_device", f"{text} {nonce}", algorithm="sha256")
    return urlsafe_b64encode(mac.digest()).rstrip(b"=").decode()


def typed_code(text: str) -> str:
    """Return the code in upper case, without spaces and hyphens. Empty: the text is no code."""
    code = re.sub(r"[\s\-\u2010-\u2015]", "", text).upper()
    return code if CODE.fullmatch(code) else ""


@transaction.atomic(durable=True)
def create_code(crew_id: int, *, actor: str) -> tuple[CrewCode, str]:
    """Return a code and its text, which cannot be read again. It replaces the crew's unused ones.

    Conflict: the crew is inactive.
    """
    crew = Crew.objects.select_for_update(no_key=True).filter(pk=crew_id).first()
    if crew is None:
        raise NotFound(f"Crew {crew_id} not found.")
    if not crew.active:
        raise Conflict(f"Crew {crew.worker_id} is not active.")
    crew.codes.filter(used_at__isnull=True).delete()
    text = create_text()
    values: dict[str, Any] = {"expires_at": Now() + CODE_LIFE}
    code = CrewCode.objects.create(crew=crew, digest=keyed_digest(text), created_by=actor, **values)
    code.refresh_from_db(fields=["expires_at", "created_at"])
    return code, grouped(text)


def find_code(text: str, *, address: str) -> CrewCode:
    """Return the code and its crew, without spending it.

    CodeRefused: it is unknown, spent or expired. TooManyTries: wait.
    """
    codes = CrewCode.objects.usable().select_related("crew")
    digest = keyed_digest(typed_code(text))
    return attempt(address, lambda: codes.filter(digest=digest).first())


def join(
    text: str, nonce: str, *, label: str, address: str, former_secret: str = ""
) -> tuple[CrewDevice, str]:
    """Spend the code. Return the phone and the secret for its cookie.

    A phone that repeats its `nonce` within a minute gets the same phone and secret again.
    `former_secret`: that of the phone's former cookie, which ends.
    CodeRefused: the code is unknown, spent or expired. TooManyTries: wait.
    """
    typed = typed_code(text)
    secret = secret_of(typed, nonce)
    digest, device_digest = keyed_digest(typed), digest_of(secret)

    def spend_or_repeat() -> CrewDevice | None:
        code = lock_usable(digest)
        if code is None:
            return repeated(digest, device_digest)
        WrongCode.objects.filter(address=address).delete()
        replace_device(digest_of(former_secret), actor=code.crew.actor)
        return spend(code, device_digest, label)

    return attempt(address, spend_or_repeat), secret


def lock_usable(digest: str) -> CrewCode | None:
    # Of two phones with one code, the second waits here and then finds the code used.
    crews = Crew.objects.filter(codes__digest=digest)
    if crews.select_for_update(no_key=True, of=("self",)).first() is None:
        return None
    return CrewCode.objects.usable().select_related("crew").filter(digest=digest).first()


def replace_device(digest: str, *, actor: str) -> None:
    former = CrewDevice.objects.filter(digest=digest, revoked_at__isnull=True)
    former.update(revoked_at=Now(), revoked_by=actor)


def spend(code: CrewCode, device_digest: str, label: str) -> CrewDevice:
    CrewCode.objects.filter(pk=code.pk).update(used_at=Now())
    Crew.objects.filter(pk=code.crew_id).update(last_seen_at=Now())
    return CrewDevice.objects.create(crew=code.crew, code=code, label=label, digest=device_digest)


def repeated(digest: str, device_digest: str) -> CrewDevice | None:
    devices = CrewDevice.objects.usable().select_related("crew")
    return devices.filter(
        digest=device_digest, code__digest=digest, code__used_at__gt=Now() - REPEATABLE_FOR
    ).first()


def attempt(address: str, find: Callable[[], Found | None]) -> Found:
    """Call `find`. None counts as a wrong code of this address."""
    with transaction.atomic(durable=True):
        refuse_too_many(address)
        found = find()
        if found is None:
            WrongCode.objects.create(address=address)
    if found is None:
        raise CodeRefused(WRONG_CODE)
    return found


def refuse_too_many(address: str) -> None:
    # Without the lock, an address that sends many codes at once would exceed its limit.
    advisory_lock(f"wrong codes of {address}")
    for tries, limit in (
        (WrongCode.objects.filter(address=address), OF_ADDRESS),
        (WrongCode.objects.all(), OF_SERVICE),
    ):
        left = ExpressionWrapper(F("at") + limit.span - Now(), DurationField())
        recent = tries.filter(at__gt=Now() - limit.span).order_by("-at")
        # The oldest of the tries that fill the limit.
        waits = list(recent.values_list(left, flat=True)[limit.tries - 1 : limit.tries])
        if waits:
            raise TooManyTries(max(1, ceil(waits[0].total_seconds())))


def find_device(secret: str) -> CrewDevice | None:
    """Return the signed-in phone with this secret, and its crew, in one query.

    Records a sign of life of both, at most every 30 seconds.
    """
    devices = CrewDevice.objects.usable().with_age_of_sign_of_life().select_related("crew")
    device = devices.filter(digest=digest_of(secret)).first()
    if device is not None and device.sign_of_life_is_old:
        # Committed on its own: it counts even if the request is refused.
        CrewDevice.objects.filter(SIGN_OF_LIFE_IS_OLD, pk=device.pk).update(last_seen_at=Now())
        Crew.objects.filter(LAST_SEEN_IS_OLD, pk=device.crew_id).update(last_seen_at=Now())
    return device


@transaction.atomic(durable=True)
def revoke_device(device_id: int, *, actor: str) -> CrewDevice:
    """Sign a phone out for good. Revoking it again changes nothing."""
    devices = CrewDevice.objects.select_related("crew").select_for_update(of=("self",))
    device = devices.filter(pk=device_id).first()
    if device is None:
        raise NotFound(f"Phone {device_id} not found.")
    device.changed = device.revoked_at is None
    if device.changed:
        CrewDevice.objects.filter(pk=device_id).update(revoked_at=Now(), revoked_by=actor)
        device.refresh_from_db(fields=["revoked_at", "revoked_by"])
    return device
