from ..models import PRIORITY_MAX, PRIORITY_MIN, Move


def shifted(move: Move, priority: int | None, by: int) -> int:
    """The given priority (None: the move's own) plus `by`, kept within the range."""
    base = move.priority if priority is None else priority
    return max(PRIORITY_MIN, min(PRIORITY_MAX, base + by))
