"""No approval takes more bikes than there are, or brings more than there are docks for."""

from datetime import timedelta
from functools import partial

import pytest
from django.contrib.messages import get_messages
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dispatch import services
from dispatch.exceptions import Conflict, Refusal
from dispatch.models import Station, StationStatus, Suggestion, Task, TaskEvent
from dispatch.planning.inventory import StationCapacity, caveats, feasible_qty, shortfalls
from dispatch.services.guard import capacities_of

from ..support.concurrency import background, wait_until_blocked
from ..support.factories import SuggestionFactory, TaskFactory, UserFactory

pytestmark = pytest.mark.django_db
approve = partial(services.approve_suggestion, actor="maria")
SOURCE, TARGET = 100, 200
CANNOT_GIVE = "Source St can give 4 of 5 bikes: it has 4, 0 promised."
CANNOT_TAKE = "Target St can take 3 of 5 bikes: it has 3 free docks, 0 promised."


def station(number, name, bikes, docks, age_minutes=1, **status):
    Station.objects.create(id=number, system="bay", name=name, lat=37.7, lon=-122.4)
    as_of = timezone.now() - timedelta(minutes=age_minutes)
    StationStatus.objects.create(
        station_id=number, bikes=bikes, docks=docks, **{"as_of": as_of, **status}
    )


@pytest.fixture
def refusing(settings):
    settings.INVENTORY_GUARD = "refuse"


# The rule


def room(bikes, docks, promised_out=0, promised_in=0):
    return StationCapacity("Here", bikes, docks, promised_out, promised_in)


@pytest.mark.parametrize(
    ("source", "target", "fits"),
    [
        (room(5, 0), room(0, 5), 5),
        (room(4, 9), room(0, 9), 4),
        (room(9, 0), room(9, 3), 3),
        (room(9, 0, promised_out=7), room(0, 9), 2),
        (room(9, 0), room(0, 9, promised_in=8), 1),
        # Bikes on the way are not there yet, and docks that will become free are not free.
        (room(2, 0, promised_in=9), room(0, 9), 2),
        (room(9, 0), room(0, 2, promised_out=9), 2),
        (room(3, 0, promised_out=4), room(0, 9), 0),
        (room(None, None), room(0, 3), 3),
        (room(4, 0), room(None, None), 4),
        (room(None, None), room(None, None), 5),
    ],
)
def test_as_many_bikes_fit_as_both_stations_can_bear(source, target, fits):
    assert feasible_qty(5, source, target) == fits
    assert bool(shortfalls(5, source, target)) == (fits < 5)


def test_what_is_not_known_and_what_is_closed_is_a_doubt_but_no_objection():
    unknown, closed = StationCapacity("#7"), StationCapacity("Pier", 5, 5, in_service=False)
    assert caveats(unknown, closed) == [
        "Whether #7 has room is not known.",
        "Pier is out of service.",
    ]
    assert shortfalls(5, unknown, closed) == []


# Rooms


def test_open_tasks_promise_and_ended_ones_only_until_the_next_count():
    station(SOURCE, "Source St", 20, 15, age_minutes=10)
    minutes_ago = {n: timezone.now() - timedelta(minutes=n) for n in (5, 15, 30)}
    TaskFactory(qty=2)
    TaskFactory(qty=3, assigned=True)
    TaskFactory(qty=7, completed=True, assigned_at=minutes_ago[30], completed_at=minutes_ago[15])
    done = {"completed": True, "assigned_at": minutes_ago[30], "completed_at": minutes_ago[5]}
    TaskFactory(qty=6, moved_qty=4, **done)
    # Entered late: its bikes were moved before the count.
    TaskFactory(qty=9, reported_completed_at=minutes_ago[15], **done)
    TaskFactory(from_station_id=TARGET, to_station_id=SOURCE, qty=1)
    TaskFactory(qty=8, cancelled=True)

    assert capacities_of([SOURCE, TARGET]) == {
        SOURCE: StationCapacity("Source St", 20, 15, promised_out=2 + 3 + 4, promised_in=1),
        TARGET: StationCapacity("#200", None, None, promised_out=0, promised_in=0),
    }


def test_a_count_that_is_too_old_or_was_never_made_is_not_known(settings):
    settings.STATUS_MAX_AGE_MINUTES = 60
    station(1, "Fresh", 5, 5, age_minutes=59)
    station(2, "Old", 5, 5, age_minutes=61)
    station(3, "Never", 5, 5, as_of=None)

    rooms = capacities_of([1, 2, 3])
    assert [rooms[number].bikes for number in (1, 2, 3)] == [5, None, None]


