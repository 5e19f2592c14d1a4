"""Who may do what over HTTP: the same permissions as in the console, and a worker's own tasks."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

OPEN_ACTOR = "api"
# What it takes to work on the tasks of the worker that the token names.
OWN = "claim_task"


@dataclass(frozen=True)
class Authority:
    """`permissions` None: all of them. `worker_id`: whom the token speaks for, if it is a van's."""

    actor: str
    permissions: frozenset[str] | None = None
    worker_id: str | None = None

    def may(self, permission: str) -> bool:
        return self.permissions is None or permission in self.permissions

    def speak_for(self, named: str | None, *, anybody: str | None) -> str | None:
        """Whose task this is about: the worker that the request names, or None: whoever holds it.

        With the permission `anybody` (None: no permission is enough, only having all of them)
        that is anyone; else only the token's own worker. PermissionDenied: another one is named,
        or the token has none.
        """
        if self.worker_id is not None and named not in (None, self.worker_id):
            raise PermissionDenied(f"This token speaks for {self.worker_id} only.")
        if self.permissions is None or anybody in self.permissions:
            return named or self.worker_id
        if self.worker_id is None:
            raise PermissionDenied("This token speaks for no worker.")
        return self.worker_id

    def propose_as(self, source: str) -> str:
        """The source of what the caller proposes: a job that may not decide only its own name, so
        that none rewrites what another or a person has proposed."""
        if self.may("approve_suggestion"):
            return source
        if source not in ("", self.actor):
            raise PermissionDenied(f"This token proposes as {self.actor} only.")
        return self.actor


def authority_of(request: Request) -> Authority:
    if settings.API_AUTH == "open":
        return Authority(OPEN_ACTOR)
    token: Any = request.auth
    permissions = None if request.user.is_superuser else frozenset(token.permissions)
    return Authority(request.user.get_username(), permissions, token.worker_id)


def is_forged(request: Request) -> bool:
    """Sent by a browser for a page of another site: where everybody may do everything, a page that
    a dispatcher happens to open could."""
    is_cross_site = request.headers.get("Sec-Fetch-Site") == "cross-site"
    return is_cross_site and request.method not in SAFE_METHODS


class ApiAccess(BasePermission):
    """`API_AUTH=open` lets in all but forged requests; `required` whose token has what it takes.

    A view's `authority` maps each action to the permissions of which one is enough. What it does
    not name, nobody may do.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        if settings.API_AUTH == "open":
            return not is_forged(request)
        if request.auth is None:
            return False
        if view.action is None:
            # No such method: that answer needs no permission.
            return True
        authority = authority_of(request)
        return any(authority.may(each) for each in view.authority.get(view.action, ()))
