import html
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from dispatch import services
from dispatch.admin import TaskAdmin, moves
from dispatch.exceptions import Conflict
from dispatch.models import Suggestion, Task, TaskEvent

from ..support.factories import MORNING, SuggestionFactory, TaskFactory, UserFactory

pytestmark = pytest.mark.django_db

SUGGESTIONS = "/admin/dispatch/suggestion/"
TASKS = "/admin/dispatch/task/"


def post_action(client, url, action, rows, **fields):
    selected = [row.id for row in rows]
    data = {"action": action, "_selected_action": selected, "confirmed": "1", **fields}
    return client.post(url, data, follow=True)


def messages(answer):
    """The texts of the messages, with a space before each line of a list."""
    texts = (str(message).replace("<li>", " ") for message in answer.context["messages"])
    return [" ".join(strip_tags(text).split()) for text in texts]


def test_bulk_approval_reports_every_row(dispatcher):
    suggestions = SuggestionFactory.create_batch(3)
    taken = services.approve_suggestion(suggestions[1].id, actor="tom").task

    answer = post_action(dispatcher, SUGGESTIONS, "approve_selected", suggestions)

    approved = Task.objects.exclude(id=taken.id).order_by("id")
    (message,) = messages(answer)
    for expected in (
        "2 approved, 1 not approved.",
        f"Suggestion {suggestions[1].id} was already approved as task {taken.id} by tom.",
        f"#{suggestions[0].id} → task {approved[0].id} (5 bikes)"
        f" Task {taken.id} (ready) already moves bikes from Station 100 to Station 200.",
        f"#{suggestions[2].id} → task {approved[1].id} (5 bikes)",
    ):
        assert expected in message
    assert [task.suggestion_id for task in approved] == [suggestions[0].id, suggestions[2].id]
    assert set(TaskEvent.objects.exclude(task_id=taken.id).values_list("actor", flat=True)) == {
        "maria"
    }


def test_long_bulk_result_is_cut_off(dispatcher, monkeypatch):
    monkeypatch.setattr("dispatch.admin.results.LINES_SHOWN", 5)
    suggestions = SuggestionFactory.create_batch(8)
    Suggestion.objects.all().delete()

    answer = post_action(dispatcher, SUGGESTIONS, "approve_selected", suggestions)

    (message,) = messages(answer)
    assert message.startswith("0 approved, 8 not approved. Suggestion ")
    assert message.count("not found.") == 5
    assert message.endswith("And 3 more.")


def test_all_filtered_rows_can_be_approved_across_pages(dispatcher):
    SuggestionFactory.insert_batch(60, source="ml-v2")
    SuggestionFactory(source="other")

    answer = post_action(
        dispatcher,
        SUGGESTIONS + "?source=ml-v2",
        "approve_selected",
        Suggestion.objects.filter(source="ml-v2")[:1],
        select_across="1",
    )

    assert messages(answer)[0].startswith("60 approved.")
    assert [s.source for s in Suggestion.objects.all()] == ["other"]


def test_selecting_more_than_1000_rows_changes_nothing(dispatcher):
    SuggestionFactory.insert_batch(1001)

    answer = post_action(
        dispatcher,
        SUGGESTIONS,
        "approve_selected",
        Suggestion.objects.all()[:1],
        select_across="1",
    )

    assert messages(answer) == ["Nothing was changed. Select at most 1,000 rows."]
    assert Suggestion.objects.count() == 1001


def test_row_button_approves_and_returns_to_the_filtered_list(dispatcher):
    suggestion = SuggestionFactory(source="ml-v2")

    page = dispatcher.get(SUGGESTIONS + "?source=ml-v2")
    button = f"{SUGGESTIONS}{suggestion.id}/approve/?back=source%3Dml-v2"
    assert f'formaction="{button}"' in page.content.decode()
    answer = dispatcher.post(button)

    assert answer["Location"] == SUGGESTIONS + "?source=ml-v2"
    assert Task.objects.get().suggestion_id == suggestion.id


