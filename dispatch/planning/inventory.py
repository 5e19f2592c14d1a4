"""How many bikes a station can still give, and how many it can take."""

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True)
class Room:
    """A station's bikes and docks less what is promised. `bikes`, `docks` None: not known.

    Promised: what open tasks will take out or bring, and what ended tasks have since the station
    was counted; added up only if that is known. What will be brought is no bike yet, what will be
    taken out no dock.
    `counted`: some station was, once. Where none ever was, there is nothing to wonder about.
    """

    name: str
    bikes: int | None = None
    docks: int | None = None
    promised_out: int = 0
    promised_in: int = 0
    in_service: bool = True
    counted: bool = True

    @property
    def to_give(self) -> int | None:
        return None if self.bikes is None else max(0, self.bikes - self.promised_out)

    @property
    def to_take(self) -> int | None:
        return None if self.docks is None else max(0, self.docks - self.promised_in)

    def giving(self, qty: int) -> Self:
        return replace(self, promised_out=self.promised_out + qty)

    def taking(self, qty: int) -> Self:
        return replace(self, promised_in=self.promised_in + qty)


def fitting(qty: int, source: Room, target: Room) -> int:
    """How many of the bikes both stations can bear; what is not known does not limit."""
    return min([qty, *(each for each in (source.to_give, target.to_take) if each is not None)])


def objections(qty: int, source: Room, target: Room) -> list[str]:
    """Why so many bikes do not fit, with the numbers. Empty: they fit, or it is not known."""
    sentences = []
    if source.to_give is not None and qty > source.to_give:
        sentences.append(
            f"{source.name} can give {source.to_give} of {qty} bikes: it has {source.bikes}, "
            f"{source.promised_out} promised."
        )
    if target.to_take is not None and qty > target.to_take:
        sentences.append(
            f"{target.name} can take {target.to_take} of {qty} bikes: it has {target.docks} free "
            f"docks, {target.promised_in} promised."
        )
    return sentences


def doubts(source: Room, target: Room) -> list[str]:
    """What nobody can know, and what should make one wonder."""
    rooms = (source, target)
    return [
        *(
            f"Whether {room.name} has room is not known."
            for room in rooms
            if room.counted and room.bikes is None
        ),
        *(f"{room.name} is out of service." for room in rooms if not room.in_service),
    ]
