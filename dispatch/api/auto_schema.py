"""The OpenAPI schema in the form that client generators understand."""

from typing import Any

from django.conf import settings
from django.urls import get_script_prefix
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import PolymorphicProxySerializer

from .fields import INT8_MAX

# "Try it out" in the documentation starts with these values.
PATH_PARAMETERS = {
    "task_id": ("The task's id.", 456),
    "suggestion_id": ("The suggestion's id.", 123),
    "station_id": ("The station's id.", 58),
}
HEADERS = {
    "X-Request-ID": {
        "description": "The request's id: the client's own, or a generated one. The log has it.",
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Seconds to wait before the next attempt.",
        "schema": {"type": "integer"},
    },
    "Link": {
        "description": 'The next page: `<url>; rel="next"`. The last page has no such header.',
        "schema": {"type": "string"},
    },
}


def is_id(name: str) -> bool:
    return name == "id" or name.endswith("_id")


class ApiSchema(AutoSchema):
    """Describes one operation."""

    def map_parsers(self) -> list[str]:
        # Forms are accepted as well, but generated clients would send the last type of several.
        return ["application/json"]

    def _get_request_body(self, direction: Any = "request") -> Any:
        body = super()._get_request_body(direction)
        if body and isinstance(self.get_request_serializer(), PolymorphicProxySerializer):
            # "One or many" has no required fields of its own, but none is no body.
            body["required"] = True
        return body

    def get_paginated_name(self, serializer_name: str) -> str:
        return f"{serializer_name}List"

    def _get_serializer_field_meta(self, field: Any, direction: Any) -> dict[str, Any]:
        meta: dict[str, Any] = super()._get_serializer_field_meta(field, direction)
        # TypeScript's generators require every field that has a default.
        meta.pop("default", None)
        # Labels for the console's forms.
        meta.pop("title", None)
        return meta

    def _insert_field_validators(self, field: Any, schema: dict[str, Any]) -> None:
        super()._insert_field_validators(field, schema)
        if "integer" in schema.get("type", "") and is_id(field.field_name):
            schema["format"] = "int64"
        # The format implies it, and JavaScript rounds the number up.
        if schema.get("maximum") == INT8_MAX:
            del schema["maximum"]

    def _is_list_view(self, serializer: Any = None) -> bool:
        if serializer is None:
            # Without this, the list that an action returns has no page parameters.
            described: Any = self.get_response_serializers()
            success = described[200]
            serializer = getattr(success, "response", success)
        return bool(super()._is_list_view(serializer))

    def _resolve_path_parameters(self, variables: Any) -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]] = super()._resolve_path_parameters(variables)
        for parameter in parameters:
            description, example = PATH_PARAMETERS[parameter["name"]]
            parameter |= {"description": description, "example": example}
            parameter["schema"] |= {"format": "int64", "minimum": 0}
        return parameters

    def _get_response_headers_for_code(
        self, status_code: Any, direction: Any = "response"
    ) -> dict[str, Any]:
        names = {"X-Request-ID"}
        if str(status_code) == "503":
            names.add("Retry-After")
        if str(status_code) == "200" and self._is_list_view() and self._get_paginator():
            names.add("Link")
        shared = {name: {"$ref": f"#/components/headers/{name}"} for name in sorted(names)}
        return {**shared, **super()._get_response_headers_for_code(status_code, direction)}


def complete_document(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add the parts of the schema that no operation has."""
    result["components"]["headers"] = HEADERS
    result["servers"] = [{"url": get_script_prefix().rstrip("/") or "/"}]
    if settings.API_AUTH == "open":
        result["security"] = []
    return result


class ApiTokenScheme(OpenApiAuthenticationExtension):
    target_class = "dispatch.api.authentication.ApiTokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}
