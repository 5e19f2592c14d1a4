"""The suggester: its input, the suggestions that it replaces, and its report."""

import io
import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dispatch import services
from dispatch.exceptions import Conflict
from dispatch.models import Station, StationStatus, Suggestion, TaskEvent
from dispatch.services import suggester

from ..support.concurrency import background, wait_until_blocked
from ..support.factories import SuggestionFactory, TaskFactory

pytestmark = pytest.mark.django_db

KM = 1 / 111.195  # degrees of latitude


def station(number, bikes, docks, km=0.0, *, minutes_old=1, gone=False, **status):
    made = Station.objects.create(
        id=number,
        system="here",
        name=f"Station {number}",
        lat=45 + km * KM,
        lon=7,
        gone_at=timezone.now() if gone else None,
    )
    as_of = None if minutes_old is None else Now() - timedelta(minutes=minutes_old)
    StationStatus.objects.create(station=made, bikes=bikes, docks=docks, as_of=as_of, **status)
    return made


def routes(source="suggester"):
    return set(
        Suggestion.objects.filter(source=source).values_list(
            "from_station_id", "to_station_id", "qty"
        )
    )


def suggest(*arguments):
    out = io.StringIO()
    call_command("suggest_moves", *arguments, stdout=out)
    return out.getvalue()


def reject(suggestion):
    services.reject_suggestion(suggestion.pk, actor="ada", reason="The street is closed")


def test_a_suggestion_has_reason_priority_and_expiry():
    station(1, 20, 0)
    station(2, 0, 20, km=1)

    assert suggest() == ("1 move of 10 bikes for 2 stations: 1 inserted, 0 refreshed, 0 removed.\n")

    suggestion = Suggestion.objects.get()
    assert (suggestion.from_station_id, suggestion.to_station_id, suggestion.qty) == (1, 2, 10)
    assert suggestion.reason == "From a full station to an empty station"
    assert (suggestion.source, suggestion.priority) == ("suggester", 60)
    left = suggestion.expires_at - suggestion.created_at
    assert timedelta(minutes=59) < left < timedelta(minutes=61)
    event = TaskEvent.objects.get()
    assert (event.kind, event.actor, event.source) == ("ingested", "suggest_moves", "suggester")


def test_a_second_run_refreshes_and_removes_suggestions():
    station(1, 20, 0)
    station(2, 0, 20, km=1)
    suggest()
    (first,) = Suggestion.objects.all()

    assert "0 inserted, 1 refreshed, 0 removed" in suggest()
    assert Suggestion.objects.get() == first

    StationStatus.objects.update(bikes=10, docks=10)
    assert "0 inserted, 0 refreshed, 1 removed" in suggest()
    assert not Suggestion.objects.exists()


def test_other_sources_suggestions_stay_and_count_as_promised():
    station(1, 20, 0)
    station(2, 0, 20, km=1)
    others = [
        SuggestionFactory(from_station_id=1, to_station_id=8, qty=3, source="demand-v2"),
        SuggestionFactory(from_station_id=9, to_station_id=2, qty=4),
    ]

    suggest()

    # Station 2 lacks 10 bikes, 4 of them promised; station 1 has 10 to spare, 3 of them promised.
    assert routes() == {(1, 2, 6)}
    assert set(Suggestion.objects.exclude(source="suggester")) == set(others)


def test_an_expired_suggestion_promises_nothing():
    station(1, 20, 0)
    station(2, 0, 20, km=1)
    SuggestionFactory(
        from_station_id=9, to_station_id=2, qty=4, expires_at=Now() - timedelta(minutes=1)
    )

    suggest()

    assert routes() == {(1, 2, 10)}


def test_open_tasks_count_as_promised_but_ended_ones_do_not():
    station(1, 20, 0)
    station(2, 0, 20, km=1)
    TaskFactory(from_station_id=9, to_station_id=2, qty=2)
    TaskFactory(from_station_id=9, to_station_id=2, qty=3, assigned=True)
    TaskFactory(from_station_id=9, to_station_id=2, qty=5, completed=True)
    TaskFactory(from_station_id=9, to_station_id=2, qty=5, cancelled=True)

    suggest()

    assert routes() == {(1, 2, 5)}


