"""Status and outages of stations, poll by poll."""

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from dispatch import services
from dispatch.exceptions import Refusal
from dispatch.models import (
    FeedWatch,
    OutageKind,
    Station,
    StationFeed,
    StationOutage,
    StationStatus,
)
from dispatch.stations import is_old, state_of, word_of

from ..support.concurrency import background, wait_until_blocked
from ..support.factories import MORNING, StationFactory
from ..support.feeds import a_station, a_status, record, sync

pytestmark = pytest.mark.django_db


@pytest.fixture
def stations():
    sync([a_station("1"), a_station("2"), a_station("uuid-3", legacy_id="3")])


def at(minutes):
    return MORNING + timedelta(minutes=minutes)


def outages():
    """Return the station, kind, first and last minute of each outage."""
    return [
        (o.station_id, o.kind, minute(o.started_at), minute(o.ended_at))
        for o in StationOutage.objects.order_by("started_at", "station_id")
    ]


def watches():
    return [
        (minute(w.started_at), minute(w.ended_at)) for w in FeedWatch.objects.order_by("started_at")
    ]


def minute(moment):
    return moment and (moment - MORNING) / timedelta(minutes=1)


@pytest.mark.parametrize(
    ("bikes", "docks", "in_service", "state"),
    [
        (0, 5, True, OutageKind.EMPTY),
        (5, 0, True, OutageKind.FULL),
        (0, 0, True, OutageKind.CLOSED),
        (5, 5, False, OutageKind.CLOSED),
        (0, 5, False, OutageKind.CLOSED),
        (0, None, True, OutageKind.EMPTY),
        (5, None, True, None),
        (5, None, False, OutageKind.CLOSED),
        (1, 1, True, None),
    ],
)
def test_station_is_empty_full_closed_or_none_of_these(bikes, docks, in_service, state):
    assert state_of(bikes, docks, in_service) == state


@pytest.mark.parametrize(
    ("bikes", "word"),
    [
        (0, "empty"),
        (1, "low"),
        (19, "low"),
        (20, "fine"),
        (80, "fine"),
        (81, "high"),
        (100, "full"),
    ],
)
def test_word_says_how_full_a_station_is(bikes, word):
    assert word_of(bikes, 100 - bikes, True, low=20, high=80) == word


def test_word_of_a_station_with_unknown_docks_says_only_whether_it_is_empty():
    assert word_of(0, None, True, low=20, high=80) == "empty"
    assert word_of(1, None, True, low=20, high=80) == "fine"


def test_status_is_old_past_the_limit_or_if_never_reported():
    assert not is_old(at(0), at(60), timedelta(hours=1))
    assert is_old(at(0), at(61), timedelta(hours=1))
    assert is_old(None, at(0), timedelta(hours=1))


def test_poll_is_recorded_under_the_station_numbers(stations):
    result = record(
        [
            a_status("1", 4, 9, num_bikes_disabled=1, num_docks_disabled=2),
            a_status("uuid-3", 0, 20, is_renting=False),
            a_status("unknown"),
        ]
    )

    assert (result.stations, result.changed, result.unknown, result.closed) == (2, 2, 1, 1)
    status = StationStatus.objects.get(station=1)
    assert (status.bikes, status.docks) == (4, 9)
    assert (status.bikes_disabled, status.docks_disabled) == (1, 2)
    assert status.as_of == MORNING - timedelta(minutes=1)
    assert not StationStatus.objects.get(station=3).in_service


@pytest.mark.parametrize(
    ("reported", "as_of"),
    [
        (int(MORNING.timestamp()) - 60, MORNING - timedelta(minutes=1)),
        (int(MORNING.timestamp()) + 60, MORNING),
        (int(MORNING.timestamp() - 60) * 1000, MORNING - timedelta(minutes=1)),
        (0, MORNING),
        (86400, MORNING),
        (None, MORNING),
        ("2015-05-04T07:59:00", MORNING),
    ],
)
def test_status_is_as_old_as_the_report_or_else_as_the_feed(stations, reported, as_of):
    record([a_status("1", last_reported=reported), a_status("2")])

    assert StationStatus.objects.get(station=1).as_of == as_of


def test_missing_docks_are_derived_from_the_capacity(stations):
    Station.objects.filter(pk=2).update(capacity=None)

    result = record(
        [a_status(name, 5, None, num_bikes_disabled=2) for name in ("1", "2", "uuid-3")]
    )

    docks = StationStatus.objects.values_list("docks", flat=True).order_by("station")
    assert list(docks) == [13, None, 13]
    assert (result.stations, result.unknown, result.without_docks) == (3, 0, 1)


