"""The page of all events."""

import csv
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.html import strip_tags

from dispatch import services
from dispatch.admin import activity, activity_filter
from dispatch.models import Suggestion, TaskEvent
from dispatch.services import SuggestionRow

from ..support.decisions import approve
from ..support.factories import StationFactory, SuggestionFactory, TaskFactory, UserFactory

pytestmark = pytest.mark.django_db

ACTIVITY = "/admin/activity/"
SUGGESTIONS = "/admin/dispatch/suggestion/"
TASKS = "/admin/dispatch/task/"
MAY_DAY = datetime(2015, 5, 4, 12, tzinfo=UTC)


@pytest.fixture
def dispatcher(client):
    client.force_login(UserFactory(username="maria"))
    return client


@pytest.fixture
def show(dispatcher):
    def get(**filters):
        return dispatcher.get(ACTIVITY, filters).content.decode()

    return get


def happened(kind, **fields):
    return TaskEvent.objects.create(kind=kind, **{"actor": "maria", **fields})


def lines(page):
    """The time and text of each event on the page."""
    return [part.split("</li>")[0] for part in page.split("<li><time")[1:]]


def test_events_are_listed_newest_first(show):
    happened("approved", task_id=1, suggestion_id=5, source="demand-v2")
    happened("claimed", task_id=1, worker_id="van-3")

    newest, oldest = lines(show())

    assert '<a href="/admin/activity/?crew=van-3">van-3</a> claimed the task' in newest
    assert '<a href="/admin/activity/?actor=maria">maria</a> approved suggestion 5' in oldest
    assert "(from demand-v2)" in oldest
    assert f'<a href="{TASKS}1/change/">Task 1</a>' in oldest
    assert f'<a href="{SUGGESTIONS}5/change/">Suggestion 5</a>' in oldest


def test_events_show_the_stations_of_their_move(show):
    StationFactory(id=100, name="Market St at 10th St")
    StationFactory(id=200, name="Berry St at 4th St")
    approve(SuggestionFactory())
    services.reject_suggestion(SuggestionFactory().id, actor="tom", code="no_crew")

    rejected, approved = lines(show())

    for line in (rejected, approved):
        assert "Market St at 10th St" in line
        assert "Berry St at 4th St" in line
    assert "Rejected because: No crew" in rejected


def test_events_show_the_bikes_of_their_move(show):
    approve(SuggestionFactory(qty=1))
    services.reject_suggestion(SuggestionFactory(qty=7).id, actor="tom", code="no_crew")

    rejected, approved = lines(show())

    assert "7 bikes · " in rejected
    assert "1 bike · " in approved


def test_manual_task_shows_its_reason(show):
    services.create_task(TaskFactory.build(reason="Concert in the park"), actor="maria")

    [created] = lines(show())

    assert "Reason: Concert in the park" in created


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"actor": "tom"}, {"rejected"}),
        ({"crew": "van-3"}, {"claimed"}),
        ({"source": "demand-v2"}, {"approved"}),
        ({"kind": "claimed"}, {"claimed"}),
        ({"task": 1}, {"approved", "claimed"}),
        ({"suggestion": 6}, {"rejected"}),
        ({"day": "2015-05-04"}, {"expired"}),
        ({"day": "2015-05-05"}, set()),
        ({"actor": "tom", "kind": "claimed"}, set()),
        ({"actor": "to"}, set()),
    ],
)
def test_each_filter_shows_only_its_events(dispatcher, filters, found):
    happened("approved", task_id=1, suggestion_id=5, source="demand-v2")
    happened("claimed", task_id=1, worker_id="van-3")
    happened("rejected", suggestion_id=6, actor="tom", source="other")
    happened("expired", suggestion_id=7, at=MAY_DAY)

    page = dispatcher.get(ACTIVITY, filters)

    assert {entry.event.kind for entry in page.context["entries"]} == found


@pytest.mark.parametrize("station", ["100", "market", "SF-A1"])
def test_station_filter_finds_moves_by_number_name_and_short_name(dispatcher, station):
    StationFactory(id=100, name="Market St at 10th St", short_name="SF-A1")
    StationFactory(id=300, name="Berry St at 4th St")
    StationFactory(id=400, name="Howard St")
    from_here = approve(SuggestionFactory(to_station_id=300))
    to_here = SuggestionFactory(from_station_id=300, to_station_id=100)
    services.reject_suggestion(to_here.id, actor="tom", code="event")
    approve(SuggestionFactory(from_station_id=300, to_station_id=400))

    page = dispatcher.get(ACTIVITY, {"station": station})

    found = [(entry.event.kind, entry.event.task_id) for entry in page.context["entries"]]
    assert found == [("rejected", None), ("approved", from_here.id)]