def test_where_no_station_has_ever_told_there_is_nothing_to_guard():
    assert capacities_of([SOURCE]) == {SOURCE: StationCapacity("#100", counted=False)}
    assert approve(SuggestionFactory().id).warnings == []


# Approvals


def test_warn_approves_and_says_the_numbers_to_the_approver_and_in_the_event():
    station(SOURCE, "Source St", 4, 20)
    station(TARGET, "Target St", 10, 3)

    approval = approve(SuggestionFactory(qty=5).id)

    assert approval.task.qty == 5
    assert approval.warnings == [CANNOT_GIVE, CANNOT_TAKE]
    assert TaskEvent.objects.get().details == {"warnings": approval.warnings}


def test_refuse_says_the_numbers_and_changes_nothing(refusing):
    station(SOURCE, "Source St", 4, 20)
    station(TARGET, "Target St", 10, 30)
    suggestion = SuggestionFactory(qty=5)

    with pytest.raises(Conflict) as refusal:
        approve(suggestion.id)

    assert str(refusal.value) == CANNOT_GIVE
    assert Suggestion.objects.get() == suggestion
    assert not Task.objects.exists()
    assert not TaskEvent.objects.exists()


def test_off_asks_nothing(settings):
    settings.INVENTORY_GUARD = "off"
    station(SOURCE, "Source St", 0, 20)
    assert approve(SuggestionFactory().id).warnings == []


def test_what_cannot_be_known_passes_also_when_it_refuses(refusing):
    station(SOURCE, "Source St", 0, 20, age_minutes=500)

    assert approve(SuggestionFactory().id).warnings == [
        "Whether Source St has room is not known.",
        "Whether #200 has room is not known.",
    ]


@pytest.mark.parametrize("mode", ["off", "warn", "refuse"])
def test_as_much_as_fits_is_a_smaller_task_and_the_event_keeps_what_was_proposed(settings, mode):
    settings.INVENTORY_GUARD = mode
    station(SOURCE, "Source St", 4, 20)
    station(TARGET, "Target St", 10, 3)

    approval = approve(SuggestionFactory(qty=5).id, fit=True)

    assert approval.task.qty == 3
    assert approval.warnings == [CANNOT_GIVE, CANNOT_TAKE]
    details = TaskEvent.objects.get().details
    assert details == {"proposed_qty": 5, "warnings": approval.warnings}


def test_as_much_as_fits_leaves_alone_what_fits_whole():
    station(SOURCE, "Source St", 9, 0)
    station(TARGET, "Target St", 0, 9)

    assert approve(SuggestionFactory(qty=5).id, fit=True).task.qty == 5
    assert TaskEvent.objects.get().details == {}


@pytest.mark.parametrize("mode", ["off", "warn"])
def test_a_move_that_is_under_way_is_told_by_the_names_of_its_stations(settings, mode):
    settings.INVENTORY_GUARD = mode
    station(SOURCE, "Source St", 20, 20)
    same = TaskFactory()

    warnings = approve(SuggestionFactory().id).warnings

    assert warnings[0] == (
        f"Task {same.id}, ready, already moves bikes from Source St to #{TARGET}."
    )


def test_the_names_of_many_moves_that_are_under_way_are_asked_for_once(
    settings, django_assert_num_queries
):
    settings.INVENTORY_GUARD = "off"
    moves = [SuggestionFactory(to_station_id=TARGET + n % 5).id for n in range(20)]
    with CaptureQueriesContext(connection) as few:
        services.approve_suggestions(moves[:10], actor="maria")
    with django_assert_num_queries(len(few)):
        decisions = services.approve_suggestions(moves[10:], actor="maria")

    assert all(approval.warnings for approval in decisions.values())


@pytest.mark.parametrize("mode", ["off", "warn", "refuse"])
def test_where_nothing_fits_as_much_as_fits_is_refused(settings, mode):
    settings.INVENTORY_GUARD = mode
    station(SOURCE, "Source St", 0, 20)

    with pytest.raises(Conflict, match="Source St can give 0 of 5 bikes"):
        approve(SuggestionFactory(qty=5).id, fit=True)
    assert not Task.objects.exists()


