"""A shift of three crews in two areas, with figures that can be worked out by hand."""

from datetime import timedelta

from dispatch.models import TaskEvent
from dispatch.models.events import LEASE_EXPIRED

from .factories import CrewFactory, StationFactory, TaskFactory
from .kpi_days import at

EAST, WEST, NOWHERE = 10, 20, 30


def happened(kind, moment, task_id, worker_id=None, attempt=0, **details):
    TaskEvent.objects.create(
        kind=kind,
        at=moment,
        task_id=task_id,
        suggestion_id=task_id,
        worker_id=worker_id,
        attempt=attempt,
        actor="test",
        details=details,
    )


def shift():
    """Enter five tasks that were worked on, one that was undone, and one that is ready."""
    for number, area in ((EAST, "East"), (WEST, "West")):
        StationFactory(id=number, area=area)
    CrewFactory(worker_id="van-1", name="Night van")
    given_back_and_claimed_by_another()
    reassigned_and_lost()
    claimed_the_day_before()
    pruned()
    undone()
    happened("approved", at(18), 6)
    TaskFactory(id=6, from_station_id=WEST, created_at=at(18))


def given_back_and_claimed_by_another():
    """Waits of 10 and 20 minutes; 30 minutes of work; a late report by the first crew."""
    TaskFactory(id=1, completed=True, from_station_id=EAST)
    happened("approved", at(9), 1, area="East")
    happened("claimed", at(9, 10), 1, "van-1", 1)
    happened("released", at(9, 30), 1, "van-1", 1, reason="Flat tyre")
    happened("claimed", at(9, 50), 1, "van-2", 2)
    happened("late_report", at(10), 1, "van-1", 1, moved_qty=9)
    happened("completed", at(10, 20), 1, "van-2", 2, moved_qty=5)


def reassigned_and_lost():
    """Waits of 30 and 20 minutes, none before the reassignment; 30 minutes of reported work."""
    TaskFactory(id=2, completed=True, from_station_id=EAST)
    happened("created", at(9), 2)
    happened("reassigned", at(9, 30), 2, "van-1", 1)
    happened("reassigned", at(9, 40), 2, "van-2", 2, former_worker_id="van-1")
    happened("extended", at(10), 2, "van-2", 2)
    happened("released", at(10, 40), 2, "van-2", 2, reason=LEASE_EXPIRED)
    happened("claimed", at(11), 2, "van-1", 3)
    reported = at(11, 30).isoformat()
    happened("completed", at(12), 2, "van-1", 3, moved_qty=3, completed_at=reported)


def claimed_the_day_before():
    """Twenty minutes of work over midnight, without an area."""
    TaskFactory(id=3, completed=True, from_station_id=NOWHERE)
    midnight = at(0)
    happened("approved", midnight - timedelta(hours=1), 3)
    happened("claimed", midnight - timedelta(minutes=10), 3, "van-3", 1)
    happened("completed", at(0, 10), 3, "van-3", 1, moved_qty=4)


def pruned():
    """A wait of 5 minutes and 40 minutes of work. Only the events are left."""
    happened("approved", at(8), 4, area="West")
    happened("claimed", at(8, 5), 4, "van-1", 1)
    happened("completed", at(8, 45), 4, "van-1", 1, moved_qty=2)


def undone():
    TaskFactory(id=5, cancelled=True, from_station_id=WEST)
    happened("approved", at(9), 5)
    happened("undone", at(9, 1), 5)