def test_row_button_ignores_get_requests(dispatcher):
    suggestion = SuggestionFactory()

    answer = dispatcher.get(f"{SUGGESTIONS}{suggestion.id}/approve/")

    assert (answer.status_code, answer["Location"]) == (302, SUGGESTIONS)
    assert Suggestion.objects.exists()


def test_rejecting_requires_a_reason(dispatcher):
    suggestions = SuggestionFactory.create_batch(2)

    page = post_action(dispatcher, SUGGESTIONS, "reject_selected", suggestions, confirmed=[])
    assert "Reject 2 suggestions?" in page.content.decode()
    empty = post_action(
        dispatcher, SUGGESTIONS, "reject_selected", suggestions, reason=" ", confirmed=1
    )
    assert "Choose a reason, or enter one." in empty.content.decode()
    assert Suggestion.objects.count() == 2

    answer = post_action(
        dispatcher, SUGGESTIONS, "reject_selected", suggestions, reason="Road works", confirmed=1
    )
    first, second = suggestions
    assert messages(answer) == [f"2 rejected. #{first.id} rejected #{second.id} rejected"]
    assert not Suggestion.objects.exists()
    fields = ("kind", "actor", "details__code", "details__rejection")
    reasons = TaskEvent.objects.values_list(*fields)
    assert list(reasons) == [("rejected", "maria", "other", "Road works")] * 2


@pytest.mark.parametrize(
    ("answers", "recorded"),
    [
        ({"code": "no_crew"}, ("no_crew", "No crew")),
        ({"code": "event", "reason": "Marathon"}, ("event", "Marathon")),
    ],
)
def test_rejection_code_needs_no_text(dispatcher, answers, recorded):
    suggestion = SuggestionFactory()

    dispatcher.post(f"{SUGGESTIONS}{suggestion.id}/reject/", {"confirmed": 1, **answers})

    details = TaskEvent.objects.get().details
    assert (details["code"], details["rejection"]) == recorded


def test_bulk_completion_skips_ready_tasks(dispatcher):
    held, ready = TaskFactory(assigned=True), TaskFactory()

    answer = post_action(dispatcher, TASKS, "complete_selected", [held, ready])

    assert messages(answer) == [
        f"1 completed, 1 not completed. #{held.id} → 5 bikes moved by van-1"
        f" Task {ready.id} is ready, not assigned."
    ]
    assert Task.objects.get(id=held.id).status == "completed"
    assert Task.objects.get(id=ready.id).status == "ready"


def test_only_assigned_tasks_have_a_complete_button(dispatcher):
    held, ready = TaskFactory(assigned=True), TaskFactory()

    page = dispatcher.get(TASKS).content.decode()

    assert f"{TASKS}{held.id}/complete/" in page
    assert f"{TASKS}{ready.id}/complete/" not in page


def test_viewer_sees_no_buttons_and_cannot_forge_posts(viewer):
    suggestion, task = SuggestionFactory(), TaskFactory(assigned=True)

    for url in (SUGGESTIONS, TASKS):
        page = viewer.get(url)
        assert page.status_code == 200
        assert "row-action" not in page.content.decode()
        assert "_selected" not in page.content.decode()
    post_action(viewer, SUGGESTIONS, "approve_selected", [suggestion])
    post_action(viewer, SUGGESTIONS, "reject_selected", [suggestion], reason="No", confirmed=1)
    post_action(viewer, TASKS, "complete_selected", [task])
    assert viewer.post(f"{SUGGESTIONS}{suggestion.id}/approve/").status_code == 403
    assert viewer.post(f"{TASKS}{task.id}/complete/").status_code == 403
    assert viewer.get(SUGGESTIONS + "add/").status_code == 403
    assert viewer.post(TASKS + "add/", {"qty": 1}).status_code == 403

    assert Suggestion.objects.exists()
    assert Task.objects.get().status == "assigned"
    assert not TaskEvent.objects.exists()