def test_of_many_each_counts_on_what_those_before_it_left(refusing):
    station(SOURCE, "Source St", 12, 0)
    moves = [SuggestionFactory(qty=5, to_station_id=TARGET + n).id for n in range(3)]

    decisions = services.approve_suggestions(moves, actor="maria")

    assert str(decisions.pop(moves[2])) == (
        "Source St can give 2 of 5 bikes: it has 12, 10 promised."
    )
    assert {number: each.task.suggestion_id for number, each in decisions.items()} == {
        number: number for number in moves[:2]
    }
    assert sorted(Task.objects.values_list("suggestion_id", flat=True)) == moves[:2]


def test_a_task_that_is_written_by_hand_is_warned_of_but_never_refused(refusing):
    station(SOURCE, "Source St", 4, 20)
    approval = services.create_task(TaskFactory.build(qty=5), actor="maria")
    assert approval.warnings == ["Whether #200 has room is not known.", CANNOT_GIVE]


@pytest.mark.django_db(transaction=True)
def test_of_two_approvals_for_the_last_docks_the_second_waits_and_is_refused(refusing):
    station(TARGET, "Target St", 10, 5)
    first, second = SuggestionFactory(from_station_id=1), SuggestionFactory(from_station_id=2)

    with background() as run:
        with transaction.atomic():
            services.approvals.approve_suggestion.__wrapped__(first.id, actor="maria")
            waiting = run(approve, second.id)
            wait_until_blocked(waiting)
        with pytest.raises(Conflict, match="can take 0 of 5 bikes"):
            waiting.result(timeout=10)
    assert Task.objects.get().suggestion_id == first.id


@pytest.mark.django_db(transaction=True)
def test_eight_approvers_of_the_same_suggestions_never_over_fill_a_station(refusing):
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
def test_an_approval_whose_turn_does_not_come_in_time_changes_nothing_and_the_next_goes_on():
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


# Through the doors


def post(client, **body):
    return client.post("/task/approve", body, content_type="application/json")


def test_over_http_it_is_a_header_or_409_with_the_numbers(client, settings):
    station(SOURCE, "Source St", 4, 20)
    station(TARGET, "Target St", 10, 30)
    first, second = SuggestionFactory.create_batch(2, qty=5)

    assert post(client, suggestion_id=first.id).headers["X-Warning"] == CANNOT_GIVE
    settings.INVENTORY_GUARD = "refuse"
    answer = post(client, suggestion_id=second.id)
    assert answer.status_code == 409
    assert answer.json() == {"detail": "Source St can give 0 of 5 bikes: it has 4, 5 promised."}
    fit = post(client, suggestion_id=SuggestionFactory(from_station_id=5).id, as_much_as_fits=True)
    assert fit.json()["qty"] == 5


@pytest.mark.parametrize("value", [1, "yes", "on", None, [], "True"])
def test_as_much_as_fits_is_true_or_false(client, value):
    suggestion = SuggestionFactory()
    assert post(client, suggestion_id=suggestion.id, as_much_as_fits=value).status_code == 400
    assert Suggestion.objects.exists()


def test_a_header_holds_a_stations_name_whatever_it_is(client):
    station(SOURCE, "São José\r\nX-Evil: 1", 4, 20)
    answer = post(client, suggestion_id=SuggestionFactory(qty=5).id)
    assert answer.status_code == 200
    assert "X-Evil" not in answer.headers


def test_a_header_is_no_longer_than_a_proxy_takes(client):
    station(SOURCE, "駅" * 200, 4, 20)
    station(TARGET, "港" * 200, 10, 3)
    TaskFactory.create_batch(3, qty=1)

    answer = post(client, suggestion_id=SuggestionFactory(qty=5).id)

    assert 500 < len(answer.headers["X-Warning"]) < 4000


def test_the_console_approves_what_fits_and_says_so(client):
    station(SOURCE, "Source St", 4, 20)
    client.force_login(UserFactory())
    suggestion = SuggestionFactory(qty=5)

    answer = client.post(f"/admin/dispatch/suggestion/{suggestion.id}/fit/")

    task = Task.objects.get()
    assert task.qty == 4
    told = [str(message) for message in get_messages(answer.wsgi_request)]
    assert told[0] == f"Suggestion {suggestion.id} approved as task {task.id}, 4 bikes."
    assert CANNOT_GIVE in told[1]
