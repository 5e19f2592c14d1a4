"""Each figure, compared with one worked out by hand."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dispatch.exceptions import Refusal
from dispatch.kpi.episodes import Episode, closures, episodes, within
from dispatch.kpi.intervals import intersect, union
from dispatch.kpi.outage_parts import joined, split
from dispatch.kpi.periods import Period, period_of, to_date
from dispatch.kpi.stockouts import KindFigures, Share, share_of, stockout_figures
from dispatch.models import OutageKind
from dispatch.stations import Outage, Poll

EMPTY, FULL, CLOSED = OutageKind
PACIFIC = ZoneInfo("America/Los_Angeles")
MONDAY = date(2015, 5, 4)
DAY = Period(MONDAY, MONDAY, PACIFIC)


def at(clock, day=MONDAY):
    hour, minute = map(int, clock.split(":"))
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=PACIFIC).astimezone(UTC)


LAST = at("23:50")


def outage(kind, start, end=None, station_id=1):
    return Outage(station_id, kind, at(start), at(end) if end else None)


def found(*outages, last=LAST):
    return [(e.kind, e.start, e.end) for e in episodes(outages, last)]


# Episodes


def test_outage_is_an_episode():
    assert found(outage(EMPTY, "08:00", "09:00")) == [(EMPTY, at("08:00"), at("09:00"))]


def test_closure_within_an_outage_does_not_split_it():
    assert found(
        outage(EMPTY, "08:00", "09:00"),
        outage(CLOSED, "09:00", "09:20"),
        outage(EMPTY, "09:20", "10:00"),
    ) == [(EMPTY, at("08:00"), at("10:00"))]


def test_closure_right_after_an_outage_belongs_to_it():
    assert found(outage(EMPTY, "08:00", "09:00"), outage(CLOSED, "09:00", "09:20")) == [
        (EMPTY, at("08:00"), at("09:20"))
    ]


def test_open_closure_belongs_to_no_episode():
    assert found(outage(EMPTY, "08:00", "09:00"), outage(CLOSED, "09:00")) == [
        (EMPTY, at("08:00"), at("09:00"))
    ]


def test_closure_before_an_outage_does_not_belong_to_it():
    assert found(outage(CLOSED, "07:00", "08:00"), outage(FULL, "08:00", "09:00")) == [
        (FULL, at("08:00"), at("09:00"))
    ]


def test_other_kind_after_a_closure_is_another_episode():
    assert found(
        outage(EMPTY, "08:00", "09:00"),
        outage(CLOSED, "09:00", "09:20"),
        outage(FULL, "09:20", "10:00"),
    ) == [(EMPTY, at("08:00"), at("09:20")), (FULL, at("09:20"), at("10:00"))]


def test_outages_apart_are_two_episodes():
    assert len(found(outage(EMPTY, "08:00", "09:00"), outage(EMPTY, "09:10", "10:00"))) == 2
    assert len(found(outage(CLOSED, "08:00", "09:00"), outage(EMPTY, "10:30", "11:00"))) == 1


def test_open_outage_lasts_until_the_last_poll():
    assert found(outage(FULL, "23:00")) == [(FULL, at("23:00"), LAST)]


def test_episodes_of_two_stations_do_not_join():
    assert len(found(outage(EMPTY, "08:00", "09:00", 1), outage(EMPTY, "09:00", "10:00", 2))) == 2


def test_closures_are_counted_separately():
    assert [
        (c.start, c.end)
        for c in closures([outage(EMPTY, "08:00", "09:00"), outage(CLOSED, "23:00")], LAST)
    ] == [(at("23:00"), LAST)]


# The part in the period


def test_part_of_an_outage_counts_on_each_side_of_midnight():
    night = Episode(1, EMPTY, at("23:00"), at("00:30", date(2015, 5, 5)))
    tuesday = Period(date(2015, 5, 5), date(2015, 5, 5), PACIFIC)

    assert [e.minutes for e in within(DAY, [night])] == [60]
    assert [e.minutes for e in within(tuesday, [night])] == [30]


def test_episode_first_seen_by_the_last_poll_has_no_length():
    assert [e.minutes for e in within(DAY, [Episode(1, EMPTY, LAST, LAST)])] == [0]


def test_episode_that_only_touches_the_period_is_left_out():
    before = Episode(1, EMPTY, at("23:00", date(2015, 5, 3)), DAY.start)
    after = Episode(1, EMPTY, DAY.end, DAY.end)

    assert list(within(DAY, [before, after])) == []


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2015, 3, 8), 23), (date(2015, 11, 1), 25), (MONDAY, 24)]
)
def test_day_on_which_the_clock_changes_has_23_or_25_hours(day, hours):
    """An outage of the whole day and more has as many minutes as the day."""
    period = Period(day, day, PACIFIC)
    around = Episode(1, EMPTY, at("12:00", date(2015, 1, 1)), at("12:00", date(2015, 12, 1)))

    assert period.end - period.start == timedelta(hours=hours)
    assert [e.minutes for e in within(period, [around])] == [hours * 60]


# Shares


def test_share_is_of_all_stations_in_all_polls():
    polls = [Poll(at("08:00"), 10, 1, 2), Poll(at("08:10"), 30, 1, 0)]

    assert share_of(polls) == Share(40, empty=5.0, full=5.0, either=10.0)
    assert share_of([]) == Share(0)
    assert share_of([Poll(at("08:00"), 0, 0, 0)]) == Share(0)


def figures(polls=(), episodes_found=(), closed=(), names=None, in_service=1, period=DAY):
    return stockout_figures(
        period,
        polls,
        joined([split(period, [*episodes_found, *closed])]),
        names=names or {},
        in_service=in_service,
    )


def test_shares_are_by_wall_clock_hour_and_for_peak_hours():
    polls = [
        Poll(at("05:50"), 10, 5, 0),
        Poll(at("06:00"), 10, 1, 0),
        Poll(at("21:50"), 10, 0, 2),
        Poll(at("22:00"), 10, 10, 0),
    ]

    result = figures(polls)

    assert result.share == Share(40, empty=40.0, full=5.0, either=45.0)
    assert result.peak_hours == Share(20, empty=5.0, full=10.0, either=15.0)
    assert {
        hour: share.either for hour, share in enumerate(result.by_hour) if share.station_polls
    } == {
        5: 50.0,
        6: 10.0,
        21: 20.0,
        22: 100.0,
    }


def test_repeated_hour_of_a_clock_change_counts_twice():
    night = datetime(2015, 11, 1, 8, 30, tzinfo=UTC)
    polls = [Poll(night, 10, 1, 0), Poll(night + timedelta(hours=1), 10, 3, 0)]

    result = figures(polls, period=Period(date(2015, 11, 1), date(2015, 11, 1), PACIFIC))

    assert result.by_hour[1] == Share(20, empty=20.0, full=0.0, either=20.0)


# Figures of episodes


def test_episodes_have_counts_minutes_and_medians_by_kind():
    result = figures(
        episodes_found=[
            Episode(1, EMPTY, at("08:00"), at("08:10")),
            Episode(1, EMPTY, at("09:00"), at("10:00")),
            Episode(2, EMPTY, at("08:00"), at("09:01")),
            Episode(2, FULL, at("12:00"), at("12:30")),
        ],
        closed=[Episode(3, CLOSED, at("08:00"), at("08:05"))],
        in_service=3,
    )

    assert result.empty == KindFigures(episodes=3, stations=2, minutes=131, median_minutes=60)
    assert result.full == KindFigures(episodes=1, stations=1, minutes=30, median_minutes=30)
    assert result.either == KindFigures(episodes=4, stations=2, minutes=161, median_minutes=45)
    assert result.closed == KindFigures(episodes=1, stations=1, minutes=5, median_minutes=5)
    assert result.long_episodes == 1, "an hour is not longer than an hour"


def test_worst_tenth_is_rounded_down_to_whole_stations():
    lengths = {1: 10, 2: 40, 3: 30, 4: 20}
    episodes_found = [
        Episode(number, FULL, at("08:00"), at("08:00") + timedelta(minutes=minutes))
        for number, minutes in lengths.items()
    ]

    result = figures(episodes_found=episodes_found, names={2: "Ferry Building"}, in_service=29)

    assert result.worst_tenth == 70.0, "two of 29: 40 and 30 of 100 minutes"
    assert [(s.name, s.minutes) for s in result.worst_stations] == [
        ("Ferry Building", 40),
        ("#3", 30),
        ("#4", 20),
        ("#1", 10),
    ]


def test_figures_without_data_are_empty():
    result = figures(in_service=0)

    assert result.share == Share(0)
    assert result.either == KindFigures(0, 0, 0, None)
    assert result.worst_tenth is None
    assert result.worst_stations == []


# Periods


def test_period_defaults_to_the_last_week():
    assert period_of(None, None, MONDAY, UTC) == Period(date(2015, 4, 28), MONDAY, UTC)
    assert period_of(None, date(2015, 4, 7), MONDAY, UTC).first == date(2015, 4, 1)
    assert period_of(date(2015, 5, 1), None, MONDAY, UTC).last == MONDAY
    assert len(list(period_of(None, None, MONDAY, UTC).days())) == 7


@pytest.mark.parametrize(
    ("first", "last", "why"),
    [
        (date(2015, 5, 5), None, "The first day, 2015-05-05, is after the last day, 2015-05-04."),
        (date(2014, 5, 3), None, "2014-05-03 to 2015-05-04 is more than 366 days."),
        (None, date(1, 1, 1), "The days must be between 2001-01-01 and 8999-01-01."),
        (None, date.max, "The days must be between 2001-01-01 and 8999-01-01."),
    ],
)
def test_invalid_period_is_refused(first, last, why):
    with pytest.raises(Refusal) as refusal:
        period_of(first, last, MONDAY, UTC)

    assert str(refusal.value) == why


def test_period_may_be_a_year():
    assert len(list(period_of(date(2014, 5, 4), None, MONDAY, UTC).days())) == 366


@pytest.mark.parametrize(
    "text",
    ["", "tomorrow", "2015-02-30", "20150504", "2015-W19-1", "\u0662015-05-04", "2015-05-04\n"],
)
def test_date_has_one_form_only(text):
    assert to_date("2015-05-04") == MONDAY
    with pytest.raises(Refusal):
        to_date(text)


# Intervals


def test_union_joins_touching_intervals_and_drops_empty_ones():
    assert union([(5, 6), (1, 3), (3, 4), (2, 3), (9, 9)]) == [(1, 4), (5, 6)]


def test_intersection_of_two_lists():
    assert intersect([(1, 4), (6, 9)], [(0, 2), (3, 7), (8, 20)]) == [
        (1, 2),
        (3, 4),
        (6, 7),
        (8, 9),
    ]
    assert intersect([(1, 2)], [(2, 3)]) == intersect([], [(1, 2)]) == []