def test_a_completed_task_counts_until_the_status_shows_it():
    station(1, 20, 0, minutes_old=5)
    station(2, 0, 20, km=1, minutes_old=5)
    now = timezone.now()
    done = {"completed": True, "assigned_at": now - timedelta(minutes=30), "moved_qty": 4, "qty": 4}
    TaskFactory(from_station_id=9, to_station_id=2, completed_at=now - timedelta(minutes=2), **done)
    TaskFactory(from_station_id=9, to_station_id=2, completed_at=now - timedelta(minutes=9), **done)

    suggest()

    assert routes() == {(1, 2, 6)}


def test_a_move_of_an_open_task_is_not_suggested():
    station(1, 20, 0)
    station(2, 0, 20, km=1)
    TaskFactory(from_station_id=1, to_station_id=2, qty=1)

    assert suggest().startswith("0 moves of 0 bikes")
    assert routes() == set()


@pytest.mark.django_db(transaction=True)
def test_a_move_rejected_during_planning_does_not_come_back(monkeypatch):
    station(1, 20, 0)
    station(2, 0, 20, km=1)
    suggest()
    plan = suggester.plan

    def plan_and_be_rejected(*arguments):
        plan(*arguments)
        with background() as run:
            run(reject, Suggestion.objects.get()).result(timeout=10)

    monkeypatch.setattr(suggester, "plan", plan_and_be_rejected)
    suggest()

    assert routes() == set()


@pytest.mark.django_db(transaction=True)
def test_a_plan_that_waited_reads_the_latest_status():
    station(1, 20, 0)
    station(2, 0, 20, km=1)

    with background() as run:
        with transaction.atomic():
            services.locks.advisory_lock("ingest suggester")
            waiting = run(services.suggest_moves, actor="test")
            wait_until_blocked(waiting)
            StationStatus.objects.update(bikes=10, docks=10)
        waiting.result(timeout=10)

    assert routes() == set()


def test_many_later_events_do_not_hide_a_rejection():
    station(1, 20, 0)
    station(2, 0, 20, km=1)
    suggest()
    reject(Suggestion.objects.get())
    extended = TaskEvent(kind="extended", task_id=1, actor="van-1", source="suggester")
    TaskEvent.objects.bulk_create([extended] * 2001)

    suggest()

    assert routes() == set()


def test_a_rejected_move_is_not_proposed_again_for_two_hours(monkeypatch):
    station(1, 20, 0)
    station(2, 0, 20, km=1)
    suggest()
    reject(Suggestion.objects.get())

    suggest()
    assert routes() == set()

    monkeypatch.setattr(suggester, "REJECTION_HOLDS", timedelta(0))
    suggest()
    assert routes() == {(1, 2, 10)}


def test_an_undone_rejection_does_not_hold():
    station(1, 20, 0)
    station(2, 0, 20, km=1)
    suggest()
    suggestion = Suggestion.objects.get()
    reject(suggestion)
    restored = services.undo_rejection(suggestion.pk, actor="ada")

    suggest()

    assert Suggestion.objects.get() == restored


def test_an_open_suggestion_stays_if_no_move_is_much_better():
    station(1, 0, 20)
    station(2, 16, 4, km=1.4)
    station(3, 16, 4, km=1.5)
    mine = SuggestionFactory(from_station_id=3, to_station_id=1, qty=3, source="suggester")

    suggest()

    assert mine in Suggestion.objects.filter(from_station_id=3, to_station_id=1)


def test_a_priority_set_by_a_dispatcher_is_kept():
    station(1, 20, 0)
    station(2, 0, 20, km=1)
    suggest()
    services.prioritize_suggestion(Suggestion.objects.get().pk, actor="ada", priority=-5)

    suggest()

    assert Suggestion.objects.get().priority == -5


def test_old_unknown_gone_and_closed_stations_are_left_out():
    station(1, 20, 0)
    station(2, 0, 20, km=1, minutes_old=61)
    station(3, 0, 20, km=1, minutes_old=None)
    station(4, 0, 20, km=1, gone=True)
    station(5, 0, 20, km=1, in_service=False)

    assert suggest().startswith(
        "0 moves of 0 bikes for 2 stations (2 more have no recent status): 0 inserted"
    )


