"""Django's middleware for sessions, users and messages, which only the console needs."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.exceptions import SessionInterrupted
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponseBase

CONSOLE = "/admin"


class ConsoleOnly:
    """Passes requests of the API on: they would spend a tenth of a claim's CPU time in here."""

    get_response: Callable[[HttpRequest], HttpResponseBase]

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(CONSOLE):
            return self.get_response(request)
        response: HttpResponseBase = super().__call__(request)  # type: ignore[misc]
        return response


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
