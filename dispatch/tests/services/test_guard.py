"""Approvals never promise more bikes or docks than a station last reported."""

from datetime import timedelta
from functools import partial

import pytest
from django.contrib.messages import get_messages
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import strip_tags

from dispatch import services
from dispatch.exceptions import Conflict, Refusal
from dispatch.models import Station, StationStatus, Suggestion, Task, TaskEvent
from dispatch.planning.inventory import StationCapacity
from dispatch.services.guard import capacities_of

from ..support.concurrency import background, open_transaction, wait_until_blocked
from ..support.decisions import remarks_on_approval
from ..support.factories import SuggestionFactory, TaskFactory, UserFactory

pytestmark = pytest.mark.django_db
approve = partial(services.approve_suggestion, actor="maria")
SOURCE, TARGET = 100, 200
NOT_IN_FEED = "Station 200 is not in the feed. Check the number."
TOO_FEW_BIKES = "Only 4 of 5 bikes can leave Source St (4 there)."
TOO_FEW_DOCKS = "Only 3 of 5 bikes fit at Target St (3 docks free)."


def listed(*numbers):
    """Stations of the feed without a status."""
    for number in numbers:
        Station.objects.create(
            id=number, system="bay", name=f"Station {number}", lat=37.7, lon=-122.4
        )


def station(number, name, bikes, docks, age_minutes=1, **status):
    listed(number)
    Station.objects.filter(pk=number).update(name=name)
    as_of = timezone.now() - timedelta(minutes=age_minutes)
    StationStatus.objects.create(
        station_id=number, bikes=bikes, docks=docks, **{"as_of": as_of, **status}
    )


@pytest.fixture
def refusing(settings):
    settings.INVENTORY_GUARD = "refuse"


# Capacities


def test_completed_tasks_count_until_a_newer_status():
    station(SOURCE, "Source St", 20, 15, age_minutes=10)
    minutes_ago = {n: timezone.now() - timedelta(minutes=n) for n in (5, 15, 30)}
    TaskFactory(qty=2)
    TaskFactory(qty=3, assigned=True)
    TaskFactory(qty=7, completed=True, assigned_at=minutes_ago[30], completed_at=minutes_ago[15])
    done = {"completed": True, "assigned_at": minutes_ago[30], "completed_at": minutes_ago[5]}
    TaskFactory(qty=6, moved_qty=4, **done)
    TaskFactory(qty=1, moved_qty=3, **done)
    # Reported late: its bikes were moved before the count.
    TaskFactory(qty=9, reported_completed_at=minutes_ago[15], **done)
    TaskFactory(from_station_id=TARGET, to_station_id=SOURCE, qty=1)
    TaskFactory(qty=8, cancelled=True)

    assert capacities_of([SOURCE, TARGET]) == {
        SOURCE: StationCapacity(
            "Source St",
            20,
            15,
            promised_out=2 + 3 + 4 + 3,
            promised_in=1,
            lat=37.7,
            lon=-122.4,
            system="bay",
        ),
        TARGET: StationCapacity("Station 200", in_feed=False),
    }


def test_an_old_or_missing_status_leaves_the_count_unknown(settings):
    settings.STATUS_MAX_AGE_MINUTES = 60
    station(1, "Fresh", 5, 5, age_minutes=59)
    station(2, "Old", 5, 5, age_minutes=61)
    station(3, "Never", 5, 5, as_of=None)

    capacities = capacities_of([1, 2, 3])
    assert [capacities[number].bikes for number in (1, 2, 3)] == [5, None, None]


def test_without_any_status_there_are_no_warnings():
    assert capacities_of([SOURCE]) == {SOURCE: StationCapacity("Station 100", monitored=False)}
    assert approve(SuggestionFactory().id).warnings == []


# Approvals


def test_warn_reports_shortfalls_to_the_approver_and_the_event():
    station(SOURCE, "Source St", 4, 20)
    station(TARGET, "Target St", 10, 3)

    approval = approve(SuggestionFactory(qty=5).id)

    assert approval.task.qty == 5
    assert approval.warnings == [TOO_FEW_BIKES, TOO_FEW_DOCKS]
    assert remarks_on_approval() == {"warnings": approval.warnings}


def test_refuse_reports_shortfalls_and_changes_nothing(refusing):
    station(SOURCE, "Source St", 4, 20)
    station(TARGET, "Target St", 10, 30)
    suggestion = SuggestionFactory(qty=5)

    with pytest.raises(Conflict) as refusal:
        approve(suggestion.id)

    assert str(refusal.value) == TOO_FEW_BIKES
    assert Suggestion.objects.get() == suggestion
    assert not Task.objects.exists()
    assert not TaskEvent.objects.exists()


def test_guard_off_gives_no_warnings(settings):
    settings.INVENTORY_GUARD = "off"
    station(SOURCE, "Source St", 0, 20)
    assert approve(SuggestionFactory().id).warnings == []


