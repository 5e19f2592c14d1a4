"""The results of an operation on one or many rows, and the message about them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import OperationalError
from django.utils.text import capfirst

from ..exceptions import Refusal

if TYPE_CHECKING:
    from .operations import Operation

SENTENCES_SHOWN = 5


def outcomes(
    operation: "Operation", ids: list[int], actor: str, answers: dict[str, Any]
) -> Iterator[tuple[int, Any]]:
    """Each id with the service's result or refusal."""
    try:
        if operation.run_many is not None and len(ids) > 1:
            yield from operation.run_many(ids, actor=actor, **answers).items()
        else:
            for pk in ids:
                yield pk, operation.run(pk, actor=actor, **answers)
    except Refusal as refusal:
        yield pk, refusal
    except OperationalError:
        # The connection may have been lost after the commit.
        why = "The database did not respond. Check whether it was changed before you try again."
        yield from ((pk, Refusal(why)) for pk in ids)


@dataclass
class Results:
    """The results of one operation on some rows."""

    operation: "Operation"
    kind: Any
    ids: list[int]
    notes: list[str] = field(default_factory=list)
    unchanged: int = 0
    refusals: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    not_reached: int = 0

    @property
    def is_complete(self) -> bool:
        return not self.refusals and not self.not_reached

    def add(self, pk: int, result: Any) -> None:
        if isinstance(result, Refusal):
            row, reason = f"{capfirst(str(self.kind))} {pk}", str(result)
            self.refusals.append(reason if reason.startswith(row) else f"{row}: {reason}")
        elif getattr(result, "changed", True):
            self.notes.append(self.operation.result_note(result))
            self.warnings += self.operation.warnings(result)
        else:
            self.unchanged += 1

    def summary(self) -> str:
        done = self.operation.done
        if len(self.ids) == 1:
            row = f"{capfirst(str(self.kind))} {self.ids[0]}"
            if self.notes:
                return f"{row} {done}{self.notes[0]}."
            if self.unchanged:
                return f"{row} unchanged."
            return f"Not {done}. {first_of(self.refusals)}"
        counts = [f"{len(self.notes)} {done}"]
        if self.unchanged:
            counts.append(f"{self.unchanged} unchanged")
        if self.refusals:
            counts.append(f"{len(self.refusals)} not {done}")
        if self.not_reached:
            counts.append(f"{self.not_reached} not processed (time limit), select them again")
        return " ".join([f"{', '.join(counts)}.", *filter(None, [first_of(self.refusals)])])


def first_of(sentences: list[str]) -> str:
    more = len(sentences) - SENTENCES_SHOWN
    return " ".join(sentences[:SENTENCES_SHOWN]) + (f" And {more} more." * (more > 0))
