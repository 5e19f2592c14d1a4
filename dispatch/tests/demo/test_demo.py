"""The invented city in the database: its seed and its simulation."""

import io
import signal
from collections import Counter
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import InternalError, OperationalError
from django.db.models import F, Sum
from django.db.models.functions import Now
from django.test import override_settings

from dispatch import services
from dispatch.demo import feed, phone, vans
from dispatch.demo.seed import MOVES, seed
from dispatch.demo.simulation import MAX_READY, Simulation, code_for, decision_seconds
from dispatch.demo.smoke_client import SmokeFailure
from dispatch.maintenance.invariants import violations
from dispatch.management.commands import simulate_city
from dispatch.management.periodic import StopFlag
from dispatch.models import (
    Crew,
    CrewDevice,
    FeedWatch,
    Station,
    StationFeed,
    StationOutage,
    StationStatus,
    StatusPoll,
    Suggestion,
    Task,
    TaskEvent,
)
from dispatch.overview.fit_checks import check_fit
from dispatch.overview.roster import read_roster
from dispatch.stations import state_of

from ..support.factories import CrewFactory, StationFactory, SuggestionFactory, TaskFactory

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
live = pytest.mark.django_db(transaction=True)


def fill(number):
    status = StationStatus.objects.get(station_id=number)
    return status.bikes, status.docks


def steps_until(simulation, happened, most=60):
    for _ in range(most):
        simulation.step()
        if happened():
            return
    raise AssertionError(f"It did not happen in {most} steps.")


def van_1(server):
    code = code_for(Crew.objects.get(worker_id="van-1"))
    return vans.Van(phone.Phone(server.url, code), Simulation(server.url, speed=0).city)


def drive_to_the_end(van):
    """Claim a task and complete it."""
    for _ in range(3):
        van.city.minute = max(van.city.minute, van.done_at)
        van.drive()


def bikes_of(city):
    return sum(city.bikes) + len(city.riding)


def test_the_guard_finds_little_wrong_with_the_suggestions_of_the_demo():
    seed()

    checks = check_fit(Suggestion.objects.all()).values()

    warned = [check.shortfalls for check in checks if check.shortfalls]
    assert len(warned) <= len(checks) / 4, warned
    assert not any("areas" in sentence for sentences in warned for sentence in sentences)


def test_an_empty_database_gets_stations_outages_and_suggestions():
    seed()

    assert Station.objects.count() == StationStatus.objects.count() == 60
    assert fill(100) == (26, 0)
    assert fill(200) == (0, 35)
    watch = FeedWatch.objects.get()
    assert watch.ended_at - watch.started_at == timedelta(hours=6)
    first = Suggestion.objects.order_by("id").first()
    assert (first.from_station_id, first.to_station_id, first.qty) == (100, 200, 5)
    sources = Counter(Suggestion.objects.values_list("source", flat=True))
    assert sources["demo-model"] == len(MOVES)
    assert sources["suggester"] > 5
    assert violations() == {}


def test_open_outages_match_the_last_status():
    seed()

    lasting = dict(StationOutage.objects.filter(ended_at=None).values_list("station_id", "kind"))

    assert lasting == {
        status.station_id: state
        for status in StationStatus.objects.all()
        if (state := state_of(status.bikes, status.docks, status.in_service))
    }
    assert set(lasting.values()) == {"empty", "full", "closed"}
    ended = StationOutage.objects.exclude(ended_at=None)
    assert ended.exists()
    assert not ended.filter(ended_at__lte=F("started_at")).exists()


@pytest.mark.parametrize("make", [SuggestionFactory, TaskEvent.objects.create])
def test_seed_does_not_change_a_database_with_other_data(make):
    make()

    seed()
    seed()

    assert not Station.objects.exists()
    assert Suggestion.objects.count() + TaskEvent.objects.count() == 1


def test_seed_does_nothing_if_another_system_has_stations():
    StationFactory()

    seed()

    assert Station.objects.count() == 1
    assert not Suggestion.objects.exists()


