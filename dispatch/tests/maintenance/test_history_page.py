"""DuckDB reads the archive with the queries of docs/history.md."""

import re

import pytest

from dispatch.services import OUTAGES, SUGGESTION_EVENTS

from ..support.clients import need_python
from ..support.pruning import old_tasks, prune_all
from ..support.server import ROOT
from .test_old_rows import event, outages, prune

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

QUERIES = re.findall(r"^```sql\n(.*?)^```", (ROOT / "docs/history.md").read_text(), re.M | re.S)


def test_duckdb_queries_read_the_archive(tmp_path, monkeypatch):
    need_python("duckdb")
    import duckdb  # noqa: PLC0415

    old_tasks(3)
    event("ingested")
    event("suggested", suggestion_id=7)
    outages(91, 92)
    prune_all(tmp_path, with_events=True)
    prune(OUTAGES, tmp_path)
    prune(SUGGESTION_EVENTS, tmp_path)
    monkeypatch.chdir(tmp_path)

    months, hours, events = [duckdb.sql(query).fetchall() for query in QUERIES]

    assert [row[1] for row in months] == [3]
    assert [row[1:] for row in hours] == [("empty", 2.0)] * 2
    assert dict(events) == {"created": 3, "completed": 3, "ingested": 1, "suggested": 1}
