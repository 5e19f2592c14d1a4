"""Which number a station of a feed has: the one it had, else its own, else a new one. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from itertools import count

from ...gbfs import StationRow
from ...models import FIRST_OWN_NUMBER


def number_stations(
    rows: Sequence[StationRow], known: Mapping[str, int], taken: Set[int]
) -> dict[int, StationRow]:
    """Each row under its number, in whatever order the feed has them.

    `known`: the numbers of this system's names. `taken`: all numbers there are, of any system.
    A number is one station for ever: one that is taken is given only to whom it is known for.
    """

    def free(row: StationRow) -> Iterator[int]:
        return (number for number in row.integers if number not in taken)

    # What a station is called now says more than what it was called.
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
    """Under the first that no other row of the feed has."""
    for number in numbers:
        if number not in numbered:
            numbered[number] = row
            return True
    return False


def new_names(numbered: Mapping[int, StationRow], known: Mapping[str, int]) -> dict[str, int]:
    """What stations are called that is not known yet; their `station_id` counts before the rest."""
    names: dict[str, int] = {}
    for number, row in numbered.items():
        names.setdefault(row.names[0], number)
    for number, row in numbered.items():
        for name in row.names[1:]:
            names.setdefault(name, number)
    return {name: number for name, number in names.items() if name not in known}
