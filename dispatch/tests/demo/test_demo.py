"""The invented city in the database: what an empty one is given, and how it lives."""

import io
import signal
from collections import Counter
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F, Sum
from django.db.models.functions import Now
from django.test import override_settings

from dispatch import services
from dispatch.demo import feed, vans
from dispatch.demo.seed import MOVES, seed
from dispatch.demo.simulation import QUEUE, Simulation, patience
from dispatch.demo.smoke_client import SmokeFailure
from dispatch.maintenance.invariants import violations
from dispatch.management.commands import simulate_city
from dispatch.management.periodic import StopFlag
from dispatch.models import (
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
from dispatch.stations import state_of

from ..support.factories import StationFactory, SuggestionFactory, TaskFactory

pytestmark = pytest.mark.django_db
live = pytest.mark.django_db(transaction=True)


def fill(number):
    status = StationStatus.objects.get(station_id=number)
    return status.bikes, status.docks


def steps_until(simulation, happened, most=60):
    for _ in range(most):
        simulation.step()
        if happened():
            return
    raise AssertionError("It did not happen.")


def bikes_of(city):
    return sum(city.bikes) + len(city.riding)


def test_an_empty_database_gets_stations_a_morning_of_outages_and_moves_to_decide():
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


def test_the_outages_of_the_morning_fit_the_status_that_it_ended_with():
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
def test_a_database_with_anything_in_it_is_left_alone(make):
    make()

    seed()
    seed()

    assert not Station.objects.exists()
    assert Suggestion.objects.count() + TaskEvent.objects.count() == 1


def test_stations_of_another_system_are_left_alone():
    StationFactory()

    seed()

    assert Station.objects.count() == 1
    assert not Suggestion.objects.exists()


@pytest.mark.parametrize("polls", [0, 1, 20, 37])
def test_a_seed_that_was_cut_off_is_completed_by_the_next(monkeypatch, polls):
    def tell(*args):
        if StatusPoll.objects.count() == polls:
            raise KeyboardInterrupt
        feed.tell(*args)

    def ingest(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as cut_off:
        cut_off.setattr("dispatch.demo.seed.tell", tell)
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


def test_at_rest_the_status_stays_fresh_and_only_a_completed_task_moves_bikes():
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


def test_a_city_that_is_started_again_goes_on_from_its_last_status():
    seed()
    first = Simulation("http://nowhere.invalid", speed=0)
    first.city.ride(30)
    first.step()

    assert Simulation("http://nowhere.invalid", speed=0).city.fills() == first.city.fills()


@pytest.mark.slow
@live
def test_vans_take_tasks_and_complete_them_over_the_api(server):
    seed()
    task = services.approve_suggestion(Suggestion.objects.earliest("id").pk, actor="ada").task
    simulation = Simulation(server.url, speed=2)
    bikes = bikes_of(simulation.city)

    steps_until(simulation, lambda: Task.objects.get(pk=task.pk).status == "completed")

    done = Task.objects.get(pk=task.pk)
    assert (done.worker_id, done.moved_qty, done.note) == ("van-1", 5, "")
    actors = TaskEvent.objects.filter(task_id=task.pk).order_by("id").values_list("kind", "actor")
    assert list(actors) == [("approved", "ada"), ("claimed", "api"), ("completed", "api")]
    assert bikes_of(simulation.city) == bikes
    assert violations() == {}


@pytest.mark.slow
@live
def test_what_is_told_of_a_living_city_adds_up(server):
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
def test_a_van_reports_fewer_where_there_are_not_so_many_any_more(server):
    seed()
    task = TaskFactory(from_station_id=201, to_station_id=100, qty=9)
    simulation = Simulation(server.url, speed=0)
    van = vans.Van("van-1", server.url, simulation.city)

    van.drive()
    simulation.city.minute = van.done_at
    van.drive()

    task.refresh_from_db()
    assert (task.status, task.moved_qty) == ("completed", 0)
    assert "not so many bikes or docks" in task.note


@pytest.mark.slow
@live
def test_a_van_whose_claim_was_answered_in_vain_gets_the_same_task_again(server, monkeypatch):
    seed()
    TaskFactory.create_batch(2)
    van = vans.Van("van-1", server.url, Simulation(server.url, speed=0).city)
    ask = vans.call

    def lose(method, url, *rest):
        ask(method, url, *rest)
        if url.endswith("/dispatch/next"):
            raise ConnectionResetError

    monkeypatch.setattr(vans, "call", lose)
    with pytest.raises(ConnectionResetError):
        van.drive()
    monkeypatch.setattr(vans, "call", ask)
    van.drive()

    assert Task.objects.assigned().count() == 1
    assert van.task["id"] == Task.objects.assigned().get().pk


@pytest.mark.slow
@live
def test_a_van_that_was_stopped_goes_on_with_what_it_held(server):
    seed()
    held = TaskFactory(assigned=True, assigned_at=Now())
    TaskFactory()
    van = vans.Van("van-1", server.url, Simulation(server.url, speed=0).city)

    van.drive()

    assert van.task["id"] == held.pk
    assert Task.objects.ready().count() == 1


@pytest.mark.slow
@live
def test_a_van_gives_up_a_task_that_a_dispatcher_has_cancelled(server):
    seed()
    task = TaskFactory()
    city = Simulation(server.url, speed=0).city
    van = vans.Van("van-1", server.url, city)
    van.drive()
    services.cancel_task(task.pk, actor="ada", reason="The street is closed")
    other = TaskFactory()

    city.minute = van.done_at
    van.drive()
    assert van.task is None
    van.drive()

    assert van.task["id"] == other.pk


@pytest.mark.slow
@live
def test_the_simulation_decides_only_what_no_dispatcher_has_decided_for_long(server):
    simulation = Simulation(server.url, speed=1)
    simulation.vans = []
    SuggestionFactory(created_at=Now() - timedelta(seconds=patience(1) - 5))
    simulation.approve()
    assert not Task.objects.exists()

    for number in range(QUEUE + 1):
        SuggestionFactory(
            created_at=Now() - timedelta(seconds=patience(1) + 1), to_station_id=300 + number
        )
        simulation.approve()

    assert Task.objects.count() == QUEUE
    assert set(TaskEvent.objects.values_list("kind", "actor")) == {("approved", "simulation")}


@pytest.fixture
def stop(monkeypatch):
    """Ends the command. It does not sleep between steps."""
    flag = StopFlag()
    monkeypatch.setattr(simulate_city, "StopFlag", lambda: flag)
    monkeypatch.setattr(simulate_city, "interruptible_sleep", lambda *_: None)
    return lambda: flag.set(signal.SIGTERM)


def test_the_city_lives_on_after_a_trouble_of_the_service_which_is_told_in_a_line(
    stop, monkeypatch
):
    seed()
    steps = []

    def answer(method, url, *rest):
        if len(steps) < 2:
            steps.append("failed")
            raise SmokeFailure("GET /tasks answered 503: <html>\n</html>")
        steps.append("went well")
        if len(steps) > 6:
            stop()
        task = {"id": 1, "from_station_id": 100, "to_station_id": 200, "qty": 1}
        return [task] if method == "GET" else task

    monkeypatch.setattr(vans, "call", answer)
    err = io.StringIO()

    call_command("simulate_city", "http://nowhere.invalid", speed=60, stderr=err)

    assert steps[:3] == ["failed", "failed", "went well"]
    assert err.getvalue() == "The demo city: GET /tasks answered 503: <html> </html>\n"


def test_the_city_lives_on_after_a_refusal(stop, monkeypatch):
    """As of a status that is older than the last one, where the clock was set back."""
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
def test_no_city_is_invented_in_production():
    with pytest.raises(CommandError, match="for the local trial only"):
        call_command("simulate_city", "http://127.0.0.1:8000")
