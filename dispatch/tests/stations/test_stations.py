"""Stations keep their numbers forever, even when their ids change or feeds break."""

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from dispatch import services
from dispatch.exceptions import Refusal
from dispatch.models import FeedKind, Station, StationAlias, StationFeed, StationOutage

from ..support.concurrency import background, wait_until_blocked
from ..support.factories import MORNING, StationFactory
from ..support.feeds import READING, a_station, a_status, record, sync

pytestmark = pytest.mark.django_db

LATER = MORNING + timedelta(days=1)


def number_of(name, system="bay"):
    return StationAlias.objects.get(system=system, feed_id=name).station_id


def everything():
    return [list(model.objects.order_by("pk").values()) for model in (Station, StationAlias)]


def city(*numbers, **fields):
    return [a_station(str(number), **fields) for number in numbers]


def test_integer_id_is_the_number():
    result = sync(city(3, 74))

    assert (result.added, result.changed, result.unchanged) == (2, 0, 0)
    assert number_of("3") == 3
    station = Station.objects.get(pk=74)
    assert (station.system, station.name, station.capacity) == ("bay", "Market St at 74", 20)


def test_other_ids_get_numbers_from_a_million_up():
    sync([a_station("b"), a_station("a"), a_station("1" * 19)])

    assert [number_of(name) for name in ("1" * 19, "a", "b")] == [1_000_000, 1_000_001, 1_000_002]
    sync([a_station("c"), a_station("b"), a_station("a"), a_station("1" * 19)])
    assert number_of("c") == 1_000_003


def test_order_of_the_rows_does_not_matter():
    rows = [a_station("b"), *city(1_000_000, 5), a_station("a", legacy_id="5")]

    sync(rows, system="first")
    first = {s.name: s.pk for s in Station.objects.all()}
    StationAlias.objects.all().delete()
    Station.objects.all().delete()
    sync(rows[::-1], system="first")

    assert {s.name: s.pk for s in Station.objects.all()} == first
    assert first["Market St at b"] == 1_000_002


def test_largest_number_does_not_affect_new_ones():
    sync([*city(2_147_483_647), a_station("a")])

    assert number_of("a") == 1_000_000


def test_shared_ids_carry_numbers_from_one_id_scheme_to_the_next():
    sync(city(3, 74, 80))
    sync([a_station("3", external_id="uuid-3"), *city(74, 80)])
    result = sync(
        [
            a_station("uuid-3", legacy_id="3", lat=37.703),
            a_station("uuid-74", legacy_id="74", lat=37.774),
            a_station("uuid-80", external_id="80", lat=37.78),
            a_station("uuid-90", legacy_id="90"),
            a_station("uuid-x", legacy_id="1" * 19),
        ]
    )

    numbers = [number_of(f"uuid-{name}") for name in ("3", "74", "80", "90", "x")]
    assert numbers == [3, 74, 80, 90, 1_000_000]
    assert (result.added, result.gone) == (2, 0)
    assert Station.objects.count() == 5


