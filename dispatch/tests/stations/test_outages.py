"""Outages from polls, worked out by hand. The service must record the same, poll by poll."""

from datetime import timedelta

import pytest
from django.db import IntegrityError

from dispatch.gbfs import Status, StatusRow
from dispatch.models import FeedWatch, OutageKind, Station, StationAlias, StationOutage, StatusPoll
from dispatch.services.stations.feeds import FeedReading
from dispatch.services.stations.status import record_status
from dispatch.stations import LONGEST_GAP, Outage, Poll, state_of, tally

from ..support.factories import MORNING
from ..support.outage_rules import Watch, history_of

EMPTY, FULL, CLOSED = OutageKind


def at(minutes):
    return MORNING + timedelta(minutes=minutes)


def outages(*polls):
    return history_of((at(minutes), states) for minutes, states in polls).outages


def test_outage_lasts_from_the_poll_that_saw_it_to_one_that_did_not():
    assert outages((0, {1: None}), (10, {1: EMPTY}), (20, {1: EMPTY}), (30, {1: None})) == [
        Outage(1, EMPTY, at(10), at(30))
    ]


def test_outage_in_the_last_poll_is_open():
    assert outages((0, {1: EMPTY}), (10, {1: EMPTY})) == [Outage(1, EMPTY, at(0), None)]


def test_change_of_kind_ends_an_outage_and_begins_another():
    assert outages((0, {1: EMPTY}), (10, {1: CLOSED}), (20, {1: FULL}), (30, {1: None})) == [
        Outage(1, EMPTY, at(0), at(10)),
        Outage(1, CLOSED, at(10), at(20)),
        Outage(1, FULL, at(20), at(30)),
    ]


@pytest.mark.parametrize("minutes", [10, 5])
def test_poll_not_newer_than_the_last_changes_nothing(minutes):
    history = history_of([(at(0), {1: EMPTY}), (at(10), {1: EMPTY}), (at(minutes), {1: None})])

    assert history.outages == [Outage(1, EMPTY, at(0), None)]
    assert len(history.polls) == 2
    assert history.watches == [Watch(at(0), at(10))]


def test_station_missing_from_a_poll_stays_as_it_was():
    assert outages((0, {1: EMPTY, 2: None}), (10, {2: None}), (20, {1: None, 2: None})) == [
        Outage(1, EMPTY, at(0), at(20))
    ]


def test_gap_ends_the_watch_and_all_outages_at_the_poll_before_it():
    long = LONGEST_GAP / timedelta(minutes=1)
    history = history_of(
        [
            (at(0), {1: EMPTY, 2: None}),
            (at(long), {1: EMPTY, 2: FULL}),
            (at(2 * long + 1), {1: EMPTY, 2: None}),
        ]
    )

    assert history.outages == [
        Outage(1, EMPTY, at(0), at(long)),
        Outage(1, EMPTY, at(2 * long + 1), None),
    ]
    assert history.watches == [Watch(at(0), at(long)), Watch(at(2 * long + 1), at(2 * long + 1))]


def test_tally_leaves_out_closed_stations():
    states = {1: EMPTY, 2: FULL, 3: CLOSED, 4: None, 5: EMPTY}

    assert tally(at(0), states) == Poll(at(0), in_service=4, empty=2, full=1)


def test_no_polls_give_no_history():
    history = history_of([])

    assert (history.outages, history.polls, history.watches) == ([], [], [])


# The service records the same

FIGURES = {None: (3, 4, True), EMPTY: (0, 7, True), FULL: (7, 0, True), CLOSED: (3, 4, False)}
LONG = int(LONGEST_GAP / timedelta(minutes=1))
# All rules in one: each state after each other, a missing station, gaps, an outage of no length.
TALE = [
    (0, {1: None, 2: EMPTY, 3: CLOSED}),
    (10, {1: EMPTY, 2: EMPTY, 3: None}),
    (20, {1: EMPTY, 3: FULL}),
    (30, {1: CLOSED, 2: FULL, 3: FULL}),
    (30 + LONG, {1: EMPTY, 2: FULL, 3: EMPTY}),
    (32 + 2 * LONG, {1: EMPTY, 2: None, 3: None}),
    (40 + 2 * LONG, {1: FULL, 2: CLOSED, 3: None}),
    (50 + 2 * LONG, {1: FULL, 2: EMPTY, 3: FULL}),
]


def recorded(minutes, states):
    rows = [
        StatusRow(
            (str(number),), *FIGURES[state][:2], 0, 0, FIGURES[state][2], reported_at=at(minutes)
        )
        for number, state in states.items()
    ]
    record_status(Status(at(minutes), rows, []), system="test", reading=FeedReading("test"))


@pytest.mark.django_db(transaction=True)
def test_recorded_outages_follow_the_rules():
    for number in (1, 2, 3):
        Station.objects.create(id=number, system="test", name=f"S {number}", lat=1, lon=number)
        StationAlias.objects.create(system="test", feed_id=str(number), station_id=number)

    for minutes, states in TALE:
        recorded(minutes, states)

    history = history_of(
        (at(m), {n: state_of(*FIGURES[s]) for n, s in states.items()}) for m, states in TALE
    )
    rows = StationOutage.objects.order_by("station_id", "started_at")
    assert len(history.outages) == 11
    assert [
        Outage(o.station_id, OutageKind(o.kind), o.started_at, o.ended_at) for o in rows
    ] == history.outages
    assert [
        Watch(w.started_at, w.ended_at) for w in FeedWatch.objects.order_by("started_at")
    ] == history.watches
    assert [
        Poll(p.at, p.in_service, p.empty, p.full) for p in StatusPoll.objects.order_by("at")
    ] == history.polls


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"in_service": 2, "empty": 2, "full": 1}, "status_poll_counts_its_stations"),
        ({"at": MORNING.replace(year=9000)}, "status_poll_at_is_a_date"),
        ({"at": MORNING}, "one_status_poll_at_a_time"),
    ],
)
def test_database_refuses_impossible_polls(fields, rule):
    poll = {"system": "test", "at": at(10), "in_service": 3, "empty": 2, "full": 0}
    StatusPoll.objects.create(**{**poll, "at": MORNING})

    with pytest.raises(IntegrityError, match=rule):
        StatusPoll.objects.create(**{**poll, **fields})
