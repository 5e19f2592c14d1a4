"""Django's middleware of sessions, users and messages, for the console alone.

The API knows none, and to go through them is a tenth of a claim's work (docs/performance.md).
"""

from typing import Any

from django.contrib.auth import middleware as auth
from django.contrib.messages import middleware as messages
from django.contrib.sessions import middleware as sessions
from django.http import HttpRequest
from django.utils.deprecation import MiddlewareMixin


class ConsoleOnly(MiddlewareMixin):
    """A page elsewhere has no `request.user`."""

    def __call__(self, request: HttpRequest) -> Any:
        if not request.path_info.startswith("/admin"):
            return self.get_response(request)
        return super().__call__(request)


class SessionMiddleware(ConsoleOnly, sessions.SessionMiddleware):
    pass


class AuthenticationMiddleware(ConsoleOnly, auth.AuthenticationMiddleware):
    pass


class MessageMiddleware(ConsoleOnly, messages.MessageMiddleware):
    pass
