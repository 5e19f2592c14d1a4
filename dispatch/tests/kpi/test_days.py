"""Figures by day and by week, and the tables for spreadsheets."""

import csv
import json
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command

from dispatch.admin import kpi
from dispatch.kpi import Period, build_report
from dispatch.kpi.days import Diary, by_day, by_week
from dispatch.kpi.stockouts import Share
from dispatch.kpi.tables import TABLES
from dispatch.kpi.work import WorkDone
from dispatch.models import FeedWatch, StatusPoll
from dispatch.stations import Poll

from ..support.kpi_days import EVENING, HOSTILE, at, small_city
from ..support.kpi_shift import happened, shift

MONDAY = date(2015, 5, 4)
PAGE = "/admin/kpi/"


def day(number):
    return MONDAY + timedelta(days=number)


def period(first, last, zone=UTC):
    return Period(day(first), day(last), zone)


def completed(number, hour, bikes):
    moment = datetime(2015, 5, 4, hour, tzinfo=UTC) + timedelta(days=number)
    happened("completed", moment, 1, "van-1", 1, moved_qty=bikes)


def polled(moment):
    FeedWatch.objects.create(system="small", started_at=moment, ended_at=moment)
    StatusPoll.objects.create(system="small", at=moment, in_service=4, empty=1, full=0)


# Pure


def test_each_day_is_beside_the_same_weekday_of_the_week_before():
    work = {day(0): WorkDone(3, 12), day(-7): WorkDone(2, 9), day(1): WorkDone(1, 4)}
    polls = {day(0): Poll(at(9), 10, 1, 1), day(-6): Poll(at(9), 10, 5, 0)}

    monday, tuesday = by_day(period(0, 1), Diary(polls, work))

    assert (monday.first, monday.days) == (day(0), 1)
    assert (monday.work, monday.work_before) == (WorkDone(3, 12), WorkDone(2, 9))
    assert (monday.share.either, monday.share_before) == (20.0, Share(0))
    assert (tuesday.work, tuesday.work_before) == (WorkDone(1, 4), WorkDone(0, 0))
    assert (tuesday.share, tuesday.share_before.empty) == (Share(0), 50.0)


def test_weeks_begin_on_monday_and_compare_as_many_days():
    work = {day(number): WorkDone(1, 10) for number in range(-9, 8)}
    polls = {day(-2): Poll(at(9), 30, 3, 0), day(-1): Poll(at(9), 10, 0, 9)}

    weekend, week, rest = by_week(period(-2, 7), Diary(polls, work))

    assert [(each.first, each.days) for each in (weekend, week, rest)] == [
        (day(-2), 2),
        (day(0), 7),
        (day(7), 1),
    ]
    assert (weekend.work, weekend.work_before) == (WorkDone(2, 20), WorkDone(2, 20))
    assert weekend.share.either == 30.0, "12 of 40 station-polls, not the mean of two days"
    assert (week.work, rest.work_before) == (WorkDone(7, 70), WorkDone(1, 10))
    assert week.share_before.either == 30.0


# From the database


@pytest.mark.django_db
def test_days_and_weeks_add_up_to_the_period():
    for number in range(-10, 3):
        completed(number, 12, 10 + number)
    polled(at(9))

    found = build_report(period(-1, 1), EVENING)

    for groups in (found.days, found.weeks):
        assert sum(each.work.tasks for each in groups) == found.total.completed == 3
        assert sum(each.work.bikes for each in groups) == found.total.bikes == 9 + 10 + 11
        assert sum(each.work_before.bikes for each in groups) == 2 + 3 + 4
    assert [each.first for each in found.weeks] == [day(-1), day(0)]
    assert found.days[1].share == Share(4, empty=25.0, full=0.0, either=25.0)


@pytest.mark.django_db
def test_days_end_at_midnight_of_the_time_zone():
    completed(0, 6, 5)
    completed(0, 7, 8)
    polled(at(6))

    sunday, monday = build_report(period(-1, 0, ZoneInfo("America/Los_Angeles")), EVENING).days

    assert (sunday.work.bikes, monday.work.bikes) == (5, 8)
    assert (sunday.share.empty, monday.share) == (25.0, Share(0))


@pytest.mark.django_db
def test_clock_change_moves_no_event_to_another_day():
    zone = ZoneInfo("America/Los_Angeles")
    change = date(2015, 11, 1)
    for hour in (0, 1, 23):
        moment = datetime(2015, 11, 1, hour, 30, tzinfo=zone)
        happened("completed", moment, 1, "van-1", 1, moved_qty=1)
        happened("completed", moment.replace(fold=1), 1, "van-1", 1, moved_qty=1)

    found = build_report(Period(change, change + timedelta(days=1), zone), EVENING)

    assert [each.work.tasks for each in found.days] == [6, 0]
    assert [hour.tasks for hour in found.work.by_hour if hour.tasks] == [2, 2, 2]


