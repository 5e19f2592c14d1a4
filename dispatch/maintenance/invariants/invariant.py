from dataclasses import dataclass


@dataclass(frozen=True)
class Invariant:
    """`meaning`: for an operator, if `sql` finds rows."""

    name: str
    meaning: str
    sql: str
