"""When a system is read next, and which of those that are due are read now."""

from datetime import timedelta

import pytest

from dispatch.models import System
from dispatch.polling.schedule import MOST_PER_HOST, after_failure, after_success, pick

NO_TTL = timedelta()


@pytest.mark.parametrize(("ttl", "seconds"), [(0, 60), (30, 60), (300, 300), (86_400, 900)])
def test_status_is_read_again_when_its_ttl_is_over(ttl, seconds):
    for _ in range(20):
        assert seconds <= after_success(60, timedelta(seconds=ttl)) <= 1.05 * seconds


def test_operator_may_poll_more_rarely_than_any_ttl_allows():
    assert after_success(3600, NO_TTL) >= 3600


@pytest.mark.parametrize(("failures", "seconds"), [(1, 120), (3, 480), (9, 600), (9999, 600)])
def test_polls_become_rarer_after_failures_down_to_a_limit(failures, seconds):
    assert 0.9 * seconds <= after_failure(60, failures, 0) <= 1.1 * seconds


@pytest.mark.parametrize(("asked", "least"), [(3600, 3600), (10**9, 86_400)])
def test_pause_is_as_long_as_the_server_asks(asked, least):
    for _ in range(20):
        assert least <= after_failure(60, 1, asked) <= 1.3 * least


def a_system(pk, host="feeds.example"):
    return System(pk=pk, name=f"s{pk}", address=f"https://{host}/{pk}/gbfs.json")


def test_systems_that_are_due_longest_are_read_first():
    due = [a_system(pk, f"h{pk}.example") for pk in (3, 1, 2)]

    assert list(pick(due, [], free=2)) == due[:2]


def test_host_gets_few_requests_at_once():
    due = [a_system(pk) for pk in range(20)]
    other = a_system(20, "other.example")

    assert list(pick([*due, other], [], free=32)) == [*due[:MOST_PER_HOST], other]
    assert list(pick(due[1:], due[:1], free=32)) == due[1:MOST_PER_HOST]


def test_system_is_not_read_twice_at_a_time():
    system = a_system(1)

    assert list(pick([system], [system], free=1)) == []