def test_refuse_lets_unknown_counts_pass_with_a_warning(refusing):
    station(SOURCE, "Source St", 0, 20, age_minutes=500)
    listed(TARGET)

    assert approve(SuggestionFactory().id).warnings == [
        "Source St has no recent status.",
        "Station 200 has no recent status.",
    ]


@pytest.mark.parametrize("fit", [False, True])
def test_refuse_refuses_stations_that_are_not_in_the_feed(refusing, fit):
    station(SOURCE, "Source St", 20, 20)

    with pytest.raises(Conflict) as refusal:
        approve(SuggestionFactory().id, fit=fit)

    assert str(refusal.value) == NOT_IN_FEED
    assert Suggestion.objects.exists()


def test_refuse_refuses_stations_that_left_the_feed(refusing):
    listed(SOURCE, TARGET)
    Station.objects.filter(pk=TARGET).update(name="Old Pier", gone_at=timezone.now())

    with pytest.raises(Conflict, match=r"^Old Pier is no longer in the feed\.$"):
        approve(SuggestionFactory().id)


def test_a_feed_without_status_is_enough_to_doubt_a_number():
    listed(SOURCE)
    assert approve(SuggestionFactory().id).warnings == [NOT_IN_FEED]


def test_warnings_of_the_route_reach_the_approver_and_the_event(settings):
    settings.VAN_CAPACITY = 20
    station(SOURCE, "Caltrain", 40, 0)
    station(TARGET, "Diridon", 0, 40)
    Station.objects.filter(pk=SOURCE).update(area="San Francisco")
    Station.objects.filter(pk=TARGET).update(area="San José", lat=37.3297, lon=-121.9018)

    approval = approve(SuggestionFactory(qty=26).id)

    assert approval.warnings == [
        "From San Francisco to San José, 60 km: different areas.",
        "26 bikes are more than the 20 that a van takes.",
    ]
    assert TaskEvent.objects.get().details["warnings"] == approval.warnings


@pytest.mark.parametrize("mode", ["off", "warn", "refuse"])
def test_fit_shrinks_the_task_and_the_event_keeps_the_proposed_qty(settings, mode):
    settings.INVENTORY_GUARD = mode
    station(SOURCE, "Source St", 4, 20)
    station(TARGET, "Target St", 10, 3)

    approval = approve(SuggestionFactory(qty=5).id, fit=True)

    assert approval.task.qty == 3
    assert approval.warnings == [TOO_FEW_BIKES, TOO_FEW_DOCKS]
    assert remarks_on_approval() == {"proposed_qty": 5, "warnings": approval.warnings}


def test_fit_leaves_a_move_that_fits_as_it_is():
    station(SOURCE, "Source St", 9, 0)
    station(TARGET, "Target St", 0, 9)

    assert approve(SuggestionFactory(qty=5).id, fit=True).task.qty == 5
    assert remarks_on_approval() == {}


@pytest.mark.parametrize("mode", ["off", "warn"])
def test_a_warning_of_the_same_move_uses_station_names(settings, mode):
    settings.INVENTORY_GUARD = mode
    station(SOURCE, "Source St", 20, 20)
    same = TaskFactory()

    warnings = approve(SuggestionFactory().id).warnings

    assert warnings[0] == (
        f"Task {same.id} (ready) already moves bikes from Source St to Station {TARGET}."
    )


def test_warnings_of_many_moves_take_no_extra_queries(settings, django_assert_num_queries):
    settings.INVENTORY_GUARD = "off"
    moves = [SuggestionFactory(to_station_id=TARGET + n % 5).id for n in range(20)]
    with CaptureQueriesContext(connection) as few:
        services.approve_suggestions(moves[:10], actor="maria")
    with django_assert_num_queries(len(few)):
        decisions = services.approve_suggestions(moves[10:], actor="maria")

    assert all(approval.warnings for approval in decisions.values())


@pytest.mark.parametrize("mode", ["off", "warn", "refuse"])
def test_fit_is_refused_if_no_bike_fits(settings, mode):
    settings.INVENTORY_GUARD = mode
    station(SOURCE, "Source St", 0, 20)

    with pytest.raises(Conflict, match="Source St has no bike to give"):
        approve(SuggestionFactory(qty=5).id, fit=True)
    assert not Task.objects.exists()


def test_each_approval_of_a_batch_counts_for_the_next(refusing):
    station(SOURCE, "Source St", 12, 0)
    listed(TARGET, TARGET + 1, TARGET + 2)
    moves = [SuggestionFactory(qty=5, to_station_id=TARGET + n).id for n in range(3)]

    decisions = services.approve_suggestions(moves, actor="maria")

    assert str(decisions.pop(moves[2])) == (
        "Only 2 of 5 bikes can leave Source St (12 there, 10 already promised)."
        " 2 bikes are less than the 3 that are worth a trip."
        f" Suggestions {moves[0]}, {moves[1]} come first."
    )
    assert {number: each.task.suggestion_id for number, each in decisions.items()} == {
        number: number for number in moves[:2]
    }
    assert sorted(Task.objects.values_list("suggestion_id", flat=True)) == moves[:2]


