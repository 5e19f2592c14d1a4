"""Many clients and killed processes, on real gunicorn."""

import pytest

from ..support.loads import (
    assert_eight_clients_make_one_task_of_each,
    assert_killed_processes_lose_no_task,
)
from ..support.server import serve

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(180),
]


def test_killed_processes_lose_no_task_and_hand_out_none_twice():
    assert_killed_processes_lose_no_task(serve)


def test_eight_clients_approving_the_same_suggestions_make_one_task_each():
    assert_eight_clients_make_one_task_of_each(serve)
