"""Thirty phones, a dispatcher and a killed server, on a network that loses a third of the answers.

PHONES_SECONDS is the duration of the shift; its stops get longer with it.
"""

import os
from datetime import timedelta

import pytest
from django.utils import timezone

from dispatch.models import TaskEvent

from ..support.bad_network import Fate
from ..support.phone_books import faults, held_by_two
from ..support.phone_shift import run_shift
from ..support.phones import ForgetfulPhone, Phone, PhoneWithNewIds, PhoneWithoutClaimKeys

SECONDS = float(os.environ.get("PHONES_SECONDS", "75"))
SECONDS_OF_A_CONTROL = 12

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(int(SECONDS) + 240),
]


@pytest.fixture(autouse=True)
def short_leases(settings):
    """For the dispatcher's assignments; the server has its own setting."""
    settings.TASK_LEASE_MINUTES = 1


def test_thirty_phones_lose_and_double_nothing():
    shift = run_shift(Phone, SECONDS, kill=True)

    assert faults(shift.books, shift.phones) == {}
    assert set(shift.fates) == set(Fate)
    assert shift.restarts
    answers = {answer["code"] for answer in shift.books.answers.values()}
    assert answers >= {"done", "given_back", "problem_noted", "reassigned", "cancelled", "released"}
    kinds = set(TaskEvent.objects.values_list("kind", flat=True))
    assert kinds >= {"completed", "late_report", "released", "reassigned", "problem", "seen"}


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        (PhoneWithNewIds, "a report recorded twice or unasked"),
        (PhoneWithoutClaimKeys, "a claim without a tap"),
        (ForgetfulPhone, "a report without an answer"),
    ],
)
def test_mistake_of_phones_is_found(kind, fault):
    shift = run_shift(kind, SECONDS_OF_A_CONTROL)

    assert fault in faults(shift.books, shift.phones)


@pytest.mark.parametrize(
    "history",
    [
        [("claimed", "van-1"), ("claimed", "van-2")],
        [("claimed", "van-1"), ("claimed", "van-1")],
        [("claimed", "van-1"), ("reassigned", "van-2"), ("completed", "van-1")],
        [("claimed", "van-1"), ("released", "van-2")],
    ],
)
def test_task_held_by_two_is_found(history):
    at = timezone.now()
    events = [TaskEvent(task_id=1, kind=kind, worker_id=crew, at=at) for kind, crew in history]

    assert held_by_two(events) == [1]


def test_claim_that_began_before_the_former_ended_is_found():
    at = timezone.now()
    history = [("claimed", 0), ("released", 2), ("claimed", 1)]
    events = [
        TaskEvent(task_id=1, kind=kind, worker_id="van-1", at=at + timedelta(seconds=seconds))
        for kind, seconds in history
    ]

    assert held_by_two(events) == [1]
