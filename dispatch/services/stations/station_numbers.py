"""Gives each station of a feed its number: the one it had, else its own, else a new one. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from itertools import count

from ...gbfs import StationRow
from ...models import FIRST_OWN_NUMBER


def number_stations(
    rows: Sequence[StationRow], known: Mapping[str, int], taken: Set[int]
) -> dict[int, StationRow]:
    """Return the rows by their numbers. The order of the rows does not matter.

    `known`: the numbers of this system's ids. `taken`: the numbers of all systems. A number means
    one station for ever: a taken one goes only to a row with an id that is known for it.
    """

    def free(row: StationRow) -> Iterator[int]:
        return (number for number in row.integers if number not in taken)

    # The current id counts before former ones.
    ways: list[Callable[[StationRow], Iterable[int]]] = [
        lambda row: numbers_of(row.names[:1], known),
        lambda row: numbers_of(row.names[1:], known),
        free,
    ]
    numbered: dict[int, StationRow] = {}
    left = sorted(rows, key=lambda row: row.names)
    for way in ways:
        left = [row for row in left if not place(row, way(row), numbered)]
    new = (number for number in count(FIRST_OWN_NUMBER) if number not in taken)
    for row in left:
        place(row, new, numbered)
    return numbered


def numbers_of(names: Iterable[str], known: Mapping[str, int]) -> Iterator[int]:
    return (known[name] for name in names if name in known)


def place(row: StationRow, numbers: Iterable[int], numbered: dict[int, StationRow]) -> bool:
    """Give the row the first number that no other row has. False: there is none."""
    for number in numbers:
        if number not in numbered:
            numbered[number] = row
            return True
    return False


def new_names(numbered: Mapping[int, StationRow], known: Mapping[str, int]) -> dict[str, int]:
    """Return the ids that are not known yet. If two rows share one, `station_id` comes first."""
    names: dict[str, int] = {}
    for number, row in numbered.items():
        names.setdefault(row.names[0], number)
    for number, row in numbered.items():
        for name in row.names[1:]:
            names.setdefault(name, number)
    return {name: number for name, number in names.items() if name not in known}
