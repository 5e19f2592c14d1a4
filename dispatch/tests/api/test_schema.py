"""The server behaves as /openapi.json says."""

import json
import os
import re
import tomllib
from contextlib import suppress

import jsonschema_rs
import pytest
import requests
import schemathesis
from django.core.management import call_command
from django.test.utils import override_script_prefix
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from dispatch.services import create_token

from ..support.factories import SuggestionFactory, TaskFactory, UserFactory
from ..support.server import ROOT, serve

# Valid and invalid requests for each operation.
EXAMPLES = int(os.environ.get("SCHEMA_EXAMPLES", "15"))
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
)
PUBLIC = {"200"}
READ = {"200", "400", "503"}
WRITE = {"200", "400", "403", "404", "413", "415", "503"}
CHANGE = WRITE | {"409"}
CONTRACT = {
    ("get", "/"): PUBLIC,
    ("get", "/suggestions"): READ,
    ("post", "/task/approve"): CHANGE,
    ("post", "/dispatch/next"): CHANGE | {"422"},
    ("post", "/task/{task_id}/complete"): CHANGE,
}
OURS = {
    ("get", "/healthz"): PUBLIC,
    ("get", "/readyz"): PUBLIC | {"503"},
    ("post", "/suggestions"): (WRITE - {"404"}) | {"422"},
    ("post", "/suggestions/{suggestion_id}/reject"): WRITE,
    ("post", "/suggestions/{suggestion_id}/priority"): WRITE,
    ("get", "/tasks"): READ,
    ("get", "/task/{task_id}"): {"200", "404", "503"},
    ("get", "/task/{task_id}/events"): READ | {"404"},
    ("post", "/task/{task_id}/extend"): CHANGE,
    ("post", "/task/{task_id}/release"): CHANGE,
    ("post", "/task/{task_id}/cancel"): CHANGE,
    ("post", "/task/{task_id}/reassign"): CHANGE,
    ("post", "/task/{task_id}/priority"): CHANGE,
    ("get", "/events"): READ,
    ("get", "/stations"): READ,
    ("get", "/stations/{station_id}"): {"200", "404", "503"},
}


@pytest.fixture
def schema(client):
    return client.get("/openapi.json").json()


def project_version():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_schema_has_the_contracts_title_and_the_project_version(schema):
    assert schema["info"]["title"] == "Bay Wheels Orchestration & Dispatch Service"
    assert schema["info"]["version"] == project_version()


def test_schema_lists_every_endpoint_and_status(schema):
    described = {
        (method, path): set(operation["responses"])
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
    }

    assert described == CONTRACT | OURS


def operations(schema):
    return [
        operation
        for operations_of_path in schema["paths"].values()
        for operation in operations_of_path.values()
    ]


def parts(schema, path=""):
    """Yield each object in the schema with its path."""
    if isinstance(schema, dict):
        yield path, schema
    items = schema.items() if isinstance(schema, dict) else enumerate(schema)
    for key, part in items:
        if isinstance(part, dict | list):
            yield from parts(part, f"{path}/{key}")


def test_operation_ids_name_the_operation(schema):
    names = {operation["operationId"] for operation in operations(schema)}

    assert names == {
        *("get_service", "check_health", "check_readiness"),
        *("list_suggestions", "propose_suggestions", "reject_suggestion", "prioritize_suggestion"),
        *("approve_suggestion", "claim_next_task", "complete_task", "list_tasks", "get_task"),
        *("extend_lease", "release_task", "reassign_task", "cancel_task", "prioritize_task"),
        *("list_task_events", "list_events", "list_stations", "get_station"),
    }


def test_request_bodies_are_json_only(schema):
    bodies = [
        operation["requestBody"] for operation in operations(schema) if "requestBody" in operation
    ]

    assert len(bodies) > 10
    assert all(list(body["content"]) == ["application/json"] for body in bodies)


def test_every_id_is_a_64_bit_integer(schema):
    ids = [
        (path, part)
        for path, part in parts(schema)
        if re.search(r"/properties/(\w+_)?id$", path) and "worker_id" not in path
    ]
    parameters = [
        part["schema"]
        for _, part in parts(schema)
        if part.get("in") in ("path", "query") and part["name"].endswith("_id")
    ]

    assert len(ids) > 10
    assert all(part["format"] == "int64" for _, part in ids), ids
    integers = [part for part in parameters if part["type"] == "integer"]
    assert len(integers) > 10
    assert all(part["format"] == "int64" for part in integers)


def test_numbers_fit_javascript(schema):
    limits = [part["maximum"] for _, part in parts(schema) if "maximum" in part]

    assert limits
    assert all(limit < 2**53 for limit in limits if isinstance(limit, int))


def test_optional_request_fields_are_optional_in_every_generator(schema):
    assert schema["openapi"] == "3.1.0"
    assert not [path for path, part in parts(schema["components"]) if "default" in part]


def test_response_fields_that_are_always_present_are_required(schema):
    components = schema["components"]["schemas"]

    for name in ("Proposed", "Suggestion", "Task", "TaskInFull", "Event", "Station"):
        assert set(components[name]["required"]) == set(components[name]["properties"]), name


def test_components_have_meaningful_names(schema):
    names = set(schema["components"]["schemas"])

    assert {"EventKind", "ProposalOutcome", "TaskStatus", "SuggestionList"} <= names
    assert not [name for name in names if "Paginated" in name or name.endswith("Enum")]


