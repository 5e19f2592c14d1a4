"""Sessions of the console end SESSION_IDLE_HOURS after the last page that their user opened."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponseBase

# A renewal is a write, so a page renews only a session that was renewed longer ago.
RENEWAL_SECONDS = 300
RENEWED_AT = "renewed_at"

View = TypeVar("View", bound=Callable[..., HttpResponseBase])


def renews_session(view: View) -> View:
    """Renew the session for each request but those that a page sends without its user.

    Otherwise the refreshes of a board that someone left open would keep its session for ever.
    """
    if getattr(view, "is_polled", False):
        return view

    @wraps(view)
    def renewing(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        renew(request.session)
        return view(request, *args, **kwargs)

    return cast(View, renewing)


def renew(session: SessionBase) -> None:
    now = int(time.time())
    if now - session.get(RENEWED_AT, 0) >= RENEWAL_SECONDS:
        session[RENEWED_AT] = now


def start_session(*, request: HttpRequest, **_: Any) -> None:
    renew(request.session)