@pytest.mark.parametrize("polls", [0, 1, 20, 37])
def test_an_interrupted_seed_is_completed_by_the_next(monkeypatch, polls):
    def record_status(*args):
        if StatusPoll.objects.count() == polls:
            raise KeyboardInterrupt
        feed.record_status(*args)

    def ingest(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as cut_off:
        cut_off.setattr("dispatch.demo.seed.record_status", record_status)
        cut_off.setattr(services, "ingest_suggestions", ingest)
        with pytest.raises(KeyboardInterrupt):
            seed()
    assert Station.objects.count() == 60
    assert StatusPoll.objects.count() == polls

    seed()

    assert (fill(100), fill(200)) == ((26, 0), (0, 35))
    watch = FeedWatch.objects.get()
    assert timedelta(hours=6) <= watch.ended_at - watch.started_at < timedelta(hours=6, minutes=10)
    sources = Counter(Suggestion.objects.values_list("source", flat=True))
    assert sources["demo-model"] == len(MOVES)
    assert sources["suggester"] > 5
    assert violations() == {}


def test_at_rest_only_a_completed_task_moves_bikes():
    seed()
    before = dict(StationStatus.objects.values_list("station_id", "bikes"))
    StationStatus.objects.update(as_of=Now() - timedelta(hours=3))
    simulation = Simulation("http://nowhere.invalid", speed=0)
    TaskFactory(completed=True, completed_at=Now(), qty=5, moved_qty=4)

    simulation.step()

    assert not StationStatus.objects.filter(as_of__lte=Now() - timedelta(minutes=1)).exists()
    after = dict(StationStatus.objects.values_list("station_id", "bikes"))
    assert after == {**before, 100: before[100] - 4, 200: before[200] + 4}
    for _ in range(40):
        simulation.step()
    assert dict(StationStatus.objects.values_list("station_id", "bikes")) == after
    assert not Task.objects.exclude(status="completed").exists()


def test_a_restarted_city_continues_from_its_last_status():
    seed()
    first = Simulation("http://nowhere.invalid", speed=0)
    first.city.ride(30)
    first.step()

    assert (
        Simulation("http://nowhere.invalid", speed=0).city.inventories() == first.city.inventories()
    )


@pytest.mark.slow
@live
def test_vans_claim_and_complete_tasks_over_the_api(server):
    seed()
    task = services.approve_suggestion(Suggestion.objects.earliest("id").pk, actor="ada").task
    simulation = Simulation(server.url, speed=2)
    bikes = bikes_of(simulation.city)

    steps_until(simulation, lambda: Task.objects.get(pk=task.pk).status == "completed")

    done = Task.objects.get(pk=task.pk)
    assert (done.worker_id, done.moved_qty, done.note) == ("van-1", 5, "")
    actors = TaskEvent.objects.filter(task_id=task.pk).order_by("id").values_list("kind", "actor")
    crew = "crew van-1"
    assert list(actors) == [
        ("approved", "ada"),
        ("claimed", crew),
        ("seen", crew),
        ("completed", crew),
    ]
    assert bikes_of(simulation.city) == bikes
    assert violations() == {}


@pytest.mark.slow
@live
def test_recorded_bikes_and_riders_add_up(server):
    seed()
    simulation = Simulation(server.url, speed=5)
    bikes = bikes_of(simulation.city)

    for _ in range(11):
        simulation.step()

    total = StationStatus.objects.aggregate(Sum("bikes"))["bikes__sum"]
    assert total == sum(simulation.city.bikes)
    assert total + len(simulation.city.riding) == bikes


@pytest.mark.slow
@live
def test_a_van_reports_fewer_bikes_if_the_station_has_fewer(server):
    seed()
    task = TaskFactory(from_station_id=201, to_station_id=100, qty=9)
    van = van_1(server)

    van.drive()
    van.city.minute = van.done_at
    van.drive()

    task.refresh_from_db()
    assert (task.status, task.moved_qty) == ("completed", 0)
    completion = TaskEvent.objects.get(kind="completed")
    assert completion.details["problems"] == ["station_empty"]


@pytest.mark.slow
@live
@pytest.mark.parametrize("door", ["/join", "/next", "/reports"])
def test_a_van_that_lost_a_response_repeats_its_request(server, monkeypatch, door):
    seed()
    TaskFactory()
    van = van_1(server)
    respond = phone.respond

    def lose(method, url, *rest):
        answer = respond(method, url, *rest)
        if url.endswith(door):
            raise ConnectionResetError
        return answer

    with monkeypatch.context() as losing:
        losing.setattr(phone, "respond", lose)
        with pytest.raises(ConnectionResetError):
            drive_to_the_end(van)
    drive_to_the_end(van)

    events = TaskEvent.objects.filter(kind__in=["claimed", "completed"])
    assert list(events.order_by("id").values_list("kind", flat=True)) == ["claimed", "completed"]
    assert CrewDevice.objects.count() == 1


@pytest.mark.slow
@live
def test_a_restarted_van_continues_with_its_task(server):
    seed()
    held = TaskFactory(assigned=True, assigned_at=Now())
    TaskFactory()
    van = van_1(server)

    van.drive()

    assert van.claim == (held.pk, 1)
    assert Task.objects.ready().count() == 1


@pytest.mark.slow
@live
def test_a_van_drops_a_cancelled_task(server):
    seed()
    task = TaskFactory()
    van = van_1(server)
    van.drive()
    services.cancel_task(task.pk, actor="ada", reason="The street is closed")
    other = TaskFactory()

    drive_to_the_end(van)

    other.refresh_from_db()
    assert (other.status, other.worker_id) == ("completed", "van-1")


@pytest.mark.slow
@live
def test_a_van_shows_the_messages_of_the_simulated_dispatcher(server):
    seed()
    TaskFactory(from_station_id=201, to_station_id=100, qty=9)
    simulation = Simulation(server.url, speed=1)

    for _ in range(3):
        simulation.step()

    message = TaskEvent.objects.get(kind="message")
    assert message.details["text"] == "Only 0 docks are free at the target now. Move what fits."
    seen = TaskEvent.objects.filter(kind="seen", worker_id=message.worker_id)
    assert seen.latest("id").details["message_id"] == message.pk


@pytest.mark.slow
@live
def test_a_revoked_van_rests_and_one_that_ends_its_shift_is_signed_out(server):
    seed()
    van = van_1(server)
    van.drive()
    services.revoke_device(CrewDevice.objects.get().pk, actor="ada")
    TaskFactory()

    van.drive()

    assert Task.objects.ready().exists()
    other = van_1(server)
    other.drive()
    assert Task.objects.assigned().get().worker_id == "van-1"
    other.end_shift()
    assert not CrewDevice.objects.usable().exists()


@pytest.mark.slow
@live
def test_the_simulation_approves_only_long_undecided_suggestions(server):
    simulation = Simulation(server.url, speed=1)
    simulation.vans = []
    SuggestionFactory(created_at=Now() - timedelta(seconds=decision_seconds(1) - 5))
    simulation.approve()
    assert not Task.objects.exists()

    for number in range(MAX_READY + 1):
        SuggestionFactory(
            created_at=Now() - timedelta(seconds=decision_seconds(1) + 1),
            to_station_id=300 + number,
        )
        simulation.approve()

    assert Task.objects.count() == MAX_READY
    assert set(TaskEvent.objects.values_list("kind", "actor")) == {("approved", "simulation")}


@pytest.fixture
def stop(monkeypatch):
    """Ends the command. It does not sleep between steps."""
    flag = StopFlag()
    monkeypatch.setattr(simulate_city, "StopFlag", lambda: flag)
    monkeypatch.setattr(simulate_city, "interruptible_sleep", lambda *_: None)
    return lambda: flag.set(signal.SIGTERM)


@pytest.mark.own_connections
def test_the_simulation_reports_a_service_error_once_and_continues(stop, monkeypatch):
    seed()
    steps = []

    def drive(van):
        if len(steps) < 2:
            steps.append("failed")
            raise SmokeFailure("GET state returned 503: <html>\n</html>")
        steps.append("succeeded")
        if len(steps) > 6:
            stop()

    monkeypatch.setattr(vans.Van, "drive", drive)
    err = io.StringIO()

    call_command("simulate_city", "http://nowhere.invalid", speed=60, stderr=err)

    assert steps[:3] == ["failed", "failed", "succeeded"]
    assert err.getvalue() == "The demo city: GET state returned 503: <html> </html>\n"


@pytest.mark.own_connections
@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InternalError("invalid page\nin block 0"), "refuses: invalid page in block 0"),
        (OperationalError("session is\nread-only"), "not available: session is read-only"),
    ],
)
def test_the_simulation_reports_a_database_error_once_and_continues(stop, monkeypatch, error, line):
    seed()
    steps = []

    def step(simulation):
        steps.append(simulation.steps)
        if len(steps) == 3:
            stop()
        raise error

    monkeypatch.setattr(Simulation, "step", step)
    monkeypatch.setattr(simulate_city.connection, "close", lambda: None)
    err = io.StringIO()

    call_command("simulate_city", "http://nowhere.invalid", stderr=err)

    assert len(steps) == 3
    assert err.getvalue().count("\n") == 1
    assert line in err.getvalue()