@pytest.mark.parametrize(
    ("permission", "offered", "withheld"),
    [
        ("approve_suggestion", "approve_selected", "reject_selected"),
        ("reject_suggestion", "reject_selected", "approve_selected"),
    ],
)
def test_each_action_has_its_own_permission(client, permission, offered, withheld):
    user = UserFactory(is_superuser=False)
    user.user_permissions.set(
        Permission.objects.filter(codename__in=["view_suggestion", permission])
    )
    client.force_login(user)
    SuggestionFactory()

    page = client.get(SUGGESTIONS).content.decode()

    assert f'value="{offered}"' in page
    assert f'value="{withheld}"' not in page


def test_approving_needs_the_view_permission_too(client):
    user = UserFactory(is_superuser=False)
    user.user_permissions.set(Permission.objects.filter(codename="approve_suggestion"))
    client.force_login(user)
    suggestion = SuggestionFactory()

    assert client.post(f"{SUGGESTIONS}{suggestion.id}/approve/").status_code == 403
    assert Suggestion.objects.exists()


def test_change_and_delete_forms_are_refused(dispatcher):
    task = TaskFactory(assigned=True)
    forged = {"status": "completed", "worker_id": "eve", "qty": 99, "note": "x"}

    assert dispatcher.post(f"{TASKS}{task.id}/change/", forged).status_code == 403
    suggestion = SuggestionFactory()
    assert dispatcher.post(f"{SUGGESTIONS}{suggestion.id}/change/", forged).status_code == 403
    assert dispatcher.post(f"{TASKS}{task.id}/delete/", {"post": "yes"}).status_code == 403

    assert Task.objects.get().status == "assigned"
    assert Suggestion.objects.get().qty == 5


def test_dispatcher_adds_a_suggestion_and_a_task(dispatcher):
    move = {"from_station_id": 3, "to_station_id": 4, "qty": 2, "reason": "Seen", "priority": 5}

    dispatcher.post(SUGGESTIONS + "add/", {**move, "source": "ml-v2"})
    dispatcher.post(TASKS + "add/", {**move, "status": "completed", "worker_id": "eve"})

    suggestion, task = Suggestion.objects.get(), Task.objects.get()
    assert (suggestion.qty, suggestion.priority, suggestion.source) == (2, 5, "console")
    assert (task.qty, task.status, task.worker_id) == (2, "ready", None)
    assert list(TaskEvent.objects.order_by("id").values_list("kind", "actor")) == [
        ("suggested", "maria"),
        ("created", "maria"),
    ]


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("qty", 0, "greater than or equal to 1"),
        ("to_station_id", 3, "The two stations must differ."),
        ("from_station_id", -1, "No station is called “-1”."),
        ("priority", 101, "The priority must be -100 to 100."),
        ("qty", 2**31, "less than or equal to 2147483647"),
    ],
)
def test_add_form_explains_invalid_values(dispatcher, field, value, error):
    move = {"from_station_id": 3, "to_station_id": 4, "qty": 2, "reason": "Seen", "priority": 5}

    page = dispatcher.post(TASKS + "add/", {**move, field: value})

    assert error in page.content.decode()
    assert not Task.objects.exists()


def test_search_matches_numbers_exactly_and_words_in_reasons(dispatcher):
    SuggestionFactory(id=7, from_station_id=100, to_station_id=201, reason="Market is full")
    SuggestionFactory(id=8, from_station_id=110, to_station_id=100, reason="Pier is empty")
    SuggestionFactory(id=100, from_station_id=120, to_station_id=202, reason="Rain at noon")

    def found(query):
        page = dispatcher.get(SUGGESTIONS, {"q": query})
        return {suggestion.id for suggestion in page.context["cl"].result_list}

    assert found("100") == {7, 8, 100}
    assert found("pier") == {8}
    assert found("100 market") == {7}
    assert found("99999999999") == set()


def test_search_for_too_many_words_is_refused_with_a_message(dispatcher):
    SuggestionFactory(reason="Pier is empty")

    twenty = dispatcher.get(SUGGESTIONS, {"q": "pier " * 20})
    more = dispatcher.get(SUGGESTIONS, {"q": "pier " * 21})

    assert len(twenty.context["cl"].result_list) == 1
    assert len(more.context["cl"].result_list) == 0
    assert "Search for at most 20 words." in more.content.decode()
    assert "Search for" not in twenty.content.decode()


