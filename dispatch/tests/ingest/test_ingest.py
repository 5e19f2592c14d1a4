from datetime import UTC, datetime
from itertools import chain

import msgspec
import pytest
from django.db import DatabaseError, connection, transaction

from dispatch.exceptions import NotFound, Refusal
from dispatch.models import Suggestion, Task, TaskEvent
from dispatch.services import approve_suggestion, ingest_suggestions
from dispatch.services.ingest import IngestResult
from dispatch.services.suggestion_rows import SuggestionRow

from ..support.concurrency import background, wait_until_blocked
from ..support.factories import MORNING, SuggestionFactory

pytestmark = pytest.mark.django_db


def move(start, end, qty=5, reason="Full", **fields):
    return SuggestionRow(start, end, qty, reason, **fields)


def ingest(*rows, source="ml", **options):
    return ingest_suggestions(iter(rows), source=source, actor="test", **options)


def fail():
    """Rows that raise when they are consumed."""
    yield 1 / 0


def result(**counts):
    names = ("inserted", "refreshed", "removed", "repeated", "under_way", "decided")
    return IngestResult(**{**dict.fromkeys(names, 0), **counts})


def moves(**filters):
    fields = ("from_station_id", "to_station_id", "qty")
    return list(Suggestion.objects.filter(**filters).order_by("id").values_list(*fields))


def test_all_fields_are_stored_and_one_event_has_the_counts():
    row = move(1, 2, 7, "Leer, 次は", priority=-3, expires_at=MORNING)

    assert ingest(row, move(3, 4)) == result(inserted=2, expired=1)

    first, second = Suggestion.objects.order_by("id")
    assert (first.from_station_id, first.to_station_id, first.qty) == (1, 2, 7)
    assert (first.reason, first.priority, first.source) == ("Leer, 次は", -3, "ml")
    assert first.expires_at == MORNING
    assert (second.priority, second.expires_at) == (0, None)
    event = TaskEvent.objects.get()
    assert (event.kind, event.actor) == ("ingested", "test")
    assert event.details == {
        "replace": False,
        "inserted": 2,
        "refreshed": 0,
        "removed": 0,
        "repeated": 0,
        "under_way": 0,
        "decided": 0,
        "expired": 1,
        "unknown_stations": 0,
        "unknown_station_ids": [],
    }


def test_an_open_move_is_refreshed_and_keeps_its_id_and_age():
    suggestion = SuggestionFactory(source="ml", created_at=MORNING, expires_at=MORNING)

    assert ingest(move(100, 200, 9, "Fuller", priority=5)) == result(refreshed=1)

    fresh = Suggestion.objects.get()
    assert (fresh.id, fresh.created_at) == (suggestion.id, MORNING)
    assert (fresh.qty, fresh.reason, fresh.priority, fresh.expires_at) == (9, "Fuller", 5, None)


def test_the_same_move_of_another_source_is_another_suggestion():
    SuggestionFactory(source="other")
    SuggestionFactory(source="")

    assert ingest(move(100, 200)) == result(inserted=1)
    assert Suggestion.objects.count() == 3


def test_the_last_row_of_a_repeated_move_wins():
    rows = [move(1, 2, 5), move(2, 1, 6), move(1, 2, 7), move(1, 2, 4)]

    assert ingest(*rows) == result(inserted=2, repeated=2)
    assert moves() == [(2, 1, 6), (1, 2, 4)]


def test_of_duplicate_suggestions_the_older_is_refreshed():
    SuggestionFactory.create_batch(2, source="ml")

    assert ingest(move(100, 200, 9)) == result(refreshed=1)
    assert moves() == [(100, 200, 9), (100, 200, 5)]
    assert ingest(move(100, 200, 9), replace=True) == result(refreshed=1, removed=1)
    assert moves() == [(100, 200, 9)]


def test_replace_removes_only_its_own_sources_suggestions():
    kept = SuggestionFactory(source="ml")
    SuggestionFactory(source="ml", to_station_id=300)
    SuggestionFactory(source="other", to_station_id=300)

    counts = ingest(move(100, 200), move(1, 2), replace=True)

    assert counts == result(inserted=1, refreshed=1, removed=1)
    assert moves(source="ml") == [(100, 200, 5), (1, 2, 5)]
    assert Suggestion.objects.filter(pk=kept.pk).exists()
    assert Suggestion.objects.filter(source="other").count() == 1


