from typing import Any

from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

OPEN_ACTOR = "api"


class ApiAuthentication(BaseAuthentication):
    """Knows nobody yet; its header makes a refusal a 401 and says what would be accepted."""

    def authenticate(self, request: Request) -> None:
        return None

    def authenticate_header(self, request: Request) -> str:
        return "Token"


class ApiAccess(BasePermission):
    """`API_AUTH=open` lets everybody in; `required` only who is authenticated."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return settings.API_AUTH == "open" or request.auth is not None


def actor_of(request: Request) -> str:
    """Who the history says did it."""
    return OPEN_ACTOR if request.auth is None else str(request.user)
