"""Django's middleware of sessions and forms, for the console alone.

The API knows neither, and to go through them is a tenth of a claim's work (docs/performance.md).
"""

from typing import Any

from django.contrib.auth import middleware as auth
from django.contrib.messages import middleware as messages
from django.contrib.sessions import middleware as sessions
from django.http import HttpRequest
from django.middleware import csrf
from django.utils.deprecation import MiddlewareMixin


class ConsoleOnly(MiddlewareMixin):
    """A page elsewhere has no `request.user`; a form elsewhere is refused."""

    def __call__(self, request: HttpRequest) -> Any:
        if not request.path_info.startswith("/admin"):
            return self.get_response(request)
        return super().__call__(request)


class SessionMiddleware(ConsoleOnly, sessions.SessionMiddleware):
    pass


class CsrfViewMiddleware(ConsoleOnly, csrf.CsrfViewMiddleware):
    """Whose check comes later, in `process_view`, and is passed over nowhere."""


class AuthenticationMiddleware(ConsoleOnly, auth.AuthenticationMiddleware):
    pass


class MessageMiddleware(ConsoleOnly, messages.MessageMiddleware):
    pass