# The tables


def table(name):
    said = StringIO()
    call_command("kpi", "--from=2015-05-04", "--to=2015-05-05", "--table", name, stdout=said)
    assert said.getvalue().startswith("\ufeff")
    return list(csv.reader(StringIO(said.getvalue().removeprefix("\ufeff"), newline="")))


@pytest.mark.django_db
def test_every_table_has_a_row_for_each_group():
    small_city()
    shift()

    rows = {name: table(name) for name in TABLES}

    assert {name: len(found) - 1 for name, found in rows.items()} == {
        "days": 2,
        "weeks": 1,
        "hours": 24,
        "crews": 3,
        "areas": 3,
        "sources": 1,
        "stations": 4,
        "outages": 6,
    }
    assert all(len(row) == len(found[0]) for found in rows.values() for row in found)
    head, monday, tuesday = rows["days"]
    assert head[:4] == ["day", "tasks", "bikes", "empty"]
    assert head[6:8] == ["tasks_before", "bikes_before"]
    assert monday == ["2015-05-04", "4", "14", "24.24", "9.09", "33.33", "0", "0", "", "", ""]
    assert tuesday[:4] == ["2015-05-05", "0", "0", ""]
    assert rows["weeks"][1][:4] == ["2015-05-04", "2", "4", "14"]
    assert rows["hours"][10] == ["9", "0", "0", "100.0", "0.0", "100.0"]


@pytest.mark.django_db
def test_tables_of_stations_and_outages_are_in_local_time(settings):
    settings.TIME_ZONE = "America/Los_Angeles"
    small_city()

    stations, outages = table("stations"), table("outages")

    assert stations[1] == ["1", f"'{HOSTILE}", "2", "60.0", "60.0"]
    assert outages[0] == ["station_id", "name", "kind", "start", "end", "minutes"]
    start, end = "2015-05-04T02:00:00-07:00", "2015-05-04T03:00:00-07:00"
    assert outages[2] == ["2", "Station 2", "empty", start, end, "60.0"]
    assert outages[-1][2] == "closed"


@pytest.mark.django_db
def test_unknown_table_is_refused():
    with pytest.raises(CommandError, match="invalid choice: 'vans'"):
        call_command("kpi", "--table", "vans")
    with pytest.raises(CommandError, match="not allowed with argument"):
        call_command("kpi", "--table", "days", "--json")


@pytest.mark.django_db
def test_text_and_json_have_the_weeks():
    shift()
    said = StringIO()
    call_command("kpi", "--from=2015-05-04", "--to=2015-05-04", stdout=said)
    assert "2015-05-04 1 4 0 14 0 - -" in " ".join(said.getvalue().split())

    said = StringIO()
    call_command("kpi", "--from=2015-05-04", "--to=2015-05-04", "--json", stdout=said)
    found = json.loads(said.getvalue())
    assert found["weeks"][0].keys() - found["days"][0].keys() == {"first_day", "days"}
    assert found["days"][0]["bikes"] == found["weeks"][0]["bikes"] == 14


@pytest.mark.django_db
@pytest.mark.parametrize("name", TABLES)
def test_page_offers_each_table_as_csv(dispatcher, name):
    shift()
    days = {"from": "2015-05-04", "to": "2015-05-05"}

    page = dispatcher.get(PAGE, days).content.decode()
    answer = dispatcher.get(PAGE, {**days, "as": name})

    assert f"as={name}" in page
    assert answer.headers["Content-Disposition"] == (
        f'attachment; filename="{name}-2015-05-04-2015-05-05.csv"'
    )


@pytest.mark.django_db
def test_page_draws_days_only_if_there_are_several(dispatcher):
    shift()

    def charts(last):
        page = dispatcher.get(PAGE, {"from": "2015-05-04", "to": last}).content.decode()
        return page.count("<figure")

    assert (charts("2015-05-04"), charts("2015-05-05")) == (3, 6)


@pytest.mark.django_db
def test_page_marks_the_same_day_a_week_earlier(dispatcher):
    completed(-7, 9, 8)
    completed(0, 9, 6)

    page = dispatcher.get(PAGE, {"from": "2015-05-04", "to": "2015-05-05"}).content.decode()

    assert "05-04: tasks 1; a week earlier 1<" in page
    assert "05-04: bikes 6; a week earlier 8<" in page
    assert "05-05: bikes 0; a week earlier 0<" in page


@pytest.mark.django_db
def test_page_marks_at_most_62_days(dispatcher, monkeypatch):
    # These days have no rollups.
    monkeypatch.setattr(kpi, "MOST_DAYS_READ", 99)

    def has_marks(last):
        page = dispatcher.get(PAGE, {"from": "2015-05-01", "to": last}).content.decode()
        return "a week earlier<" in page

    assert (has_marks("2015-07-01"), has_marks("2015-07-02")) == (True, False)
