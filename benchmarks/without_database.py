"""The service with a claim that uses no database: the cost of the web server and the framework."""

from datetime import UTC, datetime

from baywheels.wsgi import application
from dispatch import services
from dispatch.models import Task

TASK = Task(
    id=1,
    from_station_id=100,
    to_station_id=200,
    qty=5,
    reason="Station 100 is full, Station 200 needs bikes",
    status="assigned",
    worker_id="van-1",
    created_at=datetime(2026, 5, 4, 8, 30, tzinfo=UTC),
)
services.claim_next_task = lambda *_, **__: TASK

__all__ = ["application"]
