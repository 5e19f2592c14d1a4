"""Neighbouring stations that are empty, or full, at once: recorded with the poll that shows it."""

import json
from datetime import timedelta

import pytest
from django.db import IntegrityError

from dispatch import services
from dispatch.gbfs import Status, StatusRow
from dispatch.models import (
    ClusterOutage,
    OutageKind,
    Station,
    StationAlias,
    StationOutage,
    WebhookDelivery,
)
from dispatch.services.stations.feeds import FeedReading
from dispatch.services.stations.status import record_status
from dispatch.stations import LONGEST_GAP

from ..support.factories import MORNING

pytestmark = pytest.mark.django_db

EMPTY, FULL, CLOSED = OutageKind
FIGURES = {None: (5, 5, True), EMPTY: (0, 9, True), FULL: (9, 0, True), CLOSED: (5, 5, False)}
METRES_A_DEGREE = 111_194.9
NEAR, FAR = (0, 100, 200, 300), (5000, 5100, 5200, 5300)


def at(minutes):
    return MORNING + timedelta(minutes=minutes)


def place(*metres):
    """Make stations 1, 2, ... at these distances north of the first."""
    for number, distance in enumerate(metres, 1):
        lat = 37.7 + distance / METRES_A_DEGREE
        made = Station.objects.create(
            id=number, system="test", name=f"S {number}", lat=lat, lon=-122.4, area="North"
        )
        StationAlias.objects.create(system="test", feed_id=str(number), station=made)


def poll(minutes, *states):
    """Record the states of stations 1, 2, ..."""
    rows = [
        StatusRow((str(n),), *FIGURES[state][:2], 0, 0, FIGURES[state][2], reported_at=at(minutes))
        for n, state in enumerate(states, 1)
    ]
    record_status(Status(at(minutes), rows, []), system="test", reading=FeedReading("test"))


def recorded():
    """The station, kind, start and end of each, in minutes."""

    def minutes(time):
        return time and (time - MORNING) / timedelta(minutes=1)

    rows = ClusterOutage.objects.order_by("id")
    return [(o.station_id, o.kind, minutes(o.started_at), minutes(o.ended_at)) for o in rows]


def test_outage_is_recorded_once_it_lasts_over_ten_minutes():
    place(*NEAR)
    poll(0, EMPTY, EMPTY, EMPTY, None)
    poll(5, EMPTY, EMPTY, EMPTY, EMPTY)
    poll(15, EMPTY, EMPTY, EMPTY, EMPTY)
    assert recorded() == []

    poll(16, EMPTY, EMPTY, EMPTY, EMPTY)
    poll(17, EMPTY, EMPTY, EMPTY, EMPTY)
    assert recorded() == [(1, EMPTY, 5, None)], "four stations, and one outage"
    assert ClusterOutage.objects.get().station_ids == [1, 2, 3, 4]

    poll(20, None, EMPTY, EMPTY, EMPTY)
    assert recorded() == [(1, EMPTY, 5, 20)]


def test_stations_far_from_one_another_are_out_apart():
    place(*NEAR, *FAR)
    for minutes in (0, 11):
        poll(minutes, *[EMPTY] * 4, *[FULL] * 4)

    assert recorded() == [(1, EMPTY, 0, None), (5, FULL, 0, None)]


def test_outage_that_spreads_is_not_recorded_again():
    place(0, 400, 800, 1200, 1600, 2000)
    poll(0, EMPTY, EMPTY, EMPTY, EMPTY, None, None)
    poll(11, *[EMPTY] * 6)
    poll(22, *[EMPTY] * 6)

    assert recorded() == [(1, EMPTY, 0, None)]


@pytest.mark.parametrize(
    ("fourth", "rest", "expected"),
    [(CLOSED, EMPTY, [(1, EMPTY, 0, None)]), (CLOSED, CLOSED, []), (FULL, EMPTY, [])],
)
def test_closed_stations_are_ignored_if_one_is_open(fourth, rest, expected):
    place(*NEAR)
    for minutes in (0, 11):
        poll(minutes, rest, rest, rest, fourth)

    assert recorded() == expected


def test_outage_continues_while_some_of_its_stations_close():
    place(*NEAR)
    for minutes in (0, 11):
        poll(minutes, *[EMPTY] * 4)
    poll(12, CLOSED, CLOSED, CLOSED, EMPTY)
    assert recorded() == [(1, EMPTY, 0, None)]

    poll(13, *[CLOSED] * 4)
    assert recorded() == [(1, EMPTY, 0, 13)]


def test_gap_between_polls_ends_an_outage_at_the_last_poll_before():
    place(*NEAR)
    for minutes in (0, 11):
        poll(minutes, *[EMPTY] * 4)
    later = 12 + LONGEST_GAP / timedelta(minutes=1)

    poll(later, *[EMPTY] * 4)

    assert recorded() == [(1, EMPTY, 0, 11)]


def test_other_systems_are_left_alone():
    place(*NEAR)
    Station.objects.create(id=9, system="other", name="S 9", lat=37.7, lon=-122.4)
    StationOutage.objects.create(station_id=9, kind=EMPTY, started_at=at(0))
    there = ClusterOutage.objects.create(
        system="other", station_id=9, station_ids=[9], kind=EMPTY, started_at=at(0)
    )
    for minutes in (0, 11, 200):
        poll(minutes, *[None] * 4)

    there.refresh_from_db()
    assert there.ended_at is None


def test_start_and_end_are_webhooks():
    services.create_endpoint("https://example.org/hooks", actor="root")
    place(*NEAR)
    for minutes in (0, 11, 12):
        poll(minutes, *[FULL] * 4)
    poll(13, *[None] * 4)

    started, ended = [
        json.loads(each.body)
        for each in WebhookDelivery.objects.filter(type__startswith="outage.").order_by("id")
    ]
    outage = ClusterOutage.objects.get()
    assert (started["type"], ended["type"]) == ("outage.cluster_started", "outage.cluster_ended")
    assert started["data"] == {
        "id": outage.pk,
        "system": "test",
        "kind": "full",
        "station_id": 1,
        "station_ids": [1, 2, 3, 4],
        "area": "North",
        "started_at": at(0).isoformat(),
        "ended_at": None,
    }
    assert ended["data"] == {**started["data"], "ended_at": at(13).isoformat()}


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"kind": CLOSED}, "cluster_outage_kind_is_known"),
        ({"ended_at": at(0)}, "cluster_outage_ends_after_it_starts"),
        ({}, "cluster_has_one_open_outage_of_a_kind"),
    ],
)
def test_database_refuses_impossible_outages(fields, rule):
    place(0)
    outage = {
        "system": "test",
        "station_id": 1,
        "station_ids": [1],
        "kind": EMPTY,
        "started_at": at(0),
    }
    ClusterOutage.objects.create(**outage)

    with pytest.raises(IntegrityError, match=rule):
        ClusterOutage.objects.create(**{**outage, **fields})
