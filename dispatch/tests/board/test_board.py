"""The board's page and its state: what they say, to whom, and at what cost."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dispatch import services
from dispatch.board import moves
from dispatch.board.stops import Stops
from dispatch.models import (
    Station,
    StationFeed,
    StationOutage,
    StationStatus,
    StatusPoll,
    Suggestion,
    Task,
)

from ..support.cities import city, station
from ..support.factories import SuggestionFactory, TaskFactory, UserFactory

pytestmark = pytest.mark.django_db

BOARD, STATE = "/admin/board/", "/admin/board/state.json"
SUGGESTIONS, TASKS = "/admin/dispatch/suggestion/", "/admin/dispatch/task/"
MINUTE = timedelta(minutes=1)


def parts(client):
    return client.get(STATE).json()["parts"]


def words(markup):
    return " ".join(re.sub(r"<[^>]*>", " ", markup).split())


def row(markup, key):
    """Of a list, the row with that id."""
    return markup.partition(f'id="{key}"')[2].partition("</li>")[0]


# What it says


def test_the_strip_says_what_there_is_to_do(dispatcher):
    city(10)
    now = timezone.now()
    SuggestionFactory.create_batch(2)
    TaskFactory(created_at=now - 50 * MINUTE)
    TaskFactory(assigned=True, assigned_at=now - 61 * MINUTE)
    TaskFactory(assigned=True, assigned_at=now)
    TaskFactory(completed=True, completed_at=now, assigned_at=now, moved_qty=3)
    StationStatus.objects.filter(pk=4).update(in_service=False)
    StationStatus.objects.filter(pk=5).update(as_of=now - 61 * MINUTE)

    numbers = words(parts(dispatcher)["numbers"])

    for told in (
        "2 to decide",
        "1 waiting, oldest since",
        "2 on the way",
        "1 overdue",
        "1 station empty",
        "1 station full",
        # Of eight: one is closed, and of one too little is known.
        "25.0 % empty or full now",
        "3 bikes moved today",
        "age of the feed",
    ):
        assert told in numbers, numbers


def test_of_several_feeds_the_one_in_trouble_is_told(dispatcher):
    city(1)
    StationFeed.objects.create(
        system="zoo", kind="status", source="x", read_at=timezone.now(), trouble="Not JSON."
    )

    numbers = parts(dispatcher)["numbers"]

    assert "feed in trouble: Not JSON." in words(numbers)
    assert 'id="n-feed" class="alarm"' in numbers


def test_a_feed_is_as_old_as_it_says_itself(dispatcher):
    now = timezone.now()
    feed = StationFeed.objects.create(system="bay", kind="status", source="x", read_at=now)

    def told():
        return re.search(r'id="n-feed".*datetime="([^"]*)"', parts(dispatcher)["numbers"])[1]

    assert told() == timezone.localtime(now).isoformat()
    feed.made_at = now - timedelta(hours=3)
    feed.save()
    assert told() == timezone.localtime(feed.made_at).isoformat()


def test_without_stations_and_moves_the_board_says_so(dispatcher):
    page = words(dispatcher.get(BOARD).content.decode())

    for told in (
        "No station is known yet.",
        "Nothing is to decide.",
        "No task is open.",
        "no feed yet",
    ):
        assert told in page


def test_a_suggestion_is_shown_with_both_ends_as_they_are_now(dispatcher):
    station(3, 18, 2, name="Ferry Pier")
    suggestion = SuggestionFactory(from_station_id=3, to_station_id=999, qty=4, source="model")

    told = words(row(parts(dispatcher)["proposals"], f"p{suggestion.id}"))

    assert "4 bikes" in told
    assert "Ferry Pier 18 of 20 bikes" in told
    assert "#999" in told
    assert "model" in told


def test_a_suggestion_is_shown_with_what_speaks_against_it_and_what_fits(dispatcher, settings):
    station(3, 18, 2, name="Ferry Pier")
    station(4, 5, 6, name="Old Market")
    TaskFactory(from_station_id=9, to_station_id=4, qty=2)
    too_many = SuggestionFactory(from_station_id=3, to_station_id=4, qty=5)
    few = SuggestionFactory(from_station_id=3, to_station_id=4, qty=4)

    shown = parts(dispatcher)["proposals"]

    assert "Old Market can take 4 of 5 bikes" in words(row(shown, f"p{too_many.id}"))
    assert f"{SUGGESTIONS}{too_many.id}/fit/" in shown
    assert words(row(shown, f"p{too_many.id}")).endswith("Approve Fit 4 Reject")
    assert "can take" not in row(shown, f"p{few.id}")
    assert "fit/" not in row(shown, f"p{few.id}")

    settings.INVENTORY_GUARD = "off"
    assert "can take" not in parts(dispatcher)["proposals"]


def test_suggestions_are_listed_worst_first_and_no_more_than_one_can_read(dispatcher, monkeypatch):
    monkeypatch.setattr(moves, "MOST_TO_DECIDE", 2)
    old, urgent, new = SuggestionFactory(), SuggestionFactory(priority=9), SuggestionFactory()

    shown = parts(dispatcher)

    assert re.findall(r'id="p(\d+)"', shown["proposals"]) == [str(urgent.id), str(old.id)]
    assert words(shown["decide"]) == "the first 2 of all 3"
    assert str(new.id) not in re.findall(r'id="a(\d+)"', shown["map"])


def test_tasks_are_listed_longest_on_the_way_first_then_as_they_go_out(dispatcher, monkeypatch):
    now = timezone.now()
    later = TaskFactory(assigned=True, assigned_at=now - 5 * MINUTE)
    overdue = TaskFactory(assigned=True, assigned_at=now - 90 * MINUTE)
    waiting, urgent = TaskFactory(), TaskFactory(priority=5)
    TaskFactory(completed=True)

    jobs = parts(dispatcher)["jobs"]

    ids = [overdue.id, later.id, urgent.id, waiting.id]
    assert re.findall(r'id="t(\d+)"', jobs) == [str(pk) for pk in ids]
    monkeypatch.setattr(moves, "MOST_IN_QUEUE", 3)
    assert re.findall(r'id="t(\d+)"', parts(dispatcher)["jobs"]) == [str(pk) for pk in ids[:3]]
    assert "overdue" in row(jobs, f"t{overdue.id}")
    assert "on the way" in row(jobs, f"t{later.id}")


def test_of_a_long_queue_only_the_rows_that_are_shown_are_read():
    Task.objects.bulk_create(TaskFactory.build_batch(3000))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE tasks")

    with CaptureQueriesContext(connection) as captured:
        jobs = moves.read_jobs(Stops(), timezone.now())

    assert len(jobs) == moves.MOST_IN_QUEUE
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + captured[-1]["sql"])
        assert "task_queue" in str(cursor.fetchall())


def test_moves_are_arrows_by_what_they_are(dispatcher):
    station(1, lat=37.77)
    station(2, lat=37.79)
    ends = {"from_station_id": 1, "to_station_id": 2}
    proposed, ready = SuggestionFactory(**ends), TaskFactory(**ends)
    late = TaskFactory(assigned=True, **ends)
    TaskFactory(from_station_id=1, to_station_id=777)

    drawn = re.findall(r'<path id="(\w+)" class="(\w+)"', parts(dispatcher)["map"])

    assert drawn == [
        (f"a{proposed.id}", "proposed"),
        (f"b{late.id}", "overdue"),
        (f"b{ready.id}", "ready"),
    ]


def test_stations_in_need_are_drawn_last_and_larger(dispatcher):
    station(1, 0, 20, name="Pier")
    station(2)
    station(3, 20, 0)

    circles = re.findall(
        r'<circle id="s(\d)" class="(\w+)".*?r="([\d.]+)"', parts(dispatcher)["map"]
    )

    assert circles == [("2", "fine", "4"), ("3", "full", "7"), ("1", "empty", "7")]
    assert "<title>Pier: empty, 0 of 20 bikes</title>" in parts(dispatcher)["map"]


def test_a_stations_card_tells_all_of_it(dispatcher):
    now = timezone.now()
    pier = station(1, 0, 20, name="Ferry Pier", bikes_disabled=3)
    station(2, name="Old Market")
    StationOutage.objects.create(station=pier, kind="empty", started_at=now - 30 * MINUTE)
    task = TaskFactory(assigned=True, from_station_id=2, to_station_id=1, qty=6)
    suggestion = SuggestionFactory(from_station_id=1, to_station_id=2, qty=2)
    SuggestionFactory(from_station_id=2, to_station_id=3)

    card = words(dispatcher.get(f"{BOARD}stations/1/").content.decode())

    for told in (
        "Ferry Pier",
        "Empty · station 1",
        "3 bikes, 0 docks",
        # Without the script; with it "1 min ago".
        f"as of {timezone.localtime(pier.status.as_of):%H:%M} Moves",
        f"+6 from Old Market, van-1 #{task.id}",
        f"2 to Old Market #{suggestion.id}",
        "to now",
    ):
        assert told in card, card
    assert (
        "Ferry Pier"
        in dispatcher.get(f"{BOARD}?station=1").content.decode().partition("card-head")[2]
    )


@pytest.mark.parametrize("number", ["9", "99999999999999999999", "x", "-1", "%00", "٣"])
def test_a_station_that_there_is_not_is_said_to_be_unknown(dispatcher, number):
    assert dispatcher.get(f"{BOARD}?station={number}").status_code == 200
    assert dispatcher.get(f"{BOARD}stations/{number}/").status_code == 404


def test_crews_are_told_with_what_they_have_and_did_today(dispatcher):
    now = timezone.now()
    TaskFactory(assigned=True, worker_id="van-1", assigned_at=now)
    TaskFactory(
        completed=True,
        worker_id="van-2",
        assigned_at=now - 20 * MINUTE,
        completed_at=now,
        moved_qty=4,
    )

    crews = words(parts(dispatcher)["crews"])

    assert re.match(r"van-1 1 \d\d:\d\d van-2 1 4 20 min", crews)


def test_the_last_24_hours_are_charts_with_what_they_come_to(dispatcher):
    StatusPoll.objects.create(system="test", at=timezone.now(), in_service=20, empty=1, full=2)
    task = TaskFactory(assigned=True, qty=4)
    services.complete_task(task.id, actor="van-1")

    day = parts(dispatcher)["day"]

    told = words(day)
    assert re.search(r"Stations empty or full 15.0 % .*Tasks done 1 .*Bikes moved 4 ", told), told
    assert ":00: empty 5 %, full 10 %</title>" in day
    assert ":00: bikes 4</title>" in day


# What one can do


def test_an_operation_that_was_begun_on_the_board_ends_there(dispatcher):
    one, two, three = SuggestionFactory.create_batch(3)
    task = TaskFactory(assigned=True)
    form = {"board": "1"}

    asked = [
        (f"{SUGGESTIONS}{one.id}/approve/", form),
        (f"{SUGGESTIONS}{one.id}/approve/", form),
        (SUGGESTIONS, {**form, "action": "approve_selected", "_selected_action": [two.id]}),
        (f"{SUGGESTIONS}{three.id}/reject/", {**form, "answered": "1", "reason": "Road works"}),
        (f"{TASKS}{task.id}/complete/?attempt=1", form),
    ]
    for address, data in asked:
        answer = dispatcher.post(address, data)
        assert (answer.status_code, answer["Location"]) == (302, BOARD), address
    assert Suggestion.objects.count() == 0
    page = dispatcher.get(BOARD).content.decode()
    assert f"Suggestion {one.id} was already approved as task" in page


def test_what_is_asked_first_leads_back_to_the_board_too(dispatcher):
    suggestion = SuggestionFactory()
    task = TaskFactory()
    for address, data in [
        (f"{SUGGESTIONS}{suggestion.id}/reject/", {}),
        (f"{TASKS}{task.id}/cancel/", {}),
        (SUGGESTIONS, {"action": "reject_selected", "_selected_action": [suggestion.id]}),
    ]:
        question = dispatcher.post(address, {"board": "1", **data}).content.decode()
        assert '<input type="hidden" name="board" value="1">' in question
        assert f'href="{BOARD}">Go back' in question


def test_who_may_only_look_has_no_buttons_and_no_way_in(viewer):
    suggestion, task = SuggestionFactory(), TaskFactory(assigned=True)

    shown = parts(viewer)

    for part in ("proposals", "jobs"):
        assert "<button" not in shown[part]
        assert "<input" not in shown[part]
    assert "bulk" not in viewer.get(BOARD).content.decode()
    for address in (f"{SUGGESTIONS}{suggestion.id}/approve/", f"{TASKS}{task.id}/release/"):
        assert viewer.post(address, {"board": "1"}).status_code == 403
    assert (Suggestion.objects.get(), Task.objects.get().status) == (suggestion, "assigned")


def test_a_button_is_there_only_for_what_may_be_done(viewer):
    eve = UserFactory(username="rita", is_superuser=False)
    able = ["view_suggestion", "view_task", "reject_suggestion", "release_task"]
    eve.user_permissions.set(Permission.objects.filter(codename__in=able))
    viewer.force_login(eve)
    SuggestionFactory()
    TaskFactory(assigned=True)

    shown = parts(viewer)

    assert re.findall(r"<button[^>]*>(\w+)", shown["proposals"]) == ["Reject"]
    assert re.findall(r"<button[^>]*>(\w+)", shown["jobs"]) == ["Release"]


def test_the_console_begins_with_the_board_for_who_may_see_it(dispatcher):
    assert dispatcher.get("/admin/")["Location"] == BOARD
    assert "Recent actions" in dispatcher.get("/admin/lists/").content.decode()

    other = Client()
    other.force_login(UserFactory(is_superuser=False))
    assert other.get("/admin/").status_code == 200


def test_the_board_is_read_and_nothing_else(dispatcher):
    station(1)
    for address in (BOARD, STATE, f"{BOARD}stations/1/"):
        assert dispatcher.post(address).status_code == 405
        assert dispatcher.head(address).status_code == 200


# What it costs


def test_nothing_is_sent_again_until_something_changes(dispatcher):
    city(5)
    suggestion, task = SuggestionFactory(), TaskFactory()
    first = dispatcher.get(STATE)
    known = first["ETag"]

    def changed():
        nonlocal known
        answer = dispatcher.get(STATE, headers={"If-None-Match": known})
        assert answer.content or answer.status_code == 304
        known = answer["ETag"]
        return answer.status_code == 200

    assert not changed()
    changes = [
        SuggestionFactory,
        lambda: Suggestion.objects.filter(pk=suggestion.id).update(priority=7),
        lambda: Suggestion.objects.filter(pk=suggestion.id).update(expires_at=timezone.now()),
        lambda: Suggestion.objects.filter(pk=suggestion.id).delete(),
        lambda: services.prioritize_task(task.id, by=10, actor="tom"),
        lambda: Task.objects.update(priority=20),
        # By SQL: as it looks when the event of a claim, of a release commits behind a higher one.
        lambda: Task.objects.update(
            status="assigned", worker_id="van-1", assigned_at=timezone.now(), attempt=1
        ),
        lambda: Task.objects.update(status="ready", worker_id=None, assigned_at=None),
        lambda: TaskFactory(assigned=True, assigned_at=timezone.now() - 59.99 * MINUTE),
        lambda: Task.objects.filter(status="assigned").update(
            assigned_at=timezone.now() - 61 * MINUTE
        ),
        lambda: StationStatus.objects.filter(pk=1).update(bikes=9),
        lambda: StationStatus.objects.filter(pk=2).update(in_service=False),
        lambda: StationStatus.objects.filter(pk=3).update(as_of=timezone.now() - 61 * MINUTE),
        lambda: StationFeed.objects.update(trouble="No answer."),
        lambda: station(6),
    ]
    for number, change in enumerate(changes):
        change()
        assert changed(), number
        assert not changed(), number


def test_the_page_and_its_state_have_the_same_version(dispatcher):
    page = dispatcher.get(BOARD).content.decode()

    version = re.search(r'data-version="(\w+)"', page)[1]
    assert dispatcher.get(STATE, headers={"If-None-Match": f'"{version}"'}).status_code == 304


def test_another_users_permissions_are_another_version(dispatcher, viewer):
    mine = Client()
    mine.force_login(UserFactory())

    assert mine.get(STATE)["ETag"] != viewer.get(STATE)["ETag"]


def queries(client, address, **headers):
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(address, headers=headers)
    assert answer.status_code in (200, 304)
    return len(captured), answer


def fill(size):
    city(size)
    for number in range(1, min(size, 60)):
        ends = {"from_station_id": number, "to_station_id": number + 1}
        SuggestionFactory(**ends)
        TaskFactory(**ends)
        TaskFactory(assigned=True, worker_id=f"van-{number}", **ends)


def test_a_city_of_500_costs_as_many_queries_as_one_of_5(dispatcher):
    few, many = {}, {}
    for counts, size in ((few, 5), (many, 500)):
        for model in (Suggestion, Task, StationFeed, StationStatus, Station):
            model.objects.all().delete()
        fill(size)
        for address in (BOARD, STATE, f"{BOARD}stations/3/"):
            counts[address], answer = queries(dispatcher, address)
            if address == BOARD:
                page = answer
    state = dispatcher.get(STATE)
    unchanged, _ = queries(dispatcher, STATE, **{"If-None-Match": state["ETag"]})

    assert many == few
    assert many[BOARD] < 30
    assert unchanged <= 12
    assert len(page.content) < 300_000