@pytest.mark.own_connections
def test_the_simulation_continues_after_a_refusal(stop, monkeypatch):
    """A status older than the last one is refused: the clock was set back."""
    seed()
    StationFeed.objects.update(made_at=Now() + timedelta(hours=1))
    steps = []

    def step(simulation):
        steps.append(simulation.steps)
        if len(steps) == 3:
            stop()
        return Simulation.real_step(simulation)

    monkeypatch.setattr(Simulation, "real_step", Simulation.step, raising=False)
    monkeypatch.setattr(Simulation, "step", step)
    err = io.StringIO()

    call_command("simulate_city", "http://nowhere.invalid", stderr=err)

    assert len(steps) == 3
    assert err.getvalue().startswith("The demo city: The feed is old")
    assert err.getvalue().count("\n") == 1


@pytest.mark.parametrize("speed", ["-1", "61", "x"])
def test_a_speed_out_of_range_is_refused(speed):
    with pytest.raises(CommandError, match="--speed: invalid"):
        call_command("simulate_city", "http://nowhere.invalid", f"--speed={speed}")


@override_settings(PRODUCTION=True)
def test_the_demo_city_is_refused_in_production():
    with pytest.raises(CommandError, match="for the local trial only"):
        call_command("simulate_city", "http://127.0.0.1:8000")


def test_seed_enters_a_roster_that_may_take_every_task():
    seed()

    for suggestion in Suggestion.objects.all():
        services.approve_suggestion(suggestion.pk, actor="ada")
    assert list(Crew.objects.values_list("worker_id", flat=True)) == ["van-1", "van-2", "van-3"]
    assert {task.area for task in Task.objects.all()} == {"Westbank", "Eastbank"}
    assert not read_roster().without_crew().exists()


def test_seed_does_not_change_a_foreign_roster():
    CrewFactory(worker_id="our-van")

    seed()

    assert Crew.objects.count() == 1
    assert not Station.objects.exists()