@pytest.mark.parametrize("model", admin.site._registry, ids=lambda model: model.__name__)
def test_every_list_limits_the_words_of_a_search(dispatcher, model):
    listing = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")

    for words, refused in ((20, False), (21, True)):
        page = dispatcher.get(listing, {"q": "a " * words})
        assert ("Search for at most 20 words." in page.content.decode()) == refused
        assert page.context["cl"].queryset.query.is_empty() == refused


def test_word_search_covers_the_newest_rows_and_says_so(dispatcher, monkeypatch):
    monkeypatch.setattr(moves, "MAX_SEARCHED", 2)
    TaskFactory(id=1, reason="Street fair at the pier", from_station_id=77)
    TaskFactory(id=2, reason="The pier is closed")
    said = "Only the newest 2 tasks were searched for words"

    def found(**query):
        page = dispatcher.get(TASKS, query)
        return [task.id for task in page.context["cl"].result_list], said in page.content.decode()

    assert found(q="pier") == ([2, 1], False)
    TaskFactory(id=3, reason="Out of bikes", completed=True)
    assert found(q="pier") == ([2], True)
    # Numbers have an index: they find old rows, and narrow the search for words.
    assert found(q="77") == ([1], False)
    assert found(q="77 pier") == ([1], False)
    assert found(q="pier", status__exact="ready") == ([2, 1], False)


def test_tasks_are_filtered_by_status_crew_and_day(dispatcher):
    TaskFactory(id=1)
    TaskFactory(id=2, assigned=True, worker_id="van-1")
    TaskFactory(id=3, assigned=True, worker_id="van-2")
    TaskFactory(id=4, completed=True, worker_id="van-2")

    def found(**query):
        page = dispatcher.get(TASKS, query)
        return {task.id for task in page.context["cl"].result_list}

    assert found(status__exact="assigned") == {2, 3}
    assert found(worker="van-2") == {3}
    assert found(q="van-2") == {3, 4}
    assert found(created_at__year="2001") == set()
    now = Task.objects.get(id=1).created_at
    assert found(created_at__year=now.year, created_at__month=now.month) == {1, 2, 3, 4}


def test_date_links_go_by_year_month_and_day_and_keep_filters(dispatcher):
    TaskFactory(created_at=MORNING)
    TaskFactory(created_at=MORNING + timedelta(days=400))

    def links(query):
        page = dispatcher.get(f"{TASKS}?{query}")
        return {link.text: link.url for link in page.context["drilldown"]}

    years = links("status__exact=ready")
    assert list(years) == ["2015", "2016"]
    months = links(years["2015"].removeprefix("?"))
    assert months["May"] == "?status__exact=ready&created_at__year=2015&created_at__month=5"
    assert list(months) == ["← All dates", "May"], "months without tasks are left out"
    days = links(months["May"].removeprefix("?"))
    assert list(days) == ["← All dates", "← 2015", "4"]
    assert list(links(days["4"].removeprefix("?"))) == ["← All dates", "← 2015", "← May"]


def test_list_query_count_does_not_grow_with_rows(dispatcher):
    def queries(url):
        with CaptureQueriesContext(connection) as captured:
            assert dispatcher.get(url).status_code == 200
        return [query["sql"] for query in captured]

    SuggestionFactory(source="ml-v2")
    TaskFactory(assigned=True)
    few = [queries(SUGGESTIONS), queries(TASKS)]
    SuggestionFactory.insert_batch(50, source="ml-v2")
    TaskFactory.insert_batch(50, assigned=True)
    many = [queries(SUGGESTIONS), queries(TASKS)]

    assert [len(each) for each in few] == [len(each) for each in many]
    assert max(len(each) for each in many) <= 11


def test_list_stops_counting_at_10000_rows(dispatcher):
    SuggestionFactory()

    with CaptureQueriesContext(connection) as captured:
        dispatcher.get(SUGGESTIONS)

    counts = [query["sql"] for query in captured if "COUNT(" in query["sql"]]
    assert counts
    assert all("LIMIT 10000" in sql for sql in counts)