def test_replacing_with_no_rows_needs_allow_empty():
    SuggestionFactory(source="ml")

    with pytest.raises(Refusal, match="no rows"):
        ingest(replace=True)
    assert Suggestion.objects.exists()
    assert ingest() == result()
    assert ingest(replace=True, allow_empty=True) == result(removed=1)


def test_replacing_without_a_source_is_refused():
    SuggestionFactory()

    with pytest.raises(Refusal, match="needs a source"):
        ingest(move(1, 2), source="", replace=True)
    assert moves() == [(100, 200, 5)]


@pytest.mark.parametrize("source", ["x" * 101, "a\0b", "a\nb", "\ud800", " ml", "  "])
def test_an_invalid_source_is_refused(source):
    with pytest.raises(Refusal, match="at most 100 printable"):
        ingest(move(1, 2), source=source)


@pytest.mark.parametrize("replace", [False, True])
def test_a_dry_run_counts_like_a_real_run(replace):
    SuggestionFactory(source="ml")
    SuggestionFactory(source="ml", to_station_id=300)
    rows = [move(100, 200, 9), move(1, 2), move(1, 2, 8)]

    counted = ingest(*rows, replace=replace, dry_run=True)

    assert moves() == [(100, 200, 5), (100, 300, 5)]
    assert not TaskEvent.objects.exists()
    assert counted == ingest(*rows, replace=replace)


@pytest.mark.django_db(transaction=True)
def test_a_dry_run_waits_for_no_lock():
    suggestion = SuggestionFactory(source="ml")

    with background() as start, transaction.atomic():
        Suggestion.objects.select_for_update().get(pk=suggestion.pk)
        counting = start(ingest, move(100, 200), replace=True, dry_run=True)
        assert counting.result(timeout=20) == result(refreshed=1)


def test_an_exception_from_the_rows_undoes_everything():
    with pytest.raises(ZeroDivisionError):
        ingest_suggestions(chain([move(1, 2)], fail()), source="ml", actor="test")
    assert not Suggestion.objects.exists()
    assert ingest(move(1, 2)) == result(inserted=1)


@pytest.mark.parametrize(
    "row",
    [
        move(1, 2, qty=0),
        move(-1, 2),
        move(1, 2_147_483_648),
        move(1, 2, reason="x" * 2001),
        move(1, 2, priority=101),
    ],
)
def test_postgresql_refuses_rows_that_python_did_not_check(row):
    with pytest.raises(DatabaseError):
        ingest(move(3, 4), row)
    assert not Suggestion.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"to_station_id": 1},
        {"reason": ""},
        {"reason": " \n\u2003"},
        {"reason": "a\0b"},
        {"reason": "\udfff"},
        {"expires_at": datetime(2015, 5, 4)},
        {"expires_at": datetime(1, 1, 1, tzinfo=UTC)},
        {"expires_at": datetime(9999, 12, 31, tzinfo=UTC)},
    ],
)
def test_an_unusable_row_cannot_be_constructed(fields):
    row = {"from_station_id": 1, "to_station_id": 2, "qty": 5, "reason": "Full", **fields}
    with pytest.raises(ValueError, match=r"must|needs|cannot"):
        SuggestionRow(**row)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(row, SuggestionRow)


def test_rows_are_consumed_one_at_a_time():
    alive = 0
    most = 0

    class Counted(SuggestionRow):
        def __post_init__(self):
            nonlocal alive, most
            alive += 1
            most = max(most, alive)

        def __del__(self):
            nonlocal alive
            alive -= 1

    rows = (Counted(n, 5_000, 1, "Full") for n in range(1_000))
    assert ingest_suggestions(rows, source="ml", actor="test").inserted == 1_000
    assert most <= 3


# With the events table locked, every writer stops at its last statement before the commit.


def hold_events():
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE task_events IN EXCLUSIVE MODE")