@override_settings(STATUS_MAX_AGE_MINUTES=90, LOW_FILL_PERCENT=50, HIGH_FILL_PERCENT=60)
def test_settings_define_old_low_and_high():
    station(1, 11, 9, minutes_old=80)
    station(2, 8, 12, km=1, minutes_old=80)

    assert suggest("--min-qty", "1").startswith("1 move of 1 bike ")


def test_without_a_recent_status_it_fails_and_changes_nothing():
    station(1, 20, 0, minutes_old=61)
    mine = SuggestionFactory(source="suggester")

    with pytest.raises(CommandError) as failure:
        suggest()

    assert str(failure.value) == (
        "No station has a status from the last 60 minutes. Nothing was planned or changed."
    )
    assert Suggestion.objects.get() == mine
    with pytest.raises(Conflict):
        services.suggest_moves(actor="test")


def test_a_dry_run_prints_an_aligned_table_and_changes_nothing():
    station(1, 20, 0)
    station(1002, 0, 20, km=1)
    station(3, 1, 19, km=1.5)
    mine = SuggestionFactory(source="suggester")

    assert suggest("--dry-run").splitlines() == [
        "from    to  bikes  priority   km  reason",
        "   1  1002      7        60  1.0  From a full station to an empty station",
        "   1     3      6        48  1.5  To a station low on bikes",
        "Dry run, nothing was changed: 2 moves of 13 bikes for 3 stations.",
    ]
    assert Suggestion.objects.get() == mine
    assert not TaskEvent.objects.exists()


def test_json_output_is_one_object_even_on_failure():
    out = io.StringIO()
    with pytest.raises(CommandError):
        call_command("suggest_moves", "--json", stdout=out)
    assert json.loads(out.getvalue()) == {
        "ok": False,
        "error": "No station has a status from the last 60 minutes."
        " Nothing was planned or changed.",
    }

    station(1, 20, 0)
    station(2, 0, 20, km=1)
    answer = json.loads(suggest("--json"))

    (move,) = answer["moves"]
    assert (answer["ok"], answer["dry_run"], answer["stations"]) == (True, False, 2)
    assert (move["from_station_id"], move["to_station_id"], move["qty"]) == (1, 2, 10)
    assert answer["result"]["inserted"] == 1


@pytest.mark.parametrize(
    ("text", "moves"), [("1km", 1), ("990m", 0), ("1001m", 1), ("0.7mi", 1), ("0.5mi", 0)]
)
def test_distances_are_given_in_km_m_or_miles(text, moves):
    station(1, 20, 0)
    station(2, 0, 20, km=0.999)

    assert suggest("--max-distance", text).startswith(f"{moves} move")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--max-distance", "5"),
        ("--max-distance", "0km"),
        ("--max-distance", "-5km"),
        ("--max-distance", "infkm"),
        ("--max-distance", "\u0665km"),
        ("--max-distance", "101km"),
        ("--van-capacity", "0"),
        ("--min-qty", "0"),
        ("--min-qty", "1e3"),
        ("--min-qty", "21"),
    ],
)
def test_meaningless_arguments_are_refused(arguments):
    station(1, 20, 0)

    with pytest.raises(CommandError):
        suggest(*arguments)


def test_query_count_does_not_grow_with_stations():
    def count():
        with CaptureQueriesContext(connection) as queries:
            services.suggest_moves(actor="test", dry_run=True)
        return len(queries)

    station(1, 20, 0)
    station(2, 0, 20, km=1)
    few = count()
    for number in range(3, 41):
        station(number, number % 20, 20 - number % 20, km=number / 10)
        SuggestionFactory(from_station_id=number, to_station_id=number + 1)

    assert count() == few == 5


@pytest.mark.parametrize(("setting", "value"), [("MOVE_MAX_KM", 0.5), ("MOVE_MIN_BIKES", 11)])
def test_settings_of_the_guard_limit_the_suggester_too(settings, setting, value):
    station(1, 20, 0)
    station(2, 0, 20, km=1)

    assert "1 move of 10 bikes" in suggest("--dry-run")
    setattr(settings, setting, value)
    assert "0 moves of 0 bikes" in suggest("--dry-run")
    assert services.suggest_moves(actor="test", dry_run=True).moves == []
