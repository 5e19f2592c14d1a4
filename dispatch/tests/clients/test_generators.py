"""Third-party generators and linters accept the schema."""

import re

import pytest
import requests

from ..support.clients import NODE_PROJECT, need_python, node_modules, run
from ..support.server import serve

__all__ = ["node_modules"]

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]


@pytest.fixture(params=["open", "required"])
def schema_file(request, client, transactional_db, tmp_path):
    """The schema, as each of the two modes serves it."""
    with serve(API_AUTH=request.param) as server:
        text = requests.get(f"{server.url}/openapi.json", timeout=10).text
    file = tmp_path / "openapi.json"
    file.write_text(text)
    return file


def test_redocly_has_no_complaint(node_modules, schema_file):
    config = NODE_PROJECT / "redocly.yaml"
    quiet = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    command = [node_modules / ".bin" / "redocly", "lint", "--config", config, schema_file]

    output = run(*command, cwd=schema_file.parent, **quiet)

    assert "is valid" in output
    assert not re.search(r"You have \d+ (warning|error)", output), output


def test_spectral_has_no_complaint(node_modules, schema_file):
    arguments = ["lint", schema_file, "--ruleset", NODE_PROJECT / "spectral.yaml"]
    arguments += ["--fail-severity", "hint"]

    output = run(node_modules / ".bin" / "spectral", *arguments, cwd=schema_file.parent)

    assert "No results" in output


def test_every_module_of_a_generated_python_client_can_be_imported(schema_file):
    need_python("openapi_python_client")
    folder = schema_file.parent
    command = ["openapi-python-client", "generate", "--path", schema_file, "--meta", "none"]

    output = run(*command, "--output-path", "baywheels_client", "--fail-on-warning", cwd=folder)

    assert "warning" not in output.lower(), output
    modules = [
        ".".join(file.relative_to(folder).with_suffix("").parts)
        for file in (folder / "baywheels_client").rglob("*.py")
    ]
    assert len(modules) > 40
    run("python", "-c", "\n".join(f"import {module}" for module in modules), cwd=folder)
