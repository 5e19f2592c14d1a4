"""Pruning history that belongs to no task: suggestions' events, outages and polls."""

import json
from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from dispatch import services
from dispatch.exceptions import Refusal
from dispatch.maintenance.archive import Archive
from dispatch.maintenance.invariants import violations
from dispatch.models import ClusterOutage, StationOutage, StatusPoll, TaskEvent
from dispatch.services import CLUSTER_OUTAGES, OUTAGES, POLLS, SUGGESTION_EVENTS, old_rows

from ..support.factories import StationFactory, SuggestionFactory
from ..support.pruning import (
    AGE,
    OLD,
    YOUNG,
    archived,
    cluster_outage,
    completed,
    event,
    outages,
    polls,
    prune_all,
)

pytestmark = pytest.mark.django_db


def prune(rows, folder=None, age=AGE):
    archive = None if folder is None else Archive(str(folder))
    return sum(services.prune_rows(rows, age, archive=archive))


def test_events_of_closed_suggestions_and_ingests_are_removed(tmp_path):
    old = [
        event("ingested", source="demand"),
        event("suggested", suggestion_id=7),
        event("rejected", suggestion_id=7),
    ]
    young = event("ingested", YOUNG)

    assert prune(SUGGESTION_EVENTS, tmp_path) == 3
    assert [row["id"] for row in archived(tmp_path)] == old
    assert TaskEvent.objects.get().id == young


def test_events_of_open_suggestions_and_of_tasks_stay():
    task = completed(suggestion_id=8)
    event("suggested", suggestion_id=SuggestionFactory().id)
    event("suggested", suggestion_id=8)
    event("approved", suggestion_id=8, task_id=task.id)

    assert prune(SUGGESTION_EVENTS) == 0


def test_a_decision_stays_as_long_as_its_undo():
    event("rejected", suggestion_id=7)
    event("undone", YOUNG, suggestion_id=7, details={"new_suggestion_id": 9})

    assert prune(SUGGESTION_EVENTS) == 0
    assert violations() == {}


def test_a_tasks_suggestion_is_archived_and_removed_with_the_task(tmp_path):
    task = completed(suggestion_id=8)
    ids = [
        event("suggested", suggestion_id=8),
        event("prioritized", suggestion_id=8),
        event("approved", suggestion_id=8, task_id=task.id),
    ]
    other = event("suggested", suggestion_id=9)

    assert services.count_prunable(AGE, with_events=True) == services.Pruned(1, 3)
    assert prune_all(tmp_path, with_events=True) == [services.Pruned(1, 3)]
    [line] = archived(tmp_path)
    assert [each["id"] for each in line["events"]] == ids
    assert TaskEvent.objects.get().id == other


def test_outages_that_ended_long_ago_are_removed_and_open_ones_stay(tmp_path):
    ended, _ = outages(91, 89)
    StationOutage.objects.create(station=StationFactory(), kind="full", started_at=OLD)

    assert prune(OUTAGES, tmp_path) == 1
    [line] = archived(tmp_path)
    assert (line["id"], line["kind"]) == (ended, "empty")
    assert StationOutage.objects.count() == 2


def test_outages_of_clusters_that_ended_long_ago_are_removed_and_open_ones_stay(tmp_path):
    ended = cluster_outage(timezone.now() - timedelta(days=91))
    kept = [cluster_outage(timezone.now() - timedelta(days=89)), cluster_outage(None)]

    assert prune(CLUSTER_OUTAGES, tmp_path) == 1
    [line] = archived(tmp_path)
    assert (line["id"], len(line["station_ids"])) == (ended, 1)
    assert sorted(ClusterOutage.objects.values_list("id", flat=True)) == kept


def test_old_polls_are_removed_oldest_first(tmp_path, small_batches):
    ids = polls(92, 95, 93, 94, 91, 89)

    assert list(services.prune_rows(POLLS, AGE, archive=Archive(str(tmp_path)))) == [2, 2, 1]
    assert {file.name for file in tmp_path.iterdir()} == {
        f"polls-{ids[1]}-{ids[3]}.jsonl.gz",
        f"polls-{ids[2]}-{ids[0]}.jsonl.gz",
        f"polls-{ids[4]}-{ids[4]}.jsonl.gz",
    }
    assert StatusPoll.objects.get().id == ids[5]


class Killed(BaseException):
    """An end that no handler catches, like kill -9."""


def test_a_killed_run_loses_no_row(tmp_path, small_batches, monkeypatch):
    ids = outages(95, 94, 93, 92, 91)
    write = Archive.write

    def die_after_the_second_file(archive, name, lines):
        write(archive, name, lines)
        if len(list(tmp_path.iterdir())) == 2:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Archive, "write", die_after_the_second_file)
        with pytest.raises(Killed):
            prune(OUTAGES, tmp_path)
    assert StationOutage.objects.count() == 3
    prune(OUTAGES, tmp_path)

    assert [row["id"] for row in archived(tmp_path)] == ids
    assert not StationOutage.objects.exists()


@pytest.mark.parametrize(
    "rows", [SUGGESTION_EVENTS, OUTAGES, CLUSTER_OUTAGES, POLLS], ids=lambda rows: rows.name
)
def test_rows_that_reports_compare_are_kept(rows):
    with pytest.raises(Refusal, match="of the last 15 days"):
        prune(rows, age=old_rows.LEAST_AGE - timedelta(minutes=1))


def test_the_command_prunes_each_kind_by_its_own_age(run_prune, tmp_path):
    outages(41, 39)
    cluster_outage(timezone.now() - timedelta(days=41))
    polls(31, 29)
    event("ingested", Now() - timedelta(days=21))
    ages = ["--outages-older-than=40d", "--polls-older-than=30d", "--suggestions-older-than=20d"]

    dry = run_prune(*ages, "--dry-run")
    assert dry == (
        "Dry run, nothing was changed: 1 suggestion events, 1 outages, 1 cluster outages and"
        " 1 polls would be removed.\n"
    )
    counts = json.loads(run_prune(*ages, "--json", f"--archive={tmp_path}"))
    assert counts == {
        "ok": True,
        "dry_run": False,
        "tasks": 0,
        "events": 0,
        "suggestion_events": 1,
        "outages": 1,
        "cluster_outages": 1,
        "polls": 1,
    }
    assert len(list(tmp_path.iterdir())) == 4
