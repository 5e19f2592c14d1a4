"""What the inventory guard says about the moves that are to decide."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.conf import settings

from ..models import Move
from ..planning.inventory import fitting, objections
from ..services.guard import rooms_of


@dataclass(frozen=True)
class Verdict:
    """A sentence for each thing that speaks against a move; `fits`: as many bikes as nothing
    does. Where it is not known how full a station is, nothing speaks against it."""

    sentences: list[str] = field(default_factory=list)
    fits: int = 0

    @property
    def may_shrink(self) -> bool:
        return bool(self.sentences) and self.fits > 0


def verdicts_on(moves: Sequence[Move]) -> dict[int, Verdict]:
    """Of each by its id; nothing speaks against any where nobody wants a guard."""
    if not moves or settings.INVENTORY_GUARD == "off":
        return {move.pk: Verdict() for move in moves}
    rooms = rooms_of({end for move in moves for end in (move.from_station_id, move.to_station_id)})
    return {
        move.pk: Verdict(
            objections(move.qty, rooms[move.from_station_id], rooms[move.to_station_id]),
            fitting(move.qty, rooms[move.from_station_id], rooms[move.to_station_id]),
        )
        for move in moves
    }