@pytest.mark.django_db(transaction=True)
def test_readers_see_the_old_suggestions_until_the_new_ones_are_committed():
    SuggestionFactory(source="ml")

    with background() as start, transaction.atomic():
        hold_events()
        replacing = start(ingest, move(1, 2), move(3, 4), replace=True)
        wait_until_blocked(replacing)
        assert moves() == [(100, 200, 5)]
        transaction.set_rollback(True)
    assert replacing.result() == result(inserted=2, removed=1)
    assert moves() == [(1, 2, 5), (3, 4, 5)]


@pytest.mark.django_db(transaction=True)
def test_concurrent_ingests_of_a_source_do_not_duplicate_a_move():
    with background() as start:
        with transaction.atomic():
            hold_events()
            first = start(ingest, move(1, 2, 5))
            wait_until_blocked(first)
            second = start(ingest, move(1, 2, 6))
            wait_until_blocked(second, count=2)
        assert first.result(timeout=20) == result(inserted=1)
        assert second.result(timeout=20) == result(refreshed=1)
    assert moves() == [(1, 2, 6)]


@pytest.mark.django_db(transaction=True)
def test_ingests_of_two_sources_do_not_wait_for_each_other():
    with background() as start:
        with transaction.atomic():
            hold_events()
            first = start(ingest, move(1, 2), source="one")
            wait_until_blocked(first)
            with pytest.raises(ZeroDivisionError):
                start(ingest_suggestions, fail(), source="two", actor="test").result(timeout=20)
        first.result(timeout=20)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("replace", [False, True])
def test_a_move_that_is_being_approved_does_not_come_back(replace):
    suggestion = SuggestionFactory(source="ml")

    with background() as start:
        with transaction.atomic():
            hold_events()
            approving = start(approve_suggestion, suggestion.id, actor="maria")
            wait_until_blocked(approving)
            ingesting = start(ingest, move(100, 200, 9), move(1, 2), replace=replace)
            wait_until_blocked(ingesting, count=2)
        assert approving.result(timeout=20).task.qty == 5
        assert ingesting.result(timeout=20) == result(inserted=1, decided=1)
    assert moves() == [(1, 2, 5)]
    assert Task.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_move_approved_while_the_input_is_read_does_not_come_back():
    suggestion = SuggestionFactory(source="ml")

    def rows():
        yield move(100, 200, 9)
        with background() as start:
            start(approve_suggestion, suggestion.id, actor="maria").result(timeout=20)
        yield move(1, 2)

    counts = ingest_suggestions(rows(), source="ml", actor="test", replace=True)

    assert counts == result(inserted=1, under_way=1)
    assert moves() == [(1, 2, 5)]
    assert Task.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_approval_waits_for_a_running_ingest_and_finds_the_refreshed_move():
    suggestion = SuggestionFactory(source="ml")

    with background() as start:
        with transaction.atomic():
            hold_events()
            ingesting = start(ingest, move(100, 200, 9), replace=True)
            wait_until_blocked(ingesting)
            approving = start(approve_suggestion, suggestion.id, actor="maria")
            wait_until_blocked(approving, count=2)
        assert ingesting.result(timeout=20) == result(refreshed=1)
        assert approving.result(timeout=20).task.qty == 9
    assert not Suggestion.objects.exists()
    assert Task.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_approving_a_suggestion_under_removal_makes_no_task():
    suggestion = SuggestionFactory(source="ml")

    with background() as start:
        with transaction.atomic():
            hold_events()
            ingesting = start(ingest, move(1, 2), replace=True)
            wait_until_blocked(ingesting)
            approving = start(approve_suggestion, suggestion.id, actor="maria")
            wait_until_blocked(approving, count=2)
        assert ingesting.result(timeout=20) == result(inserted=1, removed=1)
        with pytest.raises(NotFound):
            approving.result(timeout=20)
    assert not Task.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_suggestions_are_locked_in_id_order():
    removed = SuggestionFactory(source="ml", to_station_id=300)
    refreshed = SuggestionFactory(source="ml")

    with background() as start:
        with transaction.atomic():
            Suggestion.objects.select_for_update().get(pk=removed.pk)
            ingesting = start(ingest, move(100, 200, 9), replace=True)
            wait_until_blocked(ingesting)
            # While it waits for the first, it does not hold the second, so no deadlock is possible.
            Suggestion.objects.select_for_update(nowait=True).get(pk=refreshed.pk)
        assert ingesting.result(timeout=20) == result(refreshed=1, removed=1)
