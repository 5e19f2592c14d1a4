"""The examples of docs/clients.md work as they are."""

import re

import pytest
from django.db import connection

from dispatch.models import Station, Suggestion, Task, TaskStatus
from dispatch.services import create_token

from ..support.clients import need_python, node_modules, run
from ..support.factories import TaskFactory, UserFactory
from ..support.server import ROOT

__all__ = ["node_modules"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PAGE = (ROOT / "docs" / "clients.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
COMPILE = "tsc --strict --target es2022 --module esnext --moduleResolution bundler --types node"


def examples(section, language):
    return re.findall(rf"^```{language}\n(.*?)^```", SECTIONS[section], re.DOTALL | re.MULTILINE)


@pytest.fixture
def run_section(closed_server, tmp_path):
    """Run the examples of a section in order, with a token that permits everything."""
    _, secret = create_token(UserFactory(), actor="test", label="test")
    environment = {"BAYWHEELS_URL": closed_server.url, "BAYWHEELS_TOKEN": secret}

    def run_all(section):
        output = ""
        for language, text in re.findall(
            r"^```(bash|python|typescript)\n(.*?)^```", SECTIONS[section], re.DOTALL | re.MULTILINE
        ):
            match language:
                case "bash":
                    output += run("bash", "-euc", text, cwd=tmp_path, **environment)
                case "python":
                    output += run("python", "-c", text, cwd=tmp_path, **environment)
                case "typescript":
                    (tmp_path / "client.ts").write_text(text)
                    run("npx", *COMPILE.split(), "client.ts", cwd=tmp_path)
                    output += run("node", "client.js", cwd=tmp_path, **environment)
        return output

    return run_all


def assert_one_task_was_completed(output):
    (task,) = Task.objects.all()
    assert (task.status, task.worker_id) == (TaskStatus.COMPLETED, "van-3")
    kinds = [event for event in ("approved", "claimed", "completed") if event in output.lower()]
    assert kinds == ["approved", "claimed", "completed"]


def test_httpx_example_runs_the_whole_loop(run_section):
    need_python("httpx")

    output = run_section("Python: httpx")

    assert_one_task_was_completed(output)
    # The second example lists the completed task.
    assert re.search(rf"^{Task.objects.get().id} .* 4$", output, re.MULTILINE)


def test_generated_python_client_runs_the_whole_loop(run_section):
    need_python("openapi_python_client")

    assert_one_task_was_completed(run_section("Python: a generated client"))


def test_generated_typescript_client_compiles_and_runs_the_loop(
    run_section, node_modules, tmp_path
):
    (tmp_path / "node_modules").symlink_to(node_modules)
    (tmp_path / "package.json").write_text('{"type": "module"}')

    assert_one_task_was_completed(run_section("TypeScript"))


def test_generated_models_accept_real_answers(run_section):
    need_python("datamodel_code_generator", "httpx")
    Station.objects.create(id=1, name="Market St at 10th St", lat=37.8, lon=-122.4)
    TaskFactory()
    TaskFactory(assigned=True)
    TaskFactory(completed=True)

    output = run_section("Python: models only")

    assert "/tasks 3" in output
    assert "/stations 1" in output


def test_pandas_example_enters_its_rows(run_section):
    need_python("pandas", "httpx")

    output = run_section("pandas")

    assert list(Suggestion.objects.order_by("id").values_list("qty", "priority", "source")) == [
        (6, 20, "demand-v2"),
        (4, 0, "demand-v2"),
    ]
    assert re.search(r"ingested +1$", output, re.MULTILINE)


def test_duckdb_example_reads_tasks(run_section):
    need_python("duckdb")
    task = TaskFactory(completed=True)

    assert re.search(rf"\b{task.to_station_id}\b.*\b1\b", run_section("DuckDB"))


@pytest.mark.django_db
def test_sql_examples_work():
    insert, count = examples("SQL", "sql")

    with connection.cursor() as cursor:
        cursor.execute(insert)
        assert cursor.fetchone() == (Suggestion.objects.get().id,)
        cursor.execute(count)
        assert cursor.fetchall() == []
