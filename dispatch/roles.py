"""The roles: Django groups and their permissions."""

from typing import Any

from django.db import transaction

VIEW = ["view_suggestion", "view_task", "view_taskevent", "view_station"]
DISPATCH = [
    *VIEW,
    "view_crew",
    "add_suggestion",
    "add_task",
    "approve_suggestion",
    "reject_suggestion",
    "prioritize_suggestion",
    "complete_task",
    "release_task",
    "cancel_task",
    "reassign_task",
    "prioritize_task",
]
ROLES = {
    "dispatcher": DISPATCH,
    # A dispatcher who also keeps the roster and the crews' phones.
    "lead": [
        *DISPATCH,
        "add_crew",
        "change_crew",
        "delete_crew",
        "add_crewcode",
        "revoke_crewdevice",
    ],
    # `claim_task` covers only the tasks of the token's own worker.
    "worker": ["claim_task", "view_station"],
    "ml": [*VIEW, "add_suggestion"],
    "viewer": [*VIEW, "view_crew"],
}

BOARD_PERMISSIONS = ["dispatch.view_suggestion", "dispatch.view_task"]


def create_missing_roles(*, apps: Any, using: str, **_: Any) -> None:
    """Create the roles that do not exist. `migrate` sends this after it has created permissions.

    Existing groups stay as they are: a permission that an operator removed stays removed. A
    partial `migrate` creates only roles whose permissions all exist.
    """
    try:
        groups = apps.get_model("auth", "Group").objects.using(using)
        permissions = apps.get_model("auth", "Permission").objects.using(using)
    except LookupError:
        return
    for role, codenames in ROLES.items():
        granted = permissions.filter(content_type__app_label="dispatch", codename__in=codenames)
        if len(granted) == len(codenames) and not groups.filter(name=role).exists():
            with transaction.atomic(using=using):
                groups.create(name=role).permissions.set(granted)