def test_day_is_a_day_of_the_time_zone_setting(dispatcher, settings):
    settings.TIME_ZONE = "America/Los_Angeles"
    happened("expired", suggestion_id=7, at=datetime(2015, 5, 5, 6, 59, tzinfo=UTC))
    happened("expired", suggestion_id=8, at=datetime(2015, 5, 5, 7, 0, tzinfo=UTC))

    page = dispatcher.get(ACTIVITY, {"day": "2015-05-04"})

    assert [entry.event.suggestion_id for entry in page.context["entries"]] == [7]


@pytest.mark.parametrize(
    "query",
    [
        "day=yesterday",
        "day=1000-01-01",
        "day=9999-12-31",
        "kind=lost",
        "task=x",
        "task=0",
        "task=99999999999999999999",
        "before=-1",
        "actor=%00",
        "actor=" + "x" * 201,
    ],
)
def test_wrong_filter_is_reported_beside_its_field(dispatcher, query):
    happened("claimed", task_id=1)

    page = dispatcher.get(f"{ACTIVITY}?{query}")

    assert page.status_code == 400
    assert b"<li><time" not in page.content


def test_pages_follow_each_other_without_gap_or_repetition(dispatcher, monkeypatch):
    monkeypatch.setattr(activity, "EVENTS_SHOWN", 2)
    events = [happened("claimed", task_id=number) for number in range(1, 6)]
    url, seen = ACTIVITY + "?actor=maria", []

    while url:
        page = dispatcher.get(url)
        seen += [entry.event.pk for entry in page.context["entries"]]
        url = page.context["older_url"] and ACTIVITY + page.context["older_url"]

    assert seen == [event.pk for event in reversed(events)]
    assert page.context["newest_url"] == "?actor=maria"


def test_filter_without_an_index_searches_the_newest_events(dispatcher, monkeypatch):
    monkeypatch.setattr(activity_filter, "NEWEST", 2)
    old, *_ = [happened("claimed", task_id=number) for number in range(1, 4)]

    page = dispatcher.get(ACTIVITY, {"actor": "maria"})
    by_day = dispatcher.get(ACTIVITY, {"actor": "maria", "day": str(old.at.date())})

    assert len(page.context["entries"]) == 2
    assert "Choose a day to search older ones." in page.content.decode()
    assert len(by_day.context["entries"]) == 3


def test_queries_do_not_grow_with_the_events(dispatcher):
    def count():
        with CaptureQueriesContext(connection) as captured:
            dispatcher.get(ACTIVITY)
        return len(captured)

    approve(SuggestionFactory())
    before = count()
    for _ in range(5):
        approve(SuggestionFactory())

    assert count() == before


