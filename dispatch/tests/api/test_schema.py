"""The server behaves as /openapi.json says."""

import os
import re
import tomllib
from contextlib import suppress

import pytest
import requests
import schemathesis
from django.core.management import call_command
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
WRITE = {"200", "400", "403", "404", "411", "413", "415", "503"}
CHANGE = WRITE | {"409"}
CONTRACT = {
    ("get", "/"): PUBLIC,
    ("get", "/suggestions"): READ,
    ("post", "/task/approve"): CHANGE,
    ("post", "/dispatch/next"): WRITE | {"422"},
    ("post", "/task/{task_id}/complete"): CHANGE,
}
OURS = {
    ("post", "/suggestions"): WRITE - {"404"},
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


def test_schema_shows_the_active_authentication(schema, closed_server):
    assert "securitySchemes" not in schema["components"]

    required = requests.get(f"{closed_server.url}/openapi.json", timeout=10).json()

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
