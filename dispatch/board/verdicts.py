"""What the inventory guard says about the moves that are to decide."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..models import Move
from ..services import guard


@dataclass(frozen=True)
class Verdict:
    """A sentence for each thing that speaks against a move; `fits`: as many bikes as nothing does,
    None where that is not known."""

    sentences: list[str] = field(default_factory=list)
    fits: int | None = None

    @property
    def may_shrink(self) -> bool:
        return bool(self.sentences) and bool(self.fits)


def verdicts_on(moves: Sequence[Move]) -> dict[int, Verdict]:
    rooms = guard.rooms_of({end for m in moves for end in (m.from_station_id, m.to_station_id)})
    return {
        move.pk: Verdict(guard.sentences_about(move, rooms), guard.fitting_qty(move, rooms))
        for move in moves
    }
