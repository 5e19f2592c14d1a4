"""Small cities for the board's tests."""

from datetime import timedelta

from django.utils import timezone

from dispatch.models import FeedKind, Station, StationFeed, StationStatus

LEVELS = [(0, 20), (2, 18), (10, 10), (18, 2), (20, 0)]


def station(
    number, bikes=10, docks=10, *, name=None, lat=37.77, lon=-122.42, area="", age=1, **status
):
    """A station whose status is `age` minutes old."""
    name = name or f"Station {number}"
    made = Station.objects.create(id=number, system="test", name=name, lat=lat, lon=lon, area=area)
    as_of = timezone.now() - timedelta(minutes=age)
    StationStatus.objects.create(station=made, bikes=bikes, docks=docks, as_of=as_of, **status)
    return made


def city(size):
    """Stations 1 to `size`, a street apart, from empty to full in turn, and their feed."""
    for number in range(1, size + 1):
        bikes, docks = LEVELS[number % len(LEVELS)]
        lat = 37.77 + 0.002 * (number // 20)
        station(number, bikes, docks, lat=lat, lon=-122.42 + 0.002 * (number % 20))
    StationFeed.objects.create(
        system="test", kind=FeedKind.STATUS, source="feed.json", read_at=timezone.now()
    )
