"""Approvals wait for each other only where they could promise the same bikes twice."""

import re
from collections.abc import Callable
from contextlib import closing, contextmanager, nullcontext
from unittest.mock import patch

import pytest
from django.db import connection
from django.test import override_settings

from dispatch import services
from dispatch.exceptions import Conflict
from dispatch.models import StationStatus, Task
from dispatch.services import approvals
from dispatch.services.guard import StaleLocks, lock_statement
from dispatch.services.rows import run as run_statements

from ..support.concurrency import background, open_transaction, wait_until_blocked
from ..support.factories import StationFactory, SuggestionFactory, TaskFactory
from ..support.guards import statements_rewritten, without_advisory_locks
from ..support.interleavings import explore, in_words

pytestmark = [pytest.mark.own_connections, pytest.mark.django_db(transaction=True)]
A, B, C = 1, 2, 3


def record_count(station_id):
    """Store a station's count in one statement, as a poll does."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO station_status (station_id, bikes, docks, as_of)"
            " VALUES (%s, 5, 5, clock_timestamp())",
            [station_id],
        )


@pytest.fixture
def stations():
    return [StationFactory(id=number) for number in (A, B, C)]


@pytest.fixture
def refusing(settings):
    settings.INVENTORY_GUARD = "refuse"


def approve(suggestion):
    return services.approve_suggestion(suggestion.id, actor="tom")


def chain():
    """Two moves that share station B."""
    return (
        SuggestionFactory(from_station_id=A, to_station_id=B),
        SuggestionFactory(from_station_id=B, to_station_id=C),
    )


def test_stations_are_locked_by_number_after_their_moves():
    with open_transaction():
        [rows] = run_statements(lock_statement([(9, 10), (10, 9)], exclusive=False))
    assert [station_id for station_id, *_ in rows] == [None, None, 9, 10]


def test_chained_approvals_without_counts_do_not_wait(stations):
    first, second = chain()

    with background() as run, open_transaction():
        approve(first)
        assert run(approve, second).result(timeout=10).task.suggestion_id == second.id


def test_counts_of_other_stations_cause_no_wait(stations):
    record_count(C)
    first, second = chain()

    with background() as run, open_transaction():
        approve(first)
        assert run(approve, second).result(timeout=10).task.suggestion_id == second.id


def test_chained_approvals_with_a_count_wait(stations):
    record_count(B)
    first, second = chain()

    with background() as run:
        with open_transaction():
            approve(first)
            waiting = run(approve, second)
            wait_until_blocked(waiting)
        assert waiting.result(timeout=10).task.suggestion_id == second.id


def test_the_same_move_without_counts_waits_and_names_the_other_task():
    first, second = SuggestionFactory.create_batch(2)

    with background() as run:
        with open_transaction():
            approve(first)
            waiting = run(approve, second)
            wait_until_blocked(waiting)
        [warning] = waiting.result(timeout=10).warnings
    task = Task.objects.get(suggestion_id=first.id)
    assert warning.startswith(f"Task {task.id} (ready) already moves bikes")


def test_a_new_count_makes_the_next_approval_wait(stations, refusing):
    first, second = SuggestionFactory.create_batch(2, from_station_id=A, to_station_id=B)

    with background() as run:
        with open_transaction():
            approve(first)
            run(record_count, A).result(timeout=10)
            waiting = run(approve, second)
            wait_until_blocked(waiting)
        with pytest.raises(Conflict, match="already promised"):
            waiting.result(timeout=10)


def test_an_approval_starts_over_if_a_count_arrives(stations, refusing):
    record_count(A)
    first, _ = chain()

    with choosing_before_the_poll():
        with pytest.raises(StaleLocks):
            approvals.approve_all([first.id], "tom", fit=False, exclusive=False)
        assert not Task.objects.exists()
        assert approve(first).task.qty == 5


def test_a_manual_task_waits_even_without_counts(stations):
    first, _ = chain()
    task = TaskFactory.build(from_station_id=B, to_station_id=C)

    with background() as run:
        with open_transaction():
            approve(first)
            waiting = run(services.create_task, task, actor="ada")
            wait_until_blocked(waiting)
        assert waiting.result(timeout=10).task.pk


# Every order of two approvals of the last five bikes, and of the poll that counts them


def counted_before():
    StationStatus.objects.all().delete()
    record_count(A)
    return two_suggestions()


def two_suggestions():
    return [SuggestionFactory(from_station_id=A, to_station_id=end) for end in (B, C)]


def not_counted():
    StationStatus.objects.all().delete()
    return two_suggestions()


def first(suggestions):
    return approve(suggestions[0])


def second(suggestions):
    return approve(suggestions[1])


def poll_and_second(suggestions):
    record_count(A)
    return approve(suggestions[1])


def matters(sql):
    """Locks, the reading of counts, and the writes: a stop at each statement takes hours."""
    return bool(re.search("AS locks|AS promised|INSERT INTO (tasks|station_status)", sql))


def ends(prepare: Callable, other: Callable):
    """Yield the results of both approvals and the promised bikes of A for each schedule."""
    with override_settings(INVENTORY_GUARD="refuse"):
        for run in explore(prepare, first, other, stops_at=matters):
            promised = sum(Task.objects.values_list("qty", flat=True))
            yield (*(in_words(each).split(",")[0] for each in run.results), promised), run


SEARCHES = {"counted": (counted_before, second), "polled": (not_counted, poll_and_second)}
ONE_OF_THEM = {("approved", "Conflict", 5), ("Conflict", "approved", 5)}


def without_shared_locks():
    shared, with_no_one = "_shared(hashtextextended(name, 0))", "_shared(pg_backend_pid())"
    return statements_rewritten(lambda sql: sql.replace(shared, with_no_one))


def choosing_before_the_poll():
    """Locks are chosen as from a snapshot without counts, before these are read."""
    return statements_rewritten(lambda sql: sql.replace("OR EXISTS", "OR false AND EXISTS"))


@contextmanager
def without_starting_over():
    with choosing_before_the_poll(), patch.object(approvals, "check_locks_cover", lambda *_: None):
        yield


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "circumstance"),
    [("counted", nullcontext), ("polled", nullcontext), ("counted", choosing_before_the_poll)],
)
def test_no_order_promises_the_last_bikes_twice(name, circumstance, stations):
    seen = set()
    with circumstance(), closing(ends(*SEARCHES[name])) as found:
        for end, run in found:
            assert end in ONE_OF_THEM, f"{end}\n{run}"
            seen.add(end)

    assert seen == ONE_OF_THEM


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "without"),
    [
        ("counted", without_advisory_locks),
        ("polled", without_advisory_locks),
        ("polled", without_shared_locks),
        ("counted", without_starting_over),
    ],
)
def test_search_finds_an_over_promise_without_each_guard(name, without, stations):
    with without(), closing(ends(*SEARCHES[name])) as found:
        assert ("approved", "approved", 10) in (end for end, _ in found)
