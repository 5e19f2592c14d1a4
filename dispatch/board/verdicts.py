"""What the inventory guard says about the moves that are to decide."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.conf import settings

from ..inventory import fitting, objections
from ..models import Move
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
    """Of each by its id; none of any where nobody wants a guard, or no station has ever told."""
    guarded = settings.INVENTORY_GUARD != "off" and bool(moves)
    ends = {end for move in moves for end in (move.from_station_id, move.to_station_id)}
    rooms = rooms_of(ends) if guarded else {}
    if not rooms:
        return {move.pk: Verdict() for move in moves}
    return {
        move.pk: Verdict(
            objections(move.qty, rooms[move.from_station_id], rooms[move.to_station_id]),
            fitting(move.qty, rooms[move.from_station_id], rooms[move.to_station_id]),
        )
        for move in moves
    }
