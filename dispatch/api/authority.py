"""Authorization of API calls: the console's permissions, plus a worker's own tasks."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from .origins import FOREIGN_PAGE, is_from_foreign_page

OPEN_ACTOR = "api"
# The permission to work on the tasks of the token's own worker.
OWN_TASKS = "claim_task"


@dataclass(frozen=True)
class Authority:
    """A caller's rights. `permissions` None: all. `worker_id`: the token's crew."""

    actor: str
    permissions: frozenset[str] | None = None
    worker_id: str | None = None

    def may(self, permission: str) -> bool:
        return self.permissions is None or permission in self.permissions

    def resolve_worker(self, named: str | None, *, unrestricted_with: str | None) -> str | None:
        """Return the worker to act for. None: the worker that holds the task.

        A caller with the permission `unrestricted_with` may name any worker. None: only a caller
        with all permissions may. PermissionDenied: the token is for another worker or for none.
        """
        if self.worker_id is not None and named not in (None, self.worker_id):
            raise PermissionDenied(f"This token is for {self.worker_id} only.")
        if self.permissions is None or unrestricted_with in self.permissions:
            return named or self.worker_id
        if self.worker_id is None:
            raise PermissionDenied("This token is for no worker.")
        return self.worker_id

    def resolve_source(self, source: str) -> str:
        """Return the source to record for a proposal.

        A caller who may not approve proposes under its own name only, so that it cannot overwrite
        the suggestions of another job or of a dispatcher.
        """
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


class ApiAccess(BasePermission):
    """With `API_AUTH=open`, allow everything except writes from pages of other origins; with
    `required`, check the token's permissions.

    A view's `authority` maps each action to permissions, any one of which is enough. Actions that
    it does not list are refused.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        if settings.API_AUTH == "open":
            if request.method not in SAFE_METHODS and is_from_foreign_page(request):
                raise PermissionDenied(FOREIGN_PAGE)
            return True
        if request.auth is None:
            return False
        if view.action is None:
            # No such method: 405 needs no permission.
            return True
        authority = authority_of(request)
        return any(authority.may(each) for each in view.authority.get(view.action, ()))
