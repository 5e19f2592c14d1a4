"""The ready tasks that a crew may take: all, unless the roster or the claim limits them.

Each scope is a statement of its own, so that an index serves it. The statement also checks that the
scope is the crew's, so a claim need not read the roster first.
"""

import re
from datetime import datetime
from enum import Enum
from functools import cache

from django.conf import settings
from django.db import connection
from django.db.models import BooleanField
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now

from ..exceptions import Conflict, InactiveCrew
from ..models import Crew, Task
from ..models.crews import LAST_SEEN_IS_OLD
from ..models.tasks import TaskQuerySet
from .rows import run

# Other limits of the crew of a scope. Written so that no index serves them: the scope's own
# condition chooses the index. A van whose capacity is unknown takes any number.
ROOM = "qty <= coalesce((SELECT capacity FROM crews WHERE worker_id = {worker}), 2147483647)"
OWN_SYSTEM = """
    system = coalesce((SELECT nullif(system, '') FROM crews WHERE worker_id = {worker}), system)
"""


class Scope(Enum):
    """A condition on tasks. {worker} and {area} are its parameters, the other names are above."""

    EVERYTHING = """
        NOT EXISTS (
            SELECT FROM crews
            WHERE worker_id = {worker}
              AND (NOT active OR capacity IS NOT NULL OR areas <> '{{}}' OR system <> '')
        )
    """
    ONE_AREA = """
        area = (
            SELECT areas[1] FROM crews
            WHERE worker_id = {worker} AND active AND cardinality(areas) = 1
        )
        AND {room} AND {own_system}
    """
    AREAS = """
        area = ANY ((
            SELECT areas FROM crews
            WHERE worker_id = {worker} AND active AND cardinality(areas) > 1
        )::text[])
        AND {room} AND {own_system}
    """
    CAPACITY = """
        qty <= (
            SELECT capacity FROM crews
            WHERE worker_id = {worker} AND active AND areas = '{{}}' AND system = ''
        )
    """
    SYSTEM = """
        system = (
            SELECT system FROM crews
            WHERE worker_id = {worker} AND active AND areas = '{{}}' AND system <> ''
        )
        AND {room}
    """
    NAMED_AREA = """
        area = {area}
        AND NOT EXISTS (
            SELECT FROM crews
            WHERE worker_id = {worker}
              AND (NOT active OR areas <> '{{}}' AND {area} <> ALL (areas))
        )
        AND {room} AND {own_system}
    """

    @property
    def with_limits(self) -> str:
        return self.value.replace("{room}", ROOM).replace("{own_system}", OWN_SYSTEM)

    def tasks(self) -> TaskQuerySet:
        """The tasks of this scope, as a query to compile with `mogrify`: that leaves its %s."""
        condition = self.with_limits.format(worker="%%s::text", area="%%s::text")
        # The condition is one of the above.
        tasks = Task.objects.filter(RawSQL(condition, (), output_field=BooleanField()))  # noqa: S611
        return tasks.order_of_area() if self in ONE_PLACE else tasks

    def parameters(self, worker_id: str, area: str | None) -> list[str | None]:
        """The values of the query's %s, in order."""
        given = {"worker": worker_id, "area": area}
        return [given[name] for name in re.findall("{(worker|area)}", self.with_limits)]


ONE_PLACE = {Scope.ONE_AREA, Scope.SYSTEM, Scope.NAMED_AREA}
# The scope of the last task of each crew on the roster. A guess: the roster may have changed.
served: dict[str, Scope] = {}


def likely_scope(worker_id: str, area: str | None) -> Scope:
    """Guess the scope, or read it from the roster if crews that are not on it are refused."""
    if settings.UNKNOWN_CREWS == "refuse":
        return scope_of(worker_id, area)
    return Scope.NAMED_AREA if area is not None else served.get(worker_id, Scope.EVERYTHING)


def scope_of(worker_id: str, area: str | None) -> Scope:
    """Read the roster, and note there that the crew was seen.

    Conflict: the crew is not active, or does not work in `area`, or is not on the roster and
    UNKNOWN_CREWS is "refuse".
    """
    crews = Crew.objects.filter(worker_id=worker_id)
    crew = crews.with_age_of_last_seen().first() or Crew()
    if crew.pk is None and settings.UNKNOWN_CREWS == "refuse":
        raise Conflict(f"Crew {worker_id} is not on the roster.")
    if not crew.active:
        raise InactiveCrew(f"Crew {worker_id} is not active.")
    if area is not None and crew.areas and area not in crew.areas:
        raise Conflict(f"Crew {worker_id} does not work in {area}.")
    if crew.last_seen_is_old:
        crews.filter(LAST_SEEN_IS_OLD).update(last_seen_at=Now())
    return Scope.NAMED_AREA if area is not None else scope_without_area(crew)


def scope_without_area(crew: Crew) -> Scope:
    if crew.areas:
        return Scope.ONE_AREA if len(crew.areas) == 1 else Scope.AREAS
    if crew.system:
        return Scope.SYSTEM
    return Scope.CAPACITY if crew.capacity is not None else Scope.EVERYTHING


def note_served(worker_id: str, scope: Scope) -> None:
    """Remember only crews on the roster, so there are few."""
    if scope is Scope.EVERYTHING:
        served.pop(worker_id, None)
    elif scope is not Scope.NAMED_AREA:
        served[worker_id] = scope


def count_claimable(crew: Crew, *, most: int) -> tuple[int, datetime]:
    """Count the ready tasks that the crew may take, up to `most`. Returns the database's time, too.

    It costs what a claim costs that finds no task.
    """
    scope = scope_without_area(crew)
    [[(count, now)]] = run((count_statement(scope, most), scope.parameters(crew.worker_id, None)))
    return count, now


@cache
def count_statement(scope: Scope, most: int) -> str:
    tasks = scope.tasks()
    queue = (tasks if tasks.ordered else tasks.dispatch_order()).ready().values("id")[:most]
    with connection.cursor() as cursor:
        text = cursor.mogrify(*queue.query.sql_with_params())
    return f"SELECT count(*), clock_timestamp() FROM ({text}) AS task"  # noqa: S608