def test_syncing_again_writes_no_station():
    sync([*city(3, 74), a_station("uuid-1", external_id="x")])
    before = everything()

    with CaptureQueriesContext(connection) as captured:
        result = sync([a_station("uuid-1", external_id="x"), *city(74, 3)])

    assert (result.added, result.changed, result.unchanged) == (0, 0, 3)
    assert everything() == before
    written = [q["sql"] for q in captured if q["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]
    assert [sql.split('"')[1] for sql in written] == ["station_feeds"]


def test_only_stations_that_differ_are_changed():
    sync(city(3, 74))

    result = sync([*city(3), a_station("74", name="Renamed", capacity=0)])

    assert (result.changed, result.unchanged) == (1, 1)
    station = Station.objects.get(pk=74)
    assert (station.name, station.capacity) == ("Renamed", None)


def test_systems_never_share_a_number():
    sync(city(3, 74))
    sync(city(3, 80), system="other")

    assert (number_of("3", "bay"), number_of("3", "other")) == (3, 1_000_000)
    assert number_of("80", "other") == 80
    assert Station.objects.get(pk=3).system == "bay"
    assert sync(city(3, 74, 80)).added == 1
    assert (number_of("80", "bay"), number_of("80", "other")) == (1_000_001, 80)


def test_feed_of_another_system_is_refused_whole():
    sync(city(*range(1, 21)))
    before = everything()

    with pytest.raises(Refusal, match=r"6 of the 20 stations .* \(1 was 'Market St at 1' and"):
        sync([*city(*range(1, 7), lat=40), *city(*range(7, 21))])
    with pytest.raises(Refusal, match="1 of the 1 stations"):
        sync(city(3, lat=40), allow_shrink=True)

    assert everything() == before


def test_a_few_stations_may_move_far():
    sync(city(*range(1, 21)))

    assert sync([*city(*range(1, 6), lat=40), *city(*range(6, 21))]).changed == 5


def test_station_missing_from_the_feed_is_gone_until_it_is_back():
    sync(city(3, 74, 80))

    assert sync(city(3, 74)).gone == 1
    assert Station.objects.get(pk=80).gone_at is not None
    assert list(Station.objects.present().order_by("pk").values_list("pk", flat=True)) == [3, 74]
    again = sync(city(3, 74))
    assert (again.gone, again.unchanged) == (0, 2)

    back = sync(city(3, 74, 80))
    assert (back.back, back.changed, back.added) == (1, 1, 0)
    assert not Station.objects.exclude(gone_at=None).exists()


def test_outages_of_a_station_that_is_gone_end_with_the_last_poll():
    sync(city(3, 74, 80))
    record([a_status("3", 0), a_status("74"), a_status("80", 0)])
    record([a_status("3", 0), a_status("74"), a_status("80")], minutes=5)
    record([a_status("3", 0), a_status("74", 0), a_status("80")], minutes=10)

    sync(city(74, 80))

    ended = StationOutage.objects.get(station=3)
    assert ended.ended_at == MORNING + timedelta(minutes=10)
    assert StationOutage.objects.get(ended_at=None).station_id == 74


def test_station_with_an_unreadable_row_is_not_gone():
    sync(city(3, 74, 80))

    result = sync([*city(3, 74), a_station("80", lat=None)])

    assert result.gone == 0
    assert result.remarks == "1 bad row: 80: no valid position."


def test_feed_that_lacks_most_stations_is_refused_unless_allowed():
    sync(city(1, 2, 3, 4))

    with pytest.raises(Refusal, match="partial: it has 1 of the 4 stations"):
        sync(city(1))
    assert sync(city(1, 2)).gone == 2
    assert sync(city(1, 9)).gone == 1
    assert sync(city(9), allow_shrink=True).gone == 1


def test_older_feed_is_refused_and_changes_nothing():
    sync(city(1), made_at=LATER)
    before = everything()

    with pytest.raises(Refusal, match="old: it is from 2015-05-04 08:00:00 UTC, and the last one"):
        sync(city(1, 2), made_at=MORNING)
    assert everything() == before


def test_feed_from_the_future_is_refused():
    with pytest.raises(Refusal, match="is in the future"):
        sync(city(1), made_at=MORNING.replace(year=2999))


def test_feed_without_a_time_is_accepted():
    sync(city(1))

    assert sync(city(1, 2), made_at=None).added == 1


def test_good_reading_is_recorded_and_ends_the_trouble():
    services.note_trouble("bay", FeedKind.INFORMATION, "https://feeds.example/x", "Down. " * 200)
    feed = StationFeed.objects.get()
    assert len(feed.trouble) == 500
    assert feed.troubled_at is not None
    assert feed.read_at is None

    sync(city(1))

    feed.refresh_from_db()
    assert (feed.trouble, feed.troubled_at) == ("", None)
    assert (feed.source, feed.etag, feed.made_at) == (READING.source, '"v1"', MORNING)
    assert feed.read_at is not None


def test_trouble_leaves_the_last_good_reading():
    sync(city(1))

    services.note_trouble("bay", FeedKind.INFORMATION, "https://feeds.example/x", "Down.")

    feed = StationFeed.objects.get()
    assert (feed.trouble, feed.made_at, feed.etag) == ("Down.", MORNING, '"v1"')
    assert feed.source == READING.source


def test_sync_of_thousands_of_stations_takes_few_statements():
    with CaptureQueriesContext(connection) as captured:
        sync([a_station(f"uuid-{n}") for n in range(2200)])

    assert len(captured) <= 20
    assert Station.objects.order_by("-pk").first().pk == 1_002_199


@pytest.mark.django_db(transaction=True)
def test_concurrent_syncs_of_all_systems_take_turns():
    with background() as start, transaction.atomic():
        services.locks.advisory_lock("stations")
        waiting = [start(sync, [a_station("a")], system=name) for name in ("one", "two")]
        wait_until_blocked(waiting[0], count=2)
        StationFactory(id=1_000_000, system="three")
    assert sorted(job.result(timeout=10).added for job in waiting) == [1, 1]
    assert sorted(Station.objects.values_list("pk", flat=True)) == [1_000_000, 1_000_001, 1_000_002]
