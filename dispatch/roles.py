"""The roles: groups of Django, each with what it may do. A migration makes them."""

from typing import Any

VIEW = ["view_suggestion", "view_task", "view_taskevent", "view_station"]
ROLES = {
    "dispatcher": [
        *VIEW,
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
    ],
    # Only for the tasks of the worker that the token names.
    "worker": ["claim_task", "view_station"],
    "ml": [*VIEW, "add_suggestion"],
    "viewer": VIEW,
}


def make_roles(apps: Any) -> None:
    """Give each role its permissions, in whatever state of the models `apps` stands for.

    A permission that is not there yet is made: Django itself does so only after all migrations.
    What is about a model of a later migration is left to that one.
    """
    Group = apps.get_model("auth", "Group")
    Permission = apps.get_model("auth", "Permission")
    ContentType = apps.get_model("contenttypes", "ContentType")
    permissions = {}
    for codename in {each for codenames in ROLES.values() for each in codenames}:
        action, model = codename.split("_")
        if model not in apps.all_models["dispatch"]:
            continue
        content_type, _ = ContentType.objects.get_or_create(app_label="dispatch", model=model)
        names = dict(apps.get_model("dispatch", model)._meta.permissions)
        permissions[codename], _ = Permission.objects.get_or_create(
            content_type=content_type,
            codename=codename,
            defaults={"name": names.get(codename, f"Can {action} {model}")},
        )
    for role, codenames in ROLES.items():
        group, _ = Group.objects.get_or_create(name=role)
        group.permissions.add(
            *(permissions[codename] for codename in codenames if codename in permissions)
        )
