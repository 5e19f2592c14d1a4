"""Many clients and killed processes, on real gunicorn."""

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


def test_killed_processes_lose_no_task_and_hand_out_none_twice():
    make_tasks(1200)

    with serve(workers=3) as server, workers_dying(server) as killer:
        claimed, broken = claim_all(server.url)

    assert killer.killed >= 2, "The test ended before a process was killed."
    assert broken > 0
    assert_each_task_was_claimed_once(claimed)


def test_eight_clients_approving_the_same_suggestions_make_one_task_each():
    ids = make_suggestions(1000)

    with serve(workers=3) as server:
        answers = approve_all_by_eight(server.url, ids)

    assert_each_became_one_task(ids, answers)