def test_task_page_shows_its_history_in_order(dispatcher):
    suggestion = SuggestionFactory(source="ml-v2")
    task = services.approve_suggestion(suggestion.id, actor="maria").task
    services.claim_next_task("van-1", actor="api")
    services.complete_task(task.id, actor="tom")

    page = dispatcher.get(f"{TASKS}{task.id}/change/").content.decode()

    history = strip_tags(page[page.index("History</h2>") :])
    lines = [
        f"maria approved suggestion {suggestion.id} (from ml-v2)",
        "van-1 claimed the task",
        "van-1 completed the task: 5 bikes moved",
        "Entered by tom",
    ]
    assert sorted(lines, key=history.index) == lines
    assert "<input" not in page[page.index("History</h2>") :].split("</section>")[0]


def test_task_page_shows_reported_and_corrected_values(dispatcher):
    task = TaskFactory(assigned=True, qty=5)
    report = services.Report(moved_qty=5000, completed_at=MORNING - timedelta(days=1))
    services.complete_task(task.id, actor="tom", report=report)

    page = dispatcher.get(f"{TASKS}{task.id}/change/").content.decode()

    assert "completed the task: 40 bikes moved" in page
    assert "Bikes by the crew&#x27;s count: 5000" in page
    time = f"{timezone.localtime(report.completed_at):%Y-%m-%d %H:%M:%S %Z}"
    assert f"Time by the crew&#x27;s clock: {time}" in page


def test_crew_clock_at_the_start_of_time_does_not_break_the_page(dispatcher):
    task = TaskFactory(assigned=True)
    report = services.Report(completed_at=datetime(1, 1, 1, tzinfo=UTC))
    services.complete_task(task.pk, actor="api", report=report)

    with timezone.override("America/Los_Angeles"):
        page = dispatcher.get(f"{TASKS}{task.pk}/change/").content.decode()

    assert "Time by the crew&#x27;s clock: 0001-01-01T00:00:00+00:00" in page


@pytest.mark.parametrize("time", ["yesterday", 5, "2015-05-03T01:00:00"])
def test_time_in_an_event_that_is_no_time_is_shown_as_it_is(dispatcher, time):
    task = TaskFactory()
    details = {"problems": ["other"], "happened_at": time}
    TaskEvent.objects.create(kind="problem", task_id=task.pk, actor="psql", details=details)

    page = dispatcher.get(f"/admin/activity/?task={task.pk}").content.decode()

    assert f"Reported time: {time}" in page


@pytest.mark.parametrize("name", ["complete", "release", "reassign"])
def test_button_acts_only_on_the_claim_the_page_showed(dispatcher, name):
    TaskFactory()
    task = services.claim_next_task("van-1", actor="api")
    page = dispatcher.get(f"{TASKS}{task.id}/change/").content.decode()
    (button,) = re.findall(rf'formaction="([^"]*/{name}/[^"]*)"', page)
    services.reassign_task(task.id, "van-2", actor="tom", reason="Closer")

    answers = {"confirmed": "1", "reason": "Broken", "moved_qty": "1", "worker_id": "van-9"}
    answer = dispatcher.post(html.unescape(button), answers, follow=True)

    (message,) = messages(answer)
    assert message.endswith(f"Task {task.id} has been claimed again, by van-2.")
    assert Task.objects.get().worker_id == "van-2"


def test_bulk_reports_rows_with_an_unknown_outcome(dispatcher, monkeypatch):
    tasks = TaskFactory.create_batch(3)

    def busy(pk, **arguments):
        if pk == tasks[1].id:
            raise OperationalError("lock timeout")
        return services.prioritize_task(pk, by=10, **arguments)

    (operation,) = (each for each in TaskAdmin.operations if each.name == "raise")
    others = [each for each in TaskAdmin.operations if each.name != "raise"]
    monkeypatch.setattr(TaskAdmin, "operations", (*others, replace(operation, run=busy)))
    answer = post_action(dispatcher, TASKS, "raise_selected", tasks)

    assert messages(answer) == [
        f"2 raised in priority, 1 not raised in priority. #{tasks[0].id} raised in priority"
        f" Not raised in priority: task {tasks[1].id}. The database did not respond. Check whether"
        f" it was changed before you try again. #{tasks[2].id} raised in priority"
    ]


