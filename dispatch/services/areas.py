"""The areas of tasks. A trigger sets a task's area when it is created."""

from django.db import connection

# Few rows: an index lists the open tasks.
FOLLOW = """
    UPDATE tasks SET area = stations.area
    FROM stations
    WHERE stations.id = tasks.from_station_id AND tasks.status IN ('ready', 'assigned')
      AND stations.area <> tasks.area
"""


def update_areas_of_open_tasks() -> int:
    """Give open tasks the areas that their sources have now. Returns how many changed."""
    with connection.cursor() as cursor:
        cursor.execute(FOLLOW)
        changed: int = cursor.rowcount
        return changed