def test_bikes_of_stations_without_docks_are_recorded_with_their_outages(stations):
    Station.objects.update(capacity=None)
    rows = [a_status(name, 5, None) for name in ("2", "uuid-3")]

    result = record([a_status("1", 0, None), *rows])
    record([a_status("1", 30, None), *rows], minutes=5)

    assert (result.stations, result.empty, result.full, result.without_docks) == (3, 1, 0, 3)
    assert StationStatus.objects.get(station=1).bikes == 30
    assert outages() == [(1, "empty", 0, 5)]


def test_sentinel_docks_are_derived_from_the_capacity(stations):
    record([a_status("1", 5, 999), a_status("2")])

    assert StationStatus.objects.get(station=1).docks == 15


def test_electric_bikes_and_vehicle_types_are_kept(stations):
    types = [{"vehicle_type_id": "ebike", "count": 3}, {"vehicle_type_id": 7, "count": 2}]

    record(
        [
            a_status("1", num_ebikes_available=3, vehicle_types_available=[*types, None, {}]),
            a_status("2", num_ebikes_available="x", vehicle_types_available={}),
        ]
    )

    status = StationStatus.objects.get(station=1)
    assert (status.ebikes, status.vehicle_types) == (3, {"ebike": 3, "7": 2})
    status = StationStatus.objects.get(station=2)
    assert (status.ebikes, status.vehicle_types) == (None, None)


def test_only_changed_statuses_are_written(stations):
    record([a_status("1"), a_status("2")])

    assert record([a_status("2"), a_status("1", 4)], minutes=5).changed == 1


def test_station_missing_from_a_poll_keeps_its_status_and_outage(stations):
    record([a_status("1", 0), a_status("2")])

    record([a_status("2"), a_status("uuid-3")], minutes=5)

    assert StationStatus.objects.get(station=1).bikes == 0
    assert outages() == [(1, "empty", 0, None)]


def test_poll_begins_no_outage_of_a_station_that_is_gone(stations):
    record([a_status("1", 0), a_status("2"), a_status("uuid-3")])
    record([a_status("1", 0), a_status("2"), a_status("uuid-3")], minutes=5)
    sync([a_station("2"), a_station("uuid-3", legacy_id="3")])

    result = record([a_status("1", 0), a_status("2"), a_status("uuid-3")], minutes=10)

    assert (result.stations, result.empty, result.unknown) == (2, 0, 1)
    assert outages() == [(1, "empty", 0, 5)]
    sync([a_station("1"), a_station("2"), a_station("uuid-3", legacy_id="3")])
    record([a_status("1", 0), a_status("2"), a_status("uuid-3")], minutes=15)
    assert outages() == [(1, "empty", 0, 5), (1, "empty", 15, None)]


def test_outages_begin_and_end_with_the_polls_that_show_them(stations):
    record([a_status("1", 0), a_status("2", 5, 0), a_status("uuid-3")])
    record([a_status("1", 0), a_status("2", 5, 1), a_status("uuid-3", is_renting=0)], minutes=5)
    record([a_status("1", 5, 0), a_status("2"), a_status("uuid-3", 0)], minutes=10)

    assert outages() == [
        (1, "empty", 0, 10),
        (2, "full", 0, 5),
        (3, "closed", 5, 10),
        (1, "full", 10, None),
        (3, "empty", 10, None),
    ]
    assert watches() == [(0, 10)]


def test_one_hour_between_polls_is_not_a_gap(stations):
    record([a_status("1", 0), a_status("2")])
    record([a_status("1", 0), a_status("2")], minutes=60)

    assert outages() == [(1, "empty", 0, None)]
    assert watches() == [(0, 60)]


def test_longer_gap_ends_open_outages_and_new_ones_begin(stations):
    record([a_status("1", 0), a_status("2"), a_status("uuid-3", 0)])
    record([a_status("1", 0), a_status("2", 0), a_status("uuid-3", 0)], minutes=10)
    record([a_status("1", 0), a_status("2"), a_status("uuid-3")], minutes=70, seconds=1)

    restart = minute(at(70) + timedelta(seconds=1))
    # One poll alone saw station 2 empty: for no known time.
    assert outages() == [(1, "empty", 0, 10), (3, "empty", 0, 10), (1, "empty", restart, None)]
    assert watches() == [(0, 10), (restart, restart)]


def test_systems_have_their_own_watches_and_outages(stations):
    sync([a_station("1", lat=40)], system="other")
    record([a_status("1", 0), a_status("2")])
    for minutes in (0, 120):
        record([a_status("1", 0)], minutes, system="other")

    assert outages() == [(1, "empty", 0, None), (1_000_000, "empty", 120, None)]
    assert watches() == [(0, 0), (0, 0), (120, 120)]


def test_repeated_poll_changes_nothing(stations):
    record([a_status("1", 0), a_status("2")])

    result = record([a_status("1"), a_status("2")])

    assert not result.is_new
    assert StationStatus.objects.get(station=1).bikes == 0
    assert outages() == [(1, "empty", 0, None)]


