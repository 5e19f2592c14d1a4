"""Signatures of the Standard Webhooks specification, scheme v1."""

import base64
import hashlib
import hmac
from collections.abc import Iterable

MARKER = "whsec_"


def sign(secret: str, event_id: str, seconds: int, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(MARKER))
    content = f"{event_id}.{seconds}.".encode() + body
    digest = hmac.new(key, content, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def signed_headers(
    secrets: Iterable[str], event_id: str, seconds: int, body: bytes
) -> dict[str, str]:
    """`seconds`: the time of this attempt, since 1970."""
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(sign(each, event_id, seconds, body) for each in secrets),
    }
