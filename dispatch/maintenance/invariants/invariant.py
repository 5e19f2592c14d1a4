from dataclasses import dataclass


@dataclass(frozen=True)
class Invariant:
    """`sql` returns the violations. `meaning`: their meaning for an operator."""

    name: str
    meaning: str
    sql: str
