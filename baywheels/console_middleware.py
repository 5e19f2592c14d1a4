"""Django's middleware for sessions, users and messages, which only the console needs."""

from typing import Any, cast

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.exceptions import SessionInterrupted
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

CONSOLE = "/admin"


class ConsoleOnly(MiddlewareMixin):
    """Skips requests of the API: in here, a claim would spend a tenth of its CPU time."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        in_console = request.path_info.startswith(CONSOLE)
        handle = super().__call__ if in_console else self.get_response
        return cast(HttpResponseBase, handle(request))


class ConsoleAuthenticationMiddleware(ConsoleOnly, AuthenticationMiddleware):
    """Django's own, for the console."""


class ConsoleMessageMiddleware(ConsoleOnly, MessageMiddleware):
    """Django's own, for the console."""


class ConsoleSessionMiddleware(ConsoleOnly, SessionMiddleware):
    """Returns the response even if its session cannot be renewed.

    By then an operation has been committed, and a page can be shown while the database refuses
    writes. Django would answer 400.
    """

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        try:
            return super().process_response(request, response)
        except SessionInterrupted:
            return response
