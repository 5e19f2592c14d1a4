from datetime import datetime, timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from dispatch import services
from dispatch.exceptions import NotFound, Refusal
from dispatch.maintenance.archive import Archive
from dispatch.maintenance.invariants import violations
from dispatch.models import Task, TaskEvent
from dispatch.services import prune
from dispatch.services.events import record_task

from ..support.concurrency import background
from ..support.factories import SuggestionFactory, TaskFactory
from ..support.pruning import (
    AGE,
    OLD,
    YOUNG,
    archived,
    archived_ids,
    completed,
    kept,
    old_tasks,
    prune_all,
)

pytestmark = pytest.mark.django_db


def test_only_tasks_that_ended_long_ago_are_removed():
    completed()
    TaskFactory(cancelled=True, cancelled_at=OLD)
    staying = [
        completed(YOUNG),
        TaskFactory(cancelled=True, cancelled_at=YOUNG),
        TaskFactory(created_at=OLD),
        TaskFactory(assigned=True, created_at=OLD, assigned_at=OLD),
    ]

    assert prune_all() == [services.Pruned(tasks=2, events=0)]
    assert kept() == [task.id for task in staying]


def test_each_batch_starts_where_the_last_one_ended(small_batches):
    ids = old_tasks(5)

    with CaptureQueriesContext(connection) as captured:
        assert [batch.tasks for batch in prune_all()] == [2, 2, 1]

    selects = [query["sql"] for query in captured if "FOR UPDATE SKIP LOCKED" in query["sql"]]
    starts = [0, ids[1], ids[3], ids[4]]
    assert len(selects) == len(starts)
    for sql, start in zip(selects, starts, strict=True):
        assert f'"tasks"."id" > {start})' in sql
    assert not kept()


def test_each_batch_is_its_own_transaction(small_batches):
    ids = old_tasks(5)

    next(services.prune_tasks(AGE))

    assert kept() == ids[2:]


def test_the_archive_keeps_every_column(tmp_path):
    task = completed(reason="Zürich, \u2028 and \\ and \n", note="Déjà", source="ml-v2")
    columns = Task.objects.values().get()

    prune_all(tmp_path)

    (line,) = archived(tmp_path)
    assert line.keys() == columns.keys()
    times = {name for name, value in columns.items() if isinstance(value, datetime)}
    assert times == {"created_at", "assigned_at", "completed_at"}
    assert {name: datetime.fromisoformat(line.pop(name)) for name in times} == {
        name: columns.pop(name) for name in times
    }
    assert line == columns
    assert line["id"] == task.id


def test_events_stay_and_still_name_a_suggestions_task(tmp_path):
    task = services.approve_suggestion(SuggestionFactory().id, actor="maria").task
    services.cancel_task(task.id, actor="maria", reason="No")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tasks DISABLE TRIGGER USER")
        cursor.execute("UPDATE tasks SET cancelled_at = now() - interval '91 days'")

    prune_all(tmp_path)

    assert not kept()
    assert TaskEvent.objects.filter(task_id=task.id).count() == 2
    with pytest.raises(NotFound, match=f"already approved as task {task.id}"):
        services.approve_suggestion(task.suggestion_id, actor="tom")
    assert violations() == {}


def test_with_events_removes_the_events_of_removed_tasks_only(tmp_path):
    first, second = old_tasks(2)
    staying = TaskFactory()
    record_task("created", staying, "maria")
    details = {"warnings": ["Twice"], "n": 1.5}
    late = TaskEvent.objects.create(
        kind="late_report", task_id=first, attempt=1, worker_id="van-2", actor="a", details=details
    )

    assert prune_all(tmp_path, with_events=True) == [services.Pruned(tasks=2, events=5)]

    assert TaskEvent.objects.get().task_id == staying.id
    of_first, of_second = archived(tmp_path)
    assert (of_first["id"], of_second["id"]) == (first, second)
    assert [event["kind"] for event in of_first["events"]] == [
        "created",
        "completed",
        "late_report",
    ]
    assert of_first["events"][2]["id"] == late.id
    assert of_first["events"][2]["details"] == details
    assert len(of_second["events"]) == 2


def delete_an_event():
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM task_events")


@pytest.mark.django_db(transaction=True)
def test_events_are_append_only_again_after_pruning():
    old_tasks(1)
    record_task("created", TaskFactory(), "maria")

    prune_all(with_events=True)
    with pytest.raises(DatabaseError, match="Cannot update or delete"):
        delete_an_event()
    with transaction.atomic():
        prune.delete_events([])
        with pytest.raises(DatabaseError, match="Cannot update or delete"):
            delete_an_event()
    assert TaskEvent.objects.count() == 1


@pytest.mark.own_connections
@pytest.mark.django_db(transaction=True)
def test_a_refused_deletion_of_events_keeps_its_own_error():
    old_tasks(1)

    with background() as run, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE task_events IN SHARE MODE")

        def prune_impatiently():
            with connection.cursor() as own:
                own.execute("SET lock_timeout = '100ms'")
            prune_all(with_events=True)

        with pytest.raises(DatabaseError, match="lock timeout"):
            run(prune_impatiently).result(timeout=20)
    assert Task.objects.count() == 1


def test_tasks_that_a_retried_claim_may_need_are_kept():
    task = completed(Now() - timedelta(hours=23))

    with pytest.raises(Refusal, match="kept for 24 hours"):
        prune_all(age=timedelta(hours=23))
    prune_all(age=timedelta(hours=24))

    assert kept() == [task.id]


@pytest.mark.django_db(transaction=True)
def test_dispatch_continues_while_a_batch_is_open(tmp_path, monkeypatch):
    old_tasks(3)
    ready, suggestion = TaskFactory(), SuggestionFactory()
    held = TaskFactory(assigned=True)
    write = Archive.write

    def meanwhile(archive, name, lines):
        with background() as run:
            claim = run(services.claim_next_task, "van-1", actor="api")
            approval = run(services.approve_suggestion, suggestion.id, actor="maria")
            completion = run(services.complete_task, held.id, actor="api")
            assert claim.result(timeout=10) == ready
            assert approval.result(timeout=10).task.status == "ready"
            assert completion.result(timeout=10).status == "completed"
        write(archive, name, lines)

    monkeypatch.setattr(Archive, "write", meanwhile)

    assert prune_all(tmp_path) == [services.Pruned(tasks=3, events=0)]


@pytest.mark.django_db(transaction=True)
def test_a_task_held_by_another_transaction_is_left_to_the_next_run(tmp_path):
    held, free = old_tasks(2)

    with background() as run, transaction.atomic():
        Task.objects.select_for_update(no_key=True).get(pk=held)
        assert run(prune_all, tmp_path).result(timeout=10) == [services.Pruned(1, 0)]
        assert archived_ids(tmp_path) == [free]

    prune_all(tmp_path)
    assert archived_ids(tmp_path) == [held, free]


@pytest.mark.django_db(transaction=True)
def test_two_runs_at_once_share_the_work(tmp_path, small_batches):
    ids = old_tasks(40)

    with background() as run:
        for call in [run(prune_all, tmp_path) for _ in range(2)]:
            call.result(timeout=30)

    assert sorted(archived_ids(tmp_path)) == ids
    assert not kept()
