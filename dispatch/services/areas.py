"""The areas and systems of tasks. A trigger sets them when a task is created."""

from django.db import connection, transaction

# A small batch: claims pass over ready tasks that it holds.
BATCH = 100
# Few rows: an index lists the open tasks. Locked in id order, as everywhere, so that a sync and a
# sweep cannot deadlock.
FOLLOW = """
    WITH outdated AS (
        SELECT tasks.id FROM tasks JOIN stations ON stations.id = tasks.from_station_id
        WHERE tasks.status IN ('ready', 'assigned')
          AND (stations.area, stations.system) <> (tasks.area, tasks.system)
        ORDER BY tasks.id LIMIT %s FOR NO KEY UPDATE OF tasks
    )
    UPDATE tasks SET area = stations.area, system = stations.system
    FROM stations, outdated
    WHERE tasks.id = outdated.id AND stations.id = tasks.from_station_id
"""


def update_areas_of_open_tasks() -> None:
    """Give open tasks the places that their sources have now."""
    while update_areas():
        pass


@transaction.atomic(durable=True)
def update_areas(*, limit: int = BATCH) -> int:
    """Do so with a batch of tasks. Return how many changed."""
    with connection.cursor() as cursor:
        cursor.execute(FOLLOW, [limit])
        changed: int = cursor.rowcount
        return changed
