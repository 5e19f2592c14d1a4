"""The time when each crew of the roster was last seen."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from dispatch import services
from dispatch.exceptions import Conflict
from dispatch.models import Crew, TaskEvent

from ..support.factories import MORNING, CrewFactory, TaskFactory, UserFactory

pytestmark = pytest.mark.django_db


def claim(worker_id):
    return services.claim_next_task(worker_id, actor="api")


def seen_at(worker_id="van-1"):
    return Crew.objects.with_last_seen().get(worker_id=worker_id).seen_at


@pytest.mark.parametrize("crew", [{}, {"areas": ["East Bay"]}, {"capacity": 3}])
def test_empty_claim_shows_the_crew(crew):
    CrewFactory(worker_id="van-1", **crew)
    CrewFactory(worker_id="van-2")

    assert claim("van-1") is None

    assert timezone.now() - seen_at() < timedelta(minutes=1)
    assert seen_at("van-2") is None


@pytest.mark.django_db(transaction=True)
def test_empty_claim_is_committed():
    CrewFactory(worker_id="van-1")
    claim("van-1")
    assert Crew.objects.get().last_seen_at


@pytest.mark.parametrize(("seconds", "is_written"), [(20, False), (40, True)])
def test_empty_claims_write_at_most_every_30_seconds(seconds, is_written):
    CrewFactory(worker_id="van-1")
    Crew.objects.update(last_seen_at=Now() - timedelta(seconds=seconds))
    before = Crew.objects.get().last_seen_at

    claim("van-1")

    assert (Crew.objects.get().last_seen_at != before) == is_written


def test_successful_claim_of_an_unlimited_crew_writes_nothing_to_the_roster():
    CrewFactory(worker_id="van-1")
    TaskFactory()

    assert claim("van-1")

    assert Crew.objects.get().last_seen_at is None
    assert seen_at() == TaskEvent.objects.get(kind="claimed").at


def test_refused_claim_of_an_inactive_crew_does_not_count():
    CrewFactory(worker_id="van-1", active=False)
    with pytest.raises(Conflict):
        claim("van-1")
    assert seen_at() is None


def test_completion_and_extension_show_the_crew_and_an_assignment_does_not():
    CrewFactory(worker_id="van-1")
    task = TaskFactory()
    services.reassign_task(task.pk, "van-1", actor="maria", reason="Near")
    assert seen_at() is None

    services.extend_lease(task.pk, actor="api", worker_id="van-1")
    assert seen_at() == TaskEvent.objects.get(kind="extended").at

    services.complete_task(task.pk, actor="api")
    assert seen_at() == TaskEvent.objects.get(kind="completed").at


def test_use_of_its_token_shows_the_crew():
    CrewFactory(worker_id="van-1")
    for worker_id, at in (("van-1", MORNING), ("van-2", timezone.now())):
        token, _ = services.create_token(
            UserFactory(), actor="maria", label="phone", worker_id=worker_id
        )
        type(token).objects.filter(pk=token.pk).update(last_used_at=at)

    assert seen_at() == MORNING