def test_descriptions_are_written_for_callers(schema):
    for operation in operations(schema):
        assert operation["description"], operation["operationId"]
    text = json.dumps(schema)
    assert "serializer" not in text.lower()
    tags = {tag["name"] for tag in schema["tags"] if tag["description"]}
    assert {tag for operation in operations(schema) for tag in operation["tags"]} == tags


def test_path_parameters_have_examples(schema):
    parameters = [part for _, part in parts(schema) if part.get("in") == "path"]

    assert len(parameters) > 5
    assert all("example" in parameter for parameter in parameters)


def test_responses_declare_their_headers(schema):
    def headers(path, method, status):
        return set(schema["paths"][path][method]["responses"][status]["headers"])

    assert headers("/dispatch/next", "post", "404") == {"Retry-After", "X-Request-ID"}
    assert headers("/task/approve", "post", "200") == {"X-Warning", "X-Request-ID"}
    assert "X-Warning" in headers("/task/{task_id}/complete", "post", "200")
    assert headers("/readyz", "get", "503") == {"Retry-After", "X-Request-ID"}
    for path in ("/suggestions", "/tasks", "/events", "/stations", "/task/{task_id}/events"):
        assert headers(path, "get", "200") == {"Link", "X-Request-ID"}
        names = {parameter["name"] for parameter in schema["paths"][path]["get"]["parameters"]}
        assert {"limit", "cursor"} <= names


@pytest.mark.parametrize(
    "body",
    [
        {"qty": 0},
        [{"from_station_id": 1, "to_station_id": 1, "qty": 1, "reason": "x"}],
        [[]],
        [],
    ],
    ids=str,
)
def test_error_shapes_are_those_of_the_schema(client, schema, body):
    answer = client.post("/suggestions", body, content_type="application/json")

    assert answer.status_code == 400
    error = {**schema["components"]["schemas"]["Error"], "components": schema["components"]}
    jsonschema_rs.validator_for(error).validate(answer.json())
    assert answer.json()["errors"]


@pytest.mark.django_db
def test_null_means_absent_in_optional_fields(client):
    nothing = {"priority": None, "source": None, "expires_at": None}
    move = {"from_station_id": 1, "to_station_id": 2, "qty": 3, "reason": "Empty"}

    proposed = client.post("/suggestions", {**move, **nothing}, content_type="application/json")

    assert proposed.status_code == 200
    approval = {"suggestion_id": proposed.json()["id"], "as_much_as_fits": None}
    assert (
        client.post("/task/approve", approval, content_type="application/json").json()["qty"] == 3
    )


def test_server_address_includes_the_services_base_path(client, schema):
    assert schema["servers"] == [{"url": "/"}]

    with override_script_prefix("/bikes/"):
        below = client.get("/openapi.json").json()

    assert below["servers"] == [{"url": "/bikes"}]
    assert set(below["paths"]) == set(schema["paths"])


def test_schema_shows_the_active_authentication(schema, closed_server):
    assert schema["security"] == []
    assert "securitySchemes" not in schema["components"]

    required = requests.get(f"{closed_server.url}/openapi.json", timeout=10).json()

    assert "security" not in required
    assert required["components"]["securitySchemes"] == {
        "token": {"type": "http", "scheme": "bearer"}
    }
    for path, method in (("/suggestions", "get"), ("/dispatch/next", "post")):
        operation = required["paths"][path][method]
        assert operation["security"] == [{"token": []}]
        assert {"401", "403"} <= set(operation["responses"])


def test_every_request_body_has_an_example(schema):
    for path in ("/task/approve", "/dispatch/next"):
        (content, *_) = schema["paths"][path]["post"]["requestBody"]["content"].values()
        assert content["examples"], path


def test_schema_generates_without_warnings(tmp_path):
    call_command("spectacular", "--fail-on-warn", "--validate", "--file", str(tmp_path / "s.yaml"))


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_docs_pages_use_no_other_host_and_no_inline_code(client, path):
    page = client.get(path)

    assert page.status_code == 200
    html = page.content.decode()
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", html)
    assert not re.search(r"<style|<script(?![^>]* src=)", html)
    assert "unsafe" not in page["Content-Security-Policy"]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("auth", ["open", "required"])
def test_responses_to_generated_requests_match_the_schema(auth):
    with serve(API_AUTH=auth) as server:
        # The generated fault may be a missing token, but the token is always sent.
        hold_to_its_schema(server, CHECKS if auth == "open" else CHECKS[:-1])


def hold_to_its_schema(server, checks):
    _, secret = create_token(UserFactory(), actor="test", label="test")
    headers = {"Authorization": f"Bearer {secret}"}
    SuggestionFactory.create_batch(5)
    TaskFactory.create_batch(5)
    TaskFactory.create_batch(5, assigned=True)
    api = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    # By default 411 and 413 do not count as rejections.
    api.config.checks.negative_data_rejection.expected_statuses = ["4xx"]
    sent = []

    for operation in (result.ok() for result in api.get_all_operations()):
        for mode in GenerationMode:

            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def conforms(case):
                answer = case.call_and_validate(checks=checks, headers=headers)
                sent.append(answer.status_code)

            # GET / has nothing that could be invalid.
            with suppress(Unsatisfiable):
                conforms()

    assert len(sent) > 100
    assert {200, 400, 404} <= set(sent)
