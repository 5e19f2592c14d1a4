"""Sessions of the console end SESSION_IDLE_MINUTES after their user last did something.

The page asks for the time left, warns a minute before the end, and renews the session while its
user types or clicks (static/dispatch/session.js).
"""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.views.decorators.http import require_http_methods

# A renewal is a write, so a page renews only a session that was renewed longer ago.
RENEWAL_SECONDS = 60
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


def renew(session: SessionBase, *, after: int = RENEWAL_SECONDS) -> None:
    """Renew a session whose last renewal was `after` or more seconds ago."""
    now = int(time.time())
    if not settings.READ_ONLY and now - session.get(RENEWED_AT, 0) >= after:
        session[RENEWED_AT] = now


def start_session(*, request: HttpRequest, **_: Any) -> None:
    renew(request.session)


def seconds_left(session: SessionBase) -> int:
    renewed_at: int = session.get(RENEWED_AT, 0)
    return max(0, renewed_at + settings.SESSION_COOKIE_AGE - int(time.time()))


@require_http_methods(["GET", "POST"])
def session_view(request: HttpRequest) -> JsonResponse:
    """Return the seconds until the session ends. POST renews it."""
    if request.method == "POST":
        renew(request.session, after=0)
    return JsonResponse({"seconds": seconds_left(request.session)})


session_view.is_polled = True  # type: ignore[attr-defined]
