"""The systems that `poll_status` reads: their list, and which of them are due.

No lock is held while a feed is read: a lease keeps other pollers off, and a killed poller's systems
are read again when it ends.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from ..exceptions import Refusal
from ..gbfs.fetch import is_address
from ..models import StationFeed, System
from ..texts import is_printable, isolated
from ..values import header_fields
from .locks import advisory_lock

# Longer than all documents of a system can take.
LEASE = timedelta(minutes=3)
FIELDS = ("address", "headers", "active")


@dataclass(frozen=True)
class SystemLease:
    """A system to read. `feeds`: their last readings. `with_stations`: those are due as well.
    `late`: seconds since it became due."""

    system: System
    feeds: Mapping[str, StationFeed]
    with_stations: bool
    late: float


@transaction.atomic(durable=True)
def lease_systems(pick: Callable[[Iterable[System]], Iterable[System]]) -> list[SystemLease]:
    """Lease those that `pick` chooses of the systems that are due, unless another poller has."""
    chosen = [system.pk for system in pick(System.objects.due())]
    if not chosen:
        return []
    due = System.objects.due().filter(pk__in=chosen).annotate(now=Now())
    leased = list(due.select_for_update(skip_locked=True, no_key=True))
    System.objects.filter(pk__in=[each.pk for each in leased]).update(due_at=Now() + LEASE)
    feeds: dict[str, dict[str, StationFeed]] = {}
    for feed in StationFeed.objects.filter(system__in=[each.name for each in leased]):
        feeds.setdefault(feed.system, {})[feed.kind] = feed
    return [lease_of(each, feeds.get(each.name, {})) for each in leased]


def lease_of(system: Any, feeds: Mapping[str, StationFeed]) -> SystemLease:
    """`system`: with the database's clock in `now`."""
    late = (system.now - system.due_at).total_seconds()
    return SystemLease(system, feeds, system.stations_due_at <= system.now, late)


@transaction.atomic(durable=True)
def end_lease(
    lease: SystemLease, *, pause: float, failures: int, stations_pause: float | None
) -> None:
    """Set the next reading, in so many seconds. `stations_pause` None: it stays as it was."""
    changes: dict[str, Any] = {"due_at": Now() + timedelta(seconds=pause), "failures": failures}
    if stations_pause is not None:
        changes["stations_due_at"] = Now() + timedelta(seconds=stations_pause)
    still_leased(lease).update(**changes)


@transaction.atomic(durable=True)
def release_systems(leases: Iterable[SystemLease]) -> None:
    """Make them due again: their readings were given up."""
    for lease in leases:
        still_leased(lease).update(due_at=Now())


def still_leased(lease: SystemLease) -> QuerySet[System]:
    """Return nothing if the operator has changed the system meanwhile: it is due at once."""
    system = lease.system
    return System.objects.filter(pk=system.pk, address=system.address, headers=system.headers)


def read_soon(system: System) -> None:
    """Make the whole system due at once."""
    System.objects.filter(pk=system.pk).update(due_at=Now(), stations_due_at=Now(), failures=0)


@dataclass(frozen=True)
class SystemRow:
    """`values`: new values by field. Other fields stay as they are."""

    name: str
    values: Mapping[str, Any]


@transaction.atomic(durable=True)
def import_systems(rows: Sequence[SystemRow]) -> str:
    """Add and change systems, all or none; others stay as they are. Return the result's sentence.

    Refusal: names every invalid row.
    """
    advisory_lock("systems")
    names = [row.name for row in rows]
    # Other names, such as one with a NUL, would break the query; they are reported below.
    known = System.objects.in_bulk(filter(is_printable, names), field_name="name")
    problems = [f"{isolated(name)}: appears twice" for name in names if names.count(name) > 1]
    added: list[System] = []
    changed: list[System] = []
    for row in rows:
        system = known.get(row.name) or System(name=row.name)
        if any(getattr(system, field) != value for field, value in row.values.items()):
            (changed if system.pk else added).append(system)
        for field, value in row.values.items():
            setattr(system, field, value)
        problems += faults_of(system)
    if problems:
        raise Refusal("\n".join(["Nothing was changed.", *dict.fromkeys(problems)]))
    for system in added:
        system.save(force_insert=True)
    for system in changed:
        system.save(update_fields=FIELDS)
        read_soon(system)
    unchanged = len(rows) - len(added) - len(changed)
    return f"{len(added)} added, {len(changed)} changed, {unchanged} unchanged."


def faults_of(system: System) -> Iterator[str]:
    try:
        system.full_clean(validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        for name, messages in error.message_dict.items():
            yield f"{isolated(system.name)}: {name}: {' '.join(messages)}"
        return
    for name, check in (("address", check_address), ("headers", header_fields)):
        try:
            check(getattr(system, name))
        except (Refusal, ValueError) as error:
            yield f"{isolated(system.name)}: {name}: {error}"


def check_address(address: str) -> None:
    """Refusal: it is not one of the web, or contains a user or a password."""
    if not address.startswith(("http://", "https://")):
        raise Refusal("Enter an address like https://feeds.example/gbfs.json.")
    is_address(address)
