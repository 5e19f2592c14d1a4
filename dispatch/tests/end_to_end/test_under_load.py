"""Many clients and dying processes, on real gunicorn."""

import pytest

from ..support.loads import (
    approve_all_by_eight,
    assert_each_became_one_task,
    assert_each_task_was_claimed_once,
    claim_all,
    make_suggestions,
    make_tasks,
    workers_dying,
)
from ..support.server import serve

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(180),
]


def test_no_task_is_handed_out_twice_or_lost_while_processes_are_killed():
    make_tasks(1200)

    with serve(workers=3) as server, workers_dying(server) as killer:
        claimed, broken = claim_all(server.url)

    assert killer.killed >= 2, "The test ended before anything was killed."
    assert broken > 0
    assert_each_task_was_claimed_once(claimed)


def test_a_thousand_suggestions_approved_by_eight_clients_each_make_a_thousand_tasks():
    ids = make_suggestions(1000)

    with serve(workers=3) as server:
        answers = approve_all_by_eight(server.url, ids)

    assert_each_became_one_task(ids, answers)
