"""Import crews into the roster, all or none."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.core.exceptions import ValidationError
from django.db import transaction

from ..exceptions import Refusal
from ..models import Crew, Station
from ..texts import is_printable, isolated
from .locks import advisory_lock

SHOWN = 20
FIELDS = ["name", "capacity", "system", "areas", "language", "active", "note"]


@dataclass(frozen=True)
class CrewRow:
    """`values`: new values by field. Other fields stay as they are."""

    worker_id: str
    values: dict[str, Any]


@dataclass
class RosterChange:
    added: list[Crew] = field(default_factory=list)
    changed: list[Crew] = field(default_factory=list)
    unchanged: int = 0

    def add(self, crew: Crew, values: dict[str, Any]) -> None:
        """Set the values, and count the crew as added, changed or unchanged."""
        former = {name: getattr(crew, name) for name in values}
        for name, value in values.items():
            setattr(crew, name, value)
        if crew.pk is None:
            self.added.append(crew)
        elif former != values:
            self.changed.append(crew)
        else:
            self.unchanged += 1

    def __str__(self) -> str:
        return f"{len(self.added)} added, {len(self.changed)} changed, {self.unchanged} unchanged."


def lock_roster() -> None:
    """Wait until no other transaction changes the roster. Claims do not wait."""
    advisory_lock("roster")


@transaction.atomic(durable=True)
def import_crews(rows: Sequence[CrewRow], *, user_id: int | None) -> RosterChange:
    """Add and change crews; crews that are not in `rows` stay as they are.

    `user_id`: the account whose entries the history shows. None: none are made.
    Refusal: names every invalid row; nothing was changed.
    """
    lock_roster()
    # Other ids, such as one with a NUL, would break the query; they are reported below.
    ids = [row.worker_id for row in rows if is_printable(row.worker_id)]
    crews = Crew.objects.in_bulk(ids, field_name="worker_id")
    systems, systems_of = Station.objects.systems(), Station.objects.systems_of_areas()
    change = RosterChange()
    problems: list[str] = []
    seen: set[str] = set()
    for row in rows:
        crew = crews.get(row.worker_id) or Crew(worker_id=row.worker_id)
        former, known_systems = list(crew.areas), {"", crew.system, *systems}
        change.add(crew, row.values)
        faults = [*faults_of(crew)]
        if systems and crew.system not in known_systems:
            faults.append(f"system: no station belongs to {isolated(crew.system)}")
        faults += [f"areas: {each}" for each in faults_of_areas(crew, systems_of, former)]
        if row.worker_id in seen:
            faults.append("appears twice")
        seen.add(row.worker_id)
        problems += [f"{isolated(row.worker_id)}: {fault}" for fault in faults]
    if problems:
        raise Refusal("\n".join(["Nothing was changed.", *first_of(problems)]))
    save(change, user_id)
    return change


def faults_of(crew: Crew) -> Iterator[str]:
    try:
        crew.full_clean(validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        for name, messages in error.message_dict.items():
            yield f"{name}: {' '.join(messages)}"


def faults_of_areas(
    crew: Crew, systems_of: Mapping[str, set[str]], former: Collection[str]
) -> Iterator[str]:
    """`systems_of`: the systems of each area. Without any, all areas may be named.

    `former`: areas that the crew had already. No station may lie there any more.
    """
    for area in sorted({*crew.areas}) if systems_of else ():
        systems, name = systems_of.get(area, set()), isolated(area)
        if not systems and area not in former:
            yield f"no station lies in {name}"
        elif systems and crew.system and crew.system not in systems:
            yield f"no station of {isolated(crew.system)} lies in {name}"
        elif len(systems) > 1 and not crew.system:
            owners = " and ".join(map(isolated, sorted(systems)))
            yield f"{name} is an area of {owners}; name the crew's system"


def first_of(problems: list[str]) -> list[str]:
    more = len(problems) - SHOWN
    return [*problems[:SHOWN], *([f"... and {more} more"] if more > 0 else [])]


def save(change: RosterChange, user_id: int | None) -> None:
    for crew in change.added:
        crew.save(force_insert=True)
    for crew in change.changed:
        crew.save(update_fields=FIELDS)
    if user_id is None:
        return
    for crews, flag in ((change.added, ADDITION), (change.changed, CHANGE)):
        LogEntry.objects.log_actions(user_id, crews, flag, change_message="Imported from a file.")
