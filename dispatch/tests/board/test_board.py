"""The board's page and its state: content, permissions and cost."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dispatch import services
from dispatch.board import filters
from dispatch.models import (
    Station,
    StationFeed,
    StationOutage,
    StationStatus,
    StatusPoll,
    Suggestion,
    Task,
)
from dispatch.overview import moves
from dispatch.overview.roster import Roster
from dispatch.overview.station_views import StationViews

from ..support.cities import city, station
from ..support.factories import SuggestionFactory, TaskFactory, UserFactory
from ..support.pages import words

pytestmark = pytest.mark.django_db

BOARD, STATE = "/admin/board/", "/admin/board/state.json"
SUGGESTIONS, TASKS = "/admin/dispatch/suggestion/", "/admin/dispatch/task/"
MINUTE = timedelta(minutes=1)


def parts(client):
    return client.get(STATE).json()["parts"]


def row(markup, key):
    """The list row with that id."""
    return markup.partition(f'id="{key}"')[2].partition("</li>")[0]


# Content


def test_summary_counts_work_stations_and_bikes(dispatcher):
    city(10)
    now = timezone.now()
    SuggestionFactory.create_batch(2)
    TaskFactory(created_at=now - 50 * MINUTE)
    TaskFactory(assigned=True, assigned_at=now - 61 * MINUTE)
    TaskFactory(assigned=True, assigned_at=now)
    TaskFactory(completed=True, completed_at=now, assigned_at=now, moved_qty=3)
    StationStatus.objects.filter(pk=4).update(in_service=False)
    StationStatus.objects.filter(pk=5).update(as_of=now - 61 * MINUTE)

    summary = words(parts(dispatcher)["summary"])

    for expected in (
        "2 suggestions",
        "1 ready · longest since",
        "2 assigned",
        "1 overdue",
        "1 station empty",
        "1 station full",
        # Of eight stations: one is out of service, and the status of one is too old.
        "25.0 % of stations empty or full",
        "3 bikes moved today",
        "station data age",
    ):
        assert expected in summary, summary


def test_summary_shows_the_failing_feed(dispatcher):
    city(1)
    StationFeed.objects.create(
        system="zoo", kind="status", source="x", read_at=timezone.now(), trouble="Not JSON."
    )

    summary = parts(dispatcher)["summary"]

    assert "station feed failing" in words(summary)
    assert 'title="zoo: Not JSON."' in summary
    assert 'id="n-feed" class="alarm"' in summary


def test_feed_is_late_once_it_has_missed_three_polls(dispatcher):
    now = timezone.now()
    StationFeed.objects.create(system="bay", kind="status", source="x", read_at=now)

    def limit():
        found = re.search(r'id="n-feed".*data-limit="([^"]*)"', parts(dispatcher)["summary"])
        return found and found[1]

    for minutes, expected in ((60, None), (30, None), (9, None), (5, "3300"), (4, "1560")):
        StatusPoll.objects.create(
            system="bay", at=now - timedelta(minutes=minutes), in_service=1, empty=0, full=0
        )
        StationFeed.objects.update(read_at=timezone.now())
        assert limit() == expected


def test_feed_age_is_that_of_its_own_timestamp(dispatcher):
    now = timezone.now()
    feed = StationFeed.objects.create(system="bay", kind="status", source="x", read_at=now)

    def shown_time():
        return re.search(r'id="n-feed".*datetime="([^"]*)"', parts(dispatcher)["summary"])[1]

    assert shown_time() == timezone.localtime(now).isoformat()
    feed.made_at = now - timedelta(hours=3)
    feed.save()
    assert shown_time() == timezone.localtime(feed.made_at).isoformat()


def test_empty_board_names_the_missing_steps(dispatcher):
    page = words(dispatcher.get(BOARD).content.decode())

    for expected in (
        "No stations yet.",
        "No suggestions to review.",
        "No open tasks.",
        "no station feed yet",
    ):
        assert expected in page


def test_suggestion_shows_current_status_of_both_stations(dispatcher):
    station(3, 18, 2, name="Ferry Pier")
    suggestion = SuggestionFactory(from_station_id=3, to_station_id=999, qty=4, source="model")

    shown = words(row(parts(dispatcher)["suggestions"], f"p{suggestion.id}"))

    assert "4 bikes" in shown
    assert "Ferry Pier 18 bikes · 2 docks free" in shown
    assert "#999" in shown
    assert "model" in shown


def test_suggestion_shows_shortfalls_and_how_many_bikes_fit(dispatcher, settings):
    station(3, 18, 2, name="Ferry Pier")
    station(4, 5, 6, name="Old Market")
    TaskFactory(from_station_id=9, to_station_id=4, qty=2)
    too_many = SuggestionFactory(from_station_id=3, to_station_id=4, qty=5)
    few = SuggestionFactory(from_station_id=3, to_station_id=4, qty=4)

    shown = parts(dispatcher)["suggestions"]

    assert "Only 4 of 5 bikes fit at Old Market" in words(row(shown, f"p{too_many.id}"))
    assert f"{SUGGESTIONS}{too_many.id}/fit/" in shown
    assert words(row(shown, f"p{too_many.id}")).endswith("Approve Approve 4 Assign Reject")
    assert "fit at" not in row(shown, f"p{few.id}")
    assert "fit/" not in row(shown, f"p{few.id}")

    settings.INVENTORY_GUARD = "off"
    assert "fit at" not in parts(dispatcher)["suggestions"]


def test_most_urgent_suggestions_are_listed_up_to_a_limit(dispatcher, monkeypatch):
    monkeypatch.setattr(filters, "SHOWN", 2)
    old, urgent, _ = SuggestionFactory(), SuggestionFactory(priority=9), SuggestionFactory()

    shown = parts(dispatcher)

    assert re.findall(r'id="p(\d+)"', shown["suggestions"]) == [str(urgent.id), str(old.id)]
    assert words(shown["suggestion_count"]) == "2 of 3, show all"


def test_assigned_tasks_come_first_then_ready_in_dispatch_order(dispatcher, monkeypatch):
    now = timezone.now()
    later = TaskFactory(assigned=True, assigned_at=now - 5 * MINUTE)
    overdue = TaskFactory(assigned=True, assigned_at=now - 90 * MINUTE)
    waiting, urgent = TaskFactory(), TaskFactory(priority=5)
    TaskFactory(completed=True)

    tasks = parts(dispatcher)["tasks"]

    ids = [overdue.id, later.id, urgent.id, waiting.id]
    assert re.findall(r'id="t(\d+)"', tasks) == [str(pk) for pk in ids]
    monkeypatch.setattr(filters, "SHOWN", 3)
    assert re.findall(r'id="t(\d+)"', parts(dispatcher)["tasks"]) == [str(pk) for pk in ids[:3]]
    assert "overdue" in row(tasks, f"t{overdue.id}")
    assert "assigned" in row(tasks, f"t{later.id}")


@pytest.mark.slow
def test_long_queue_is_read_through_its_index():
    TaskFactory.insert_batch(3000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE tasks")

    with CaptureQueriesContext(connection) as captured:
        tasks = moves.read_tasks(Task.objects.open(), StationViews(), timezone.now(), 40, Roster())

    assert len(tasks) == 40
    with connection.cursor() as cursor:
        (queue,) = (each["sql"] for each in captured if 'priority" DESC' in each["sql"])
        cursor.execute("EXPLAIN " + queue)
        assert "task_queue" in str(cursor.fetchall())


def test_station_panel_shows_status_moves_and_outages(dispatcher):
    now = timezone.now()
    pier = station(1, 0, 20, name="Ferry Pier", bikes_disabled=3)
    station(2, name="Old Market")
    StationOutage.objects.create(station=pier, kind="empty", started_at=now - 30 * MINUTE)
    task = TaskFactory(assigned=True, from_station_id=2, to_station_id=1, qty=6)
    suggestion = SuggestionFactory(from_station_id=1, to_station_id=2, qty=2)
    SuggestionFactory(from_station_id=2, to_station_id=3)

    panel = words(dispatcher.get(f"{BOARD}stations/1/").content.decode())

    for expected in (
        "Ferry Pier",
        "Empty · station 1",
        "3 bikes, 0 docks",
        # The script replaces this with the age.
        f"reported {timezone.localtime(pier.status.as_of):%H:%M} Take bikes from here",
        "Bring bikes here Tasks and suggestions",
        f"+6 from Old Market, van-1 · 0.0 km #{task.id}",
        f"2 to Old Market · 0.0 km #{suggestion.id}",
        "to now",
    ):
        assert expected in panel, panel
    assert (
        "Ferry Pier"
        in dispatcher.get(f"{BOARD}?station=1").content.decode().partition("panel-head")[2]
    )


@pytest.mark.parametrize(
    "number",
    [
        "9",
        "9" * 20,
        pytest.param("9" * 4301, id="more digits than int() reads"),
        "x",
        "-1",
        "%00",
        "٣",
    ],
)
def test_panel_of_an_unknown_station_is_404(dispatcher, number):
    assert dispatcher.get(f"{BOARD}?station={number}").status_code == 200
    assert dispatcher.get(f"{BOARD}stations/{number}/").status_code == 404


def test_crews_show_open_tasks_and_todays_work(dispatcher):
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

    assert re.fullmatch(
        r"van-2 not on the roster free \d\d:\d\d \d\d:\d\d 1 4"
        r" van-1 not on the roster 1 task \d\d:\d\d Give all to…",
        crews,
    )


def test_charts_of_the_last_24_hours_show_totals(dispatcher):
    StatusPoll.objects.create(system="test", at=timezone.now(), in_service=20, empty=1, full=2)
    task = TaskFactory(assigned=True, qty=4)
    services.complete_task(task.id, actor="van-1")

    charts = parts(dispatcher)["charts"]

    shown = words(charts)
    assert re.search(
        r"Stations empty or full 15.0 % .*Tasks completed 1 .*Bikes moved 4 ", shown
    ), shown
    assert ":00: empty 5 %, full 10 %</title>" in charts
    assert ":00: bikes 4</title>" in charts


# Operations


def test_operations_from_the_board_return_to_it(dispatcher):
    one, two, three = SuggestionFactory.create_batch(3)
    task = TaskFactory(assigned=True)
    form = {"board": "1"}

    requests = [
        (f"{SUGGESTIONS}{one.id}/approve/", form),
        (f"{SUGGESTIONS}{one.id}/approve/", form),
        (SUGGESTIONS, {**form, "action": "approve_selected", "_selected_action": [two.id]}),
        (f"{SUGGESTIONS}{three.id}/reject/", {**form, "confirmed": "1", "reason": "Road works"}),
        (f"{TASKS}{task.id}/complete/?attempt=1", {**form, "confirmed": "1", "moved_qty": "5"}),
    ]
    for address, data in requests:
        answer = dispatcher.post(address, data)
        assert (answer.status_code, answer["Location"]) == (302, BOARD), address
    assert Suggestion.objects.count() == 0
    page = dispatcher.get(BOARD).content.decode()
    assert f"Suggestion {one.id} was already approved as task" in page


def test_confirmation_forms_lead_back_to_the_board(dispatcher):
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


def test_viewer_has_no_buttons_and_is_refused(viewer):
    suggestion, task = SuggestionFactory(), TaskFactory(assigned=True)

    shown = parts(viewer)

    for part in ("suggestions", "tasks"):
        assert "<button" not in shown[part]
        assert "<input" not in shown[part]
    assert "bulk" not in viewer.get(BOARD).content.decode()
    for address in (f"{SUGGESTIONS}{suggestion.id}/approve/", f"{TASKS}{task.id}/release/"):
        assert viewer.post(address, {"board": "1"}).status_code == 403
    assert (Suggestion.objects.get(), Task.objects.get().status) == (suggestion, "assigned")


def test_buttons_are_limited_to_permitted_operations(viewer):
    eve = UserFactory(username="rita", is_superuser=False)
    able = ["view_suggestion", "view_task", "reject_suggestion", "release_task"]
    eve.user_permissions.set(Permission.objects.filter(codename__in=able))
    viewer.force_login(eve)
    SuggestionFactory()
    TaskFactory(assigned=True)

    shown = parts(viewer)

    assert re.findall(r"<button[^>]*>(\w+)", shown["suggestions"]) == ["Reject"]
    assert re.findall(r"<button class[^>]*formaction[^>]*>(\w+)", shown["tasks"]) == ["Release"]


def test_console_opens_with_the_board_if_permitted(dispatcher):
    assert dispatcher.get("/admin/")["Location"] == BOARD
    assert "API tokens" in dispatcher.get("/admin/lists/").content.decode()

    other = Client()
    other.force_login(UserFactory(is_superuser=False))
    assert other.get("/admin/").status_code == 200


def test_board_addresses_accept_reads_only(dispatcher):
    station(1)
    for address in (BOARD, STATE, f"{BOARD}stations.geojson", f"{BOARD}stations/1/"):
        assert dispatcher.post(address).status_code == 405
        assert dispatcher.head(address).status_code == 200


SCRIPT = {"Accept": "application/json, text/html;q=0.9"}


def test_script_is_answered_with_the_changed_state(dispatcher, same_hour):
    suggestion = SuggestionFactory()

    answer = dispatcher.post(
        f"{SUGGESTIONS}{suggestion.id}/approve/", {"board": "state=ready"}, headers=SCRIPT
    )
    assert answer["Location"] == "/admin/board/answer.json?state=ready"
    state = dispatcher.get(answer["Location"]).json()

    task = Task.objects.get()
    (message,) = state["messages"]
    assert message["level"] == "success"
    assert f'data-undo="{TASKS}{task.id}/undo/"' in message["html"]
    assert f"Suggestion {suggestion.id} approved as task {task.id}" in words(message["html"])
    assert f't{task.id}"' in state["parts"]["tasks"]
    later = dispatcher.get(f"{STATE}?state=ready", headers={"If-None-Match": state["version"]})
    assert later.status_code == 304
    assert dispatcher.get(answer["Location"]).json()["messages"] == []


def test_approval_asks_first_if_no_bike_fits(dispatcher):
    station(3, 0, 20, name="Ferry Pier")
    station(4)
    suggestion = SuggestionFactory(from_station_id=3, to_station_id=4)
    address = f"{SUGGESTIONS}{suggestion.id}/approve/"

    question = dispatcher.post(address, {"board": "1"}).content.decode()

    assert f"Approve suggestion {suggestion.id}?" in question
    assert "has no bike" in words(question)
    assert not Task.objects.exists()
    assert dispatcher.post(address, {"board": "1", "confirmed": "1"}).status_code == 302
    assert Task.objects.exists()


def test_completing_asks_for_the_count(dispatcher):
    task = TaskFactory(assigned=True, qty=11)
    address = f"{TASKS}{task.id}/complete/?attempt=1"

    question = dispatcher.post(address, {"board": "1"}).content.decode()
    wrong = dispatcher.post(
        address, {"board": "1", "confirmed": "1", "moved_qty": "140", "note": "Two vans"}
    ).content.decode()

    (field,) = re.findall(r'<input[^>]*name="moved_qty"[^>]*>', question)
    assert all(part in field for part in ('value="11"', 'min="0"', 'max="'))
    assert "the task is for 11 bikes." in words(wrong)
    assert "Two vans" in wrong
    assert Task.objects.get().status == "assigned"


# Cost


@pytest.mark.slow
def test_page_and_state_are_compressed(dispatcher):
    fill(500)

    for address in (BOARD, STATE, "/admin/board/answer.json"):
        plain = dispatcher.get(address)
        small = dispatcher.get(address, headers={"Accept-Encoding": "gzip"})
        assert small["Content-Encoding"] == "gzip"
        assert len(small.content) < min(40_000, len(plain.content) / 3), address


@pytest.mark.slow
def test_state_is_sent_again_only_after_a_change(dispatcher, same_hour):
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
        # By SQL, as if the events of a claim and a release committed after one with a higher id.
        lambda: Task.objects.update(
            status="assigned", worker_id="van-1", assigned_at=timezone.now(), attempt=1
        ),
        lambda: Task.objects.update(status="ready", worker_id=None, assigned_at=None),
        lambda: TaskFactory(assigned=True, assigned_at=timezone.now() - 59 * MINUTE),
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


def test_page_and_state_share_a_version(dispatcher, same_hour):
    page = dispatcher.get(BOARD).content.decode()

    version = re.search(r'data-version="(\w+)"', page)[1]
    assert dispatcher.get(STATE, headers={"If-None-Match": f'"{version}"'}).status_code == 304


def test_version_depends_on_the_users_permissions(dispatcher, viewer):
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


@pytest.mark.slow
def test_query_count_does_not_grow_with_the_city(dispatcher, same_hour):
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
    assert many[BOARD] < 40
    assert unchanged <= 13
    assert len(page.content) < 300_000
