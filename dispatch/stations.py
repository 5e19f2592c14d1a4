"""What a station's figures mean: whether it is empty, full or closed. No database."""

from .models import OutageKind


def state_of(bikes: int, docks: int, in_service: bool) -> OutageKind | None:
    """What keeps riders from taking or leaving a bike, or None. Only usable ones are counted."""
    if not in_service or bikes + docks == 0:
        return OutageKind.CLOSED
    if bikes == 0:
        return OutageKind.EMPTY
    if docks == 0:
        return OutageKind.FULL
    return None
