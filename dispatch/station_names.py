"""What people read instead of a station's number."""

from collections.abc import Iterable

from .models import Station


def station_names(numbers: Iterable[int]) -> dict[int, str]:
    """Of each its name, in one query. One that is not known is "#123", which is no error."""
    wanted = set(numbers)
    known = Station.objects.filter(pk__in=wanted).values_list("pk", "name")
    return {number: f"#{number}" for number in wanted} | dict(known)
