"""The commands and references in the documentation match the service."""

import re

import pytest
from django.db import connection

from dispatch import services
from dispatch.services import SuggestionRow

from ..support.factories import SuggestionFactory
from ..support.server import ROOT

pytestmark = pytest.mark.django_db

ML_JOBS = (ROOT / "docs" / "ml-jobs.md").read_text()
QUERIES = re.findall(r"^    (SELECT (?:at|suggestion_id)\b.*?;)", ML_JOBS, re.DOTALL | re.MULTILINE)
INSERTS = re.findall(r"INSERT INTO suggestions .*?\);", (ROOT / "README.md").read_text(), re.DOTALL)


@pytest.fixture
def decided_suggestions(transactional_db):
    row = SuggestionRow(from_station_id=512, to_station_id=87, qty=6, reason="87 is empty")
    services.ingest_suggestions([row], source="demand-v2", actor="test")
    (suggestion,) = services.suggestions.Suggestion.objects.all()
    services.approve_suggestion(suggestion.id, actor="maria")
    rejected = SuggestionFactory(source="demand-v2")
    services.reject_suggestion(rejected.id, actor="maria", reason="Road works")
    restored = SuggestionFactory(source="demand-v2")
    services.reject_suggestion(restored.id, actor="maria", code="no_crew")
    services.undo_rejection(restored.id, actor="maria")


def test_queries_for_ml_jobs_find_the_decisions_on_their_suggestions(decided_suggestions):
    assert len(QUERIES) == 4
    for query in QUERIES:
        with connection.cursor() as cursor:
            cursor.execute(query)
            assert len(cursor.fetchall()) == 1, query


def test_readme_insert_creates_a_suggestion():
    (insert,) = INSERTS

    with connection.cursor() as cursor:
        cursor.execute(insert)
        assert cursor.rowcount == 1


def test_api_reference_lists_every_endpoint(client):
    reference = (ROOT / "docs" / "api.md").read_text()

    for path, methods in client.get("/openapi.json").json()["paths"].items():
        short = re.sub(r"\{(?:task|suggestion|station)_id\}", "{id}", path)
        for method in methods:
            names = (f"`{method.upper()} {path}`", f"`{method.upper()} {short}`")
            assert any(name in reference for name in names), path


def test_database_reference_lists_every_kind_of_event():
    reference = (ROOT / "docs" / "database.md").read_text()
    table = reference[reference.index("| kind |") :]

    for kind in services.events.EventKind.values:
        assert re.search(rf"^\|.*\b{kind}\b.*\|", table, re.MULTILINE), kind


def test_deploy_restarts_every_service_that_keeps_running():
    units = ROOT / "deploy" / "systemd"
    timed = {f"{timer.stem}.service" for timer in units.glob("*.timer")}
    services = {path.name for path in units.glob("*.service")} - timed - {"dispatch-web@.service"}
    operations = (ROOT / "docs" / "operations.md").read_text()

    restarts = re.findall(r"^ +systemctl (?:try-)?restart (.+)$", operations, re.MULTILINE)

    restarted = {f"{name}.service" for restart in restarts for name in restart.split()}
    assert restarted - {"dispatch-web@$port.service"} == services