def test_bulk_stops_at_its_time_limit_and_reports_the_rest(dispatcher, monkeypatch):
    tasks = TaskFactory.create_batch(3)
    monkeypatch.setattr("dispatch.admin.operations.BUDGET_SECONDS", -1)

    answer = post_action(dispatcher, TASKS, "raise_selected", tasks)

    assert messages(answer) == [
        "0 raised in priority, 3 not processed (time limit), select them again."
    ]
    assert not Task.objects.exclude(priority=0).exists()


def test_approving_on_the_suggestion_page_leads_to_the_list(dispatcher):
    suggestion = SuggestionFactory()

    answer = dispatcher.post(f"{SUGGESTIONS}{suggestion.id}/approve/?page=1")

    assert answer["Location"].startswith(f"{SUGGESTIONS}?")


def test_opening_a_decided_suggestion_shows_its_decision(dispatcher):
    suggestion = SuggestionFactory()
    task = services.approve_suggestion(suggestion.id, actor="tom").task

    answer = dispatcher.get(f"{SUGGESTIONS}{suggestion.id}/change/", follow=True)

    assert messages(answer) == [
        f"Suggestion {suggestion.id} was already approved as task {task.id} by tom."
    ]


def test_completing_again_is_reported_as_unchanged(dispatcher):
    held, done = TaskFactory(assigned=True), TaskFactory(completed=True)

    answer = post_action(dispatcher, TASKS, "complete_selected", [held, done])

    assert messages(answer) == [f"1 completed, 1 unchanged. #{held.id} → 5 bikes moved by van-1"]


def test_operations_use_the_answers_to_their_forms(dispatcher):
    held, ready = TaskFactory(assigned=True, qty=5), TaskFactory()

    def operate(name, row, **answers):
        return dispatcher.post(f"{TASKS}{row.id}/{name}/?page=1", {"confirmed": "1", **answers})

    assert "errorlist" in operate("reassign", ready, worker_id=" ").content.decode()
    operate("reassign", ready, worker_id="van-9", reason="Closer")
    operate("complete", held, moved_qty="2", note="No more docks")
    operate("cancel", ready, reason="Road works")

    held.refresh_from_db()
    ready.refresh_from_db()
    assert (held.status, held.moved_qty, held.note) == ("completed", 2, "No more docks")
    assert (ready.status, ready.worker_id) == ("cancelled", "van-9")


def test_completion_of_more_bikes_than_asked_is_done_with_a_warning(dispatcher):
    task = TaskFactory(assigned=True, qty=5)
    answers = {"confirmed": "1", "moved_qty": "7"}

    answer = dispatcher.post(f"{TASKS}{task.id}/complete/?page=1", answers, follow=True)

    assert messages(answer) == [
        f"Task {task.id} completed: 7 bikes moved by van-1.",
        f"Task {task.id} was about 5 bikes, and 7 were reported.",
    ]


def test_attention_filter_lists_the_most_urgent_first(dispatcher):
    TaskFactory(id=1, created_at=MORNING + timedelta(hours=1))
    TaskFactory(id=2, created_at=MORNING, priority=-5)
    TaskFactory(id=3, assigned=True)
    TaskFactory(id=4, assigned=True, assigned_at=MORNING - timedelta(hours=1))
    TaskFactory(id=5, completed=True)
    late = services.claim_next_task("van-1", actor="api")
    services.release_task(late.id, actor="maria", reason="Too slow")
    with pytest.raises(Conflict):
        services.complete_task(late.id, actor="api", report=services.Report("van-1"))

    def found(attention):
        page = dispatcher.get(TASKS, {"attention": attention})
        return [task.id for task in page.context["cl"].result_list]

    assert found("overdue") == [4, 3]
    assert found("waiting") == [2, 1]
    assert found("late_report") == [late.id]
