"""The OpenAPI document that drf-spectacular generates."""

from typing import Any


def configuration(title: str, version: str, server: str) -> dict[str, Any]:
    """Return SPECTACULAR_SETTINGS. `server`: the address below which the paths are."""
    return {
        "TITLE": title,
        "VERSION": version,
        "DESCRIPTION": (
            "Turn rebalancing suggestions into tasks, and dispatch the tasks to crews."
        ),
        "LICENSE": {"name": "MIT", "identifier": "MIT"},
        "TAGS": [
            {"name": "dispatch", "description": "Crews claim tasks."},
            {
                "name": "tasks",
                "description": "Approved moves, from ready to completed or cancelled.",
            },
            {"name": "suggestions", "description": "Moves that ML jobs propose."},
            {"name": "events", "description": "The history: one event for each change."},
            {"name": "stations", "description": "Stations with their latest status."},
            {"name": "health", "description": "For load balancers and monitoring."},
        ],
        "OAS_VERSION": "3.1.0",
        "SERVE_INCLUDE_SCHEMA": False,
        "SERVE_AUTHENTICATION": [],
        "SWAGGER_UI_DIST": "SIDECAR",
        "REDOC_DIST": "SIDECAR",
        "COMPONENT_SPLIT_REQUEST": True,
        "SERVERS": [{"url": server}],
        "PATH_CONVERTER_OVERRIDES": {"row_id": int},
        "ENUM_NAME_OVERRIDES": {
            "TaskStatus": "dispatch.models.TaskStatus",
            "EventKind": "dispatch.models.EventKind",
            "RejectionCode": "dispatch.models.RejectionCode",
            "ProposalOutcome": "dispatch.services.Outcome",
        },
        "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
        "POSTPROCESSING_HOOKS": [
            "drf_spectacular.hooks.postprocess_schema_enums",
            "dispatch.api.auto_schema.complete_document",
        ],
    }