def test_older_poll_is_refused_and_changes_nothing(stations):
    record([a_status("1", 0), a_status("2")], minutes=5)

    with pytest.raises(Refusal, match="The feed is old"):
        record([a_status("1"), a_status("2")], minutes=-1)

    assert StationStatus.objects.get(station=1).bikes == 0
    assert watches() == [(5, 5)]


def test_slightly_older_copy_from_a_cache_is_no_news(stations):
    record([a_status("1", 0), a_status("2")], minutes=5)

    result = record([a_status("1"), a_status("2")], minutes=4, seconds=20)

    assert not result.is_new
    assert StationStatus.objects.get(station=1).bikes == 0
    feed = StationFeed.objects.get(kind="status")
    assert (feed.made_at, feed.trouble) == (at(5), "")


@pytest.mark.parametrize(("ttl", "minutes"), [(0, 6), (600, 11), (86_400, 61)])
def test_copy_older_than_a_cache_may_keep_it_is_refused(stations, ttl, minutes):
    record([a_status("1"), a_status("2")], minutes=120)

    with pytest.raises(Refusal, match="The feed is old"):
        record([a_status("1"), a_status("2")], minutes=120 - minutes, ttl=ttl)
    assert not record([a_status("1"), a_status("2")], minutes=121 - minutes, ttl=ttl).is_new


def test_fresh_feed_of_mostly_old_reports_is_recorded_and_in_trouble(stations):
    old = int((MORNING - timedelta(days=60)).timestamp())
    rows = [a_status("1", last_reported=old), a_status("2", last_reported=old), a_status("uuid-3")]

    result = record(rows)

    assert (result.stations, result.old) == (3, 2)
    feed = StationFeed.objects.get(kind="status")
    assert feed.trouble == "2 of the 3 stations last reported over 60 minutes before the feed."
    assert (feed.made_at, feed.etag) == (MORNING, "")
    assert record([a_status("1", last_reported=old), *rows[1:][::-1]], minutes=0).is_new is False
    record([a_status("1"), *rows[1:]], minutes=1)
    feed.refresh_from_db()
    assert (feed.trouble, feed.troubled_at) == ("", None)


def test_poll_from_the_future_is_refused(stations):
    with pytest.raises(Refusal, match="in the future"):
        record([a_status("1"), a_status("2")], minutes=600 * 365 * 24 * 60)
    assert watches() == []


def test_partial_poll_is_refused(stations):
    with pytest.raises(Refusal, match="partial: it has 1 of 3 stations"):
        record([a_status("1", 0)])
    assert outages() == []


def test_poll_before_the_first_sync_is_refused():
    with pytest.raises(Refusal, match=r"no known station of 'bay'\. Run sync_stations first\."):
        record([a_status("1")])
    assert not StationFeed.objects.exists()


def test_poll_of_another_systems_stations_says_so(stations):
    with pytest.raises(Refusal, match=r"none of the 3 stations of 'bay'\. Is --system right\?"):
        record([a_status("elsewhere")])


@pytest.mark.slow
def test_poll_of_thousands_of_stations_takes_few_statements():
    sync([a_station(str(n)) for n in range(1, 2201)])
    record([a_status(str(n), n % 3) for n in range(1, 2201)])

    with CaptureQueriesContext(connection) as captured:
        result = record([a_status(str(n), (n + 1) % 3) for n in range(1, 2201)], minutes=5)

    assert (result.changed, result.empty) == (2200, 733)
    assert len(captured) <= 22


@pytest.mark.django_db(transaction=True)
def test_concurrent_polls_of_a_system_take_turns():
    sync([a_station("1")])
    with background() as start, transaction.atomic():
        services.locks.advisory_lock("status of bay")
        later = start(record, [a_status("1", 0)], minutes=5)
        wait_until_blocked(later)
        # A poll that read the watches before it waited would miss this one.
        FeedWatch.objects.create(system="bay", started_at=at(0), ended_at=at(0))
    later.result(timeout=10)

    assert watches() == [(0, 5)]


@pytest.mark.django_db(transaction=True)
def test_sync_that_marks_stations_gone_takes_turns_with_polls():
    sync([a_station("1"), a_station("2"), a_station("3")])
    record([a_status("1", 0), a_status("2")])
    with background() as start, transaction.atomic():
        services.locks.advisory_lock("status of bay")
        syncing = start(sync, [a_station("2"), a_station("3")])
        wait_until_blocked(syncing)
    assert syncing.result(timeout=10).gone == 1
    # One poll alone saw station 1 empty.
    assert outages() == []


def test_status_may_name_its_station_by_the_legacy_id(stations):
    StationFactory(id=99)

    result = record([a_status("new-uuid", legacy_id="1"), a_status("2")])

    assert result.stations == 2