@pytest.fixture
def month_of_events():
    """A thousand events a day, as a vacuum leaves them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO task_events (at, kind, task_id, suggestion_id, actor, source, worker_id)"
            " SELECT '2015-04-01Z'::timestamptz + n * interval '86.4 s', 'claimed', n, n, 'api',"
            " 'ml-' || n % 300, 'van-' || n % 20 FROM generate_series(1, 30000) AS n"
        )
        cursor.execute("SELECT brin_summarize_new_values('event_at')")
        cursor.execute("ANALYZE task_events")


@pytest.mark.slow
@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"before": 20_000},
        {"day": "2015-04-03"},
        {"day": "2015-04-03", "actor": "maria"},
        {"day": "2015-04-03", "station": "5"},
        {"source": "ml-7"},
        {"task": 77},
        {"suggestion": 77},
    ],
)
def test_no_filter_reads_all_events(dispatcher, month_of_events, filters):
    with CaptureQueriesContext(connection) as captured:
        assert dispatcher.get(ACTIVITY, filters).status_code == 200

    queries = [each["sql"] for each in captured if 'FROM "task_events"' in each["sql"]]
    assert queries
    for query in queries:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {query}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
        assert "Seq Scan on task_events" not in plan, plan


def test_activity_needs_permission_to_view_events(client):
    user = UserFactory(is_superuser=False)
    client.force_login(user)

    assert client.get(ACTIVITY).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_taskevent"))
    page = client.get(ACTIVITY)
    assert page.status_code == 200
    assert f'href="{ACTIVITY}">Activity' in page.content.decode()


def test_activity_cannot_be_changed(dispatcher):
    assert dispatcher.post(ACTIVITY).status_code == 405


# CSV


def exported(dispatcher, **filters):
    answer = dispatcher.get(ACTIVITY, {"as": "csv", **filters})
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(StringIO(text, newline="")))


def test_csv_has_the_filtered_events(dispatcher):
    happened("claimed", task_id=1, worker_id="van-3", actor="api")
    happened("rejected", suggestion_id=6, details={"code": "no_crew"}, source="ml")

    [row] = exported(dispatcher, actor="maria")

    assert row["kind"] == "rejected"
    assert (row["actor"], row["source"], row["suggestion_id"]) == ("maria", "ml", "6")
    assert row["summary"] == "maria rejected suggestion 6 (from ml)"
    assert row["details"] == '{"code":"no_crew"}'
    assert datetime.fromisoformat(row["at"]).tzinfo is not None


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "\t=1", "x;=1"])
def test_csv_has_no_formulas(dispatcher, text):
    happened("rejected", suggestion_id=6, actor=text, source=text, details={"reason": text})

    [row] = exported(dispatcher)

    for cell in row.values():
        assert not cell.startswith(("=", "@", "\t"))
        assert ";=" not in cell


def test_csv_is_read_in_batches_and_bounded(dispatcher, monkeypatch):
    monkeypatch.setattr(activity, "EXPORTED_AT_ONCE", 2)
    monkeypatch.setattr(activity, "MOST_EXPORTED", 4)
    events = [happened("claimed", task_id=number) for number in range(1, 6)]

    rows = exported(dispatcher)

    assert [int(row["id"]) for row in rows] == [event.pk for event in events[:0:-1]]


# Links from elsewhere


def test_names_in_a_tasks_history_lead_to_their_activity(dispatcher):
    task = approve(SuggestionFactory())
    services.claim_next_task("van 3&4", actor="api")

    page = dispatcher.get(f"{TASKS}{task.id}/change/").content.decode()

    assert '<a href="/admin/activity/?actor=maria">maria</a>' in page
    assert '<a href="/admin/activity/?crew=van+3%264">van 3&amp;4</a>' in page


def test_rejected_suggestion_opens_its_activity(dispatcher):
    suggestion = SuggestionFactory()
    services.reject_suggestion(suggestion.id, actor="tom", code="no_crew")

    page = dispatcher.get(f"{SUGGESTIONS}{suggestion.id}/change/", follow=True)

    assert page.redirect_chain[0][0] == f"{ACTIVITY}?suggestion={suggestion.id}"
    text = page.content.decode()
    assert f"Suggestion {suggestion.id} was already rejected by tom." in text
    assert "Rejected because: No crew" in text


def test_approved_suggestion_leads_to_its_task(dispatcher):
    suggestion = SuggestionFactory()
    task = approve(suggestion)

    text = dispatcher.get(f"{SUGGESTIONS}{suggestion.id}/change/", follow=True).content.decode()

    assert f"was already approved as task {task.id}" in text
    assert f'href="{TASKS}{task.id}/change/"' in text


def test_undone_suggestion_leads_to_the_restored_one_and_back(dispatcher):
    suggestion = SuggestionFactory()
    restored = services.undo_approval(approve(suggestion).id, actor="tom")

    former = dispatcher.get(f"{SUGGESTIONS}{suggestion.id}/change/", follow=True).content.decode()
    present = dispatcher.get(f"{SUGGESTIONS}{restored.id}/change/").content.decode()

    assert f'<a href="{SUGGESTIONS}{restored.id}/change/">{restored.id}</a> now' in former
    assert f"undid the approval of suggestion {suggestion.id}" in present


def test_unknown_suggestion_leads_to_the_list(dispatcher):
    answer = dispatcher.get(f"{SUGGESTIONS}999/change/")

    assert answer.headers["Location"] == SUGGESTIONS


def test_suggestion_without_permission_for_events_leads_to_the_list(client):
    user = UserFactory(is_superuser=False)
    user.user_permissions.add(Permission.objects.get(codename="view_suggestion"))
    client.force_login(user)
    suggestion = SuggestionFactory()
    services.reject_suggestion(suggestion.id, actor="tom", code="no_crew")

    answer = client.get(f"{SUGGESTIONS}{suggestion.id}/change/")

    assert answer.headers["Location"] == SUGGESTIONS


def test_start_page_has_no_list_of_recent_actions(dispatcher):
    assert "Recent actions" not in dispatcher.get("/admin/lists/").content.decode()


# Undo buttons


def messages(answer):
    return [strip_tags(str(message)) for message in answer.context["messages"]]


def test_undo_button_of_a_fresh_task_restores_its_suggestion(dispatcher):
    task = approve(SuggestionFactory())
    page = dispatcher.get(f"{TASKS}{task.id}/change/").content.decode()
    assert f"{TASKS}{task.id}/undo/" in page

    answer = dispatcher.post(f"{TASKS}{task.id}/undo/", follow=True)

    restored = Suggestion.objects.get()
    assert messages(answer) == [f"Task {task.id} undone: it is back as suggestion {restored.id}."]
    assert TaskEvent.objects.get(kind="undone").actor == "maria"


def test_undo_button_restores_a_rejected_suggestion(dispatcher):
    suggestion = SuggestionFactory()
    services.reject_suggestion(suggestion.id, actor="maria", code="no_crew")

    answer = dispatcher.post(f"{SUGGESTIONS}{suggestion.id}/undo/", follow=True)

    restored = Suggestion.objects.get()
    assert messages(answer) == [f"Suggestion {suggestion.id} restored as suggestion {restored.id}."]


def test_refused_undo_says_why(dispatcher):
    task = approve(SuggestionFactory())
    services.claim_next_task("van-3", actor="api")

    [message] = messages(dispatcher.post(f"{TASKS}{task.id}/undo/", follow=True))

    assert f"Task {task.id} can no longer be undone: van-3 claimed it at" in message


@pytest.mark.parametrize("age", [timedelta(0), timedelta(seconds=61)])
def test_undo_is_offered_for_sixty_seconds(dispatcher, age):
    task = approve(SuggestionFactory())
    type(task).objects.filter(pk=task.id).update(created_at=task.created_at - age)

    page = dispatcher.get(f"{TASKS}{task.id}/change/").content.decode()

    assert (f"{TASKS}{task.id}/undo/" in page) == (age == timedelta(0))


def test_undo_is_not_offered_for_a_manually_created_task(dispatcher):
    task = services.create_task(TaskFactory.build(), actor="maria").task

    assert "/undo/" not in dispatcher.get(f"{TASKS}{task.id}/change/").content.decode()


@pytest.mark.parametrize(
    ("able", "status"),
    [("approve_suggestion", 302), ("cancel_task", 403), ("reject_suggestion", 403)],
)
def test_undoing_an_approval_needs_the_right_to_approve(client, able, status):
    user = UserFactory(is_superuser=False)
    codenames = ["view_suggestion", "view_task", able]
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client.force_login(user)
    task = approve(SuggestionFactory())

    assert client.post(f"{TASKS}{task.id}/undo/").status_code == status
    assert Suggestion.objects.exists() == (status == 302)


@pytest.mark.parametrize(
    ("able", "status"), [("reject_suggestion", 302), ("approve_suggestion", 403)]
)
def test_undoing_a_rejection_needs_the_right_to_reject(client, able, status):
    user = UserFactory(is_superuser=False)
    codenames = ["view_suggestion", "view_task", able]
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client.force_login(user)
    suggestion = SuggestionFactory()
    services.reject_suggestion(suggestion.id, actor="tom", code="no_crew")

    assert client.post(f"{SUGGESTIONS}{suggestion.id}/undo/").status_code == status
    assert Suggestion.objects.exists() == (status == 302)


def test_undo_by_get_changes_nothing(dispatcher):
    task = approve(SuggestionFactory())

    assert dispatcher.get(f"{TASKS}{task.id}/undo/").status_code == 302
    assert not Suggestion.objects.exists()


def test_ingested_counts_are_written_out(show):
    rows = [SuggestionRow(1, 2, 3, "Full")]
    services.ingest_suggestions(rows, source="demand-v2", actor="job")

    assert "proposed suggestions (from demand-v2): 1 inserted" in show()