def test_a_manual_task_is_warned_about_but_never_refused(refusing):
    station(SOURCE, "Source St", 4, 20)
    approval = services.create_task(TaskFactory.build(qty=5), actor="maria")
    assert approval.warnings == [NOT_IN_FEED, TOO_FEW_BIKES]


@pytest.mark.django_db(transaction=True)
def test_second_approval_of_the_last_docks_waits_and_is_refused(refusing):
    station(TARGET, "Target St", 10, 5)
    listed(1, 2)
    first, second = SuggestionFactory(from_station_id=1), SuggestionFactory(from_station_id=2)

    with background() as run:
        with open_transaction():
            approve(first.id)
            waiting = run(approve, second.id)
            wait_until_blocked(waiting)
        with pytest.raises(Conflict, match="has no dock to spare"):
            waiting.result(timeout=10)
    assert Task.objects.get().suggestion_id == first.id


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_eight_concurrent_approvers_never_overfill_a_station(refusing):
    for number in range(1, 21):
        station(number, f"{number}th St", 10, 10)
    moves = [
        SuggestionFactory(from_station_id=1 + n % 20, to_station_id=1 + (7 * n + 3) % 20, qty=4)
        for n in range(120)
        if n % 20 != (7 * n + 3) % 20
    ]
    ids = [move.id for move in moves]

    with background() as run:
        batches = [ids[n:] + ids[:n] for n in range(0, 80, 20)]
        many = [run(services.approve_suggestions, batch, actor="maria") for batch in batches]
        single = [run(approve_each, batch) for batch in batches]
        for call in [*many, *single]:
            call.result(timeout=60)

    after = capacities_of(range(1, 21))
    assert Task.objects.count() > 20
    assert all(each.promised_out <= 10 and each.promised_in <= 10 for each in after.values())


def approve_each(ids):
    for suggestion_id in ids:
        try:
            approve(suggestion_id)
        except Refusal:
            continue


@pytest.mark.own_connections
@pytest.mark.django_db(transaction=True)
def test_an_approval_that_times_out_changes_nothing():
    blocked, free = SuggestionFactory(), SuggestionFactory(from_station_id=5, to_station_id=6)

    def approve_both():
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '100ms'")
        with pytest.raises(OperationalError):
            approve(blocked.id)
        return approve(free.id)

    with background() as run, transaction.atomic():
        services.locks.advisory_lock(f"station {SOURCE}")
        run(approve_both).result(timeout=10)

    assert list(Suggestion.objects.all()) == [blocked]
    assert Task.objects.get().suggestion_id == free.id


# API and console


def post(client, **body):
    return client.post("/task/approve", body, content_type="application/json")


def test_api_sends_a_warning_header_or_409(client, settings):
    station(SOURCE, "Source St", 4, 20)
    station(TARGET, "Target St", 10, 30)
    first, second = SuggestionFactory.create_batch(2, qty=5)

    assert post(client, suggestion_id=first.id).headers["X-Warning"] == TOO_FEW_BIKES
    settings.INVENTORY_GUARD = "refuse"
    answer = post(client, suggestion_id=second.id)
    assert answer.status_code == 409
    assert answer.json() == {
        "detail": "Source St has no bike to give (4 there, 5 already promised; 5 wanted)."
    }
    listed(5)
    fit = post(client, suggestion_id=SuggestionFactory(from_station_id=5).id, as_much_as_fits=True)
    assert fit.json()["qty"] == 5


@pytest.mark.parametrize("value", [1, "yes", "on", [], "True"])
def test_api_accepts_only_booleans_for_as_much_as_fits(client, value):
    suggestion = SuggestionFactory()
    assert post(client, suggestion_id=suggestion.id, as_much_as_fits=value).status_code == 400
    assert Suggestion.objects.exists()


def test_warning_header_escapes_station_names(client):
    station(SOURCE, "São José\r\nX-Evil: 1", 4, 20)
    answer = post(client, suggestion_id=SuggestionFactory(qty=5).id)
    assert answer.status_code == 200
    assert "X-Evil" not in answer.headers


def test_warning_header_is_short_enough_for_proxies(client):
    station(SOURCE, "駅" * 200, 4, 20)
    station(TARGET, "港" * 200, 10, 3)
    TaskFactory.create_batch(3, qty=1)

    answer = post(client, suggestion_id=SuggestionFactory(qty=5).id)

    assert 500 < len(answer.headers["X-Warning"]) < 4000


def test_console_approves_as_many_as_fit_and_reports_it(client):
    station(SOURCE, "Source St", 4, 20)
    client.force_login(UserFactory())
    suggestion = SuggestionFactory(qty=5)

    answer = client.post(f"/admin/dispatch/suggestion/{suggestion.id}/fit/")

    task = Task.objects.get()
    assert task.qty == 4
    first, *warnings = [str(message) for message in get_messages(answer.wsgi_request)]
    assert strip_tags(first) == f"Suggestion {suggestion.id} approved as task {task.id} (4 bikes)."
    assert warnings == [NOT_IN_FEED, TOO_FEW_BIKES]
