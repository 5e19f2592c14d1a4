"""Several systems in one service: their queues never mix."""

import pytest

from dispatch import services
from dispatch.exceptions import Conflict, Refusal
from dispatch.models import Crew, Station, Suggestion, Task
from dispatch.services import SuggestionRow, claim_scopes

from ..support.factories import (
    CrewFactory,
    StationFactory,
    SuggestionFactory,
    TaskFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def two_cities(monkeypatch):
    monkeypatch.setattr(claim_scopes, "served", {})
    StationFactory(id=1, system="paris", area="Centre")
    StationFactory(id=2, system="lyon", area="Centre")
    StationFactory(id=3, system="lyon", area="Confluence")


def tasks_from(*sources):
    return [TaskFactory(from_station_id=source).id for source in sources]


def claim(worker_id, **kwargs):
    task = services.claim_next_task(worker_id, actor="api", **kwargs)
    return task and task.id


def test_task_has_the_system_of_its_source_and_none_if_that_is_unknown():
    known, unknown = tasks_from(2, 99)

    assert Task.objects.get(id=known).system == "lyon"
    assert Task.objects.get(id=unknown).system == ""


def test_crew_of_a_system_gets_its_tasks_only_in_order():
    _, _, first, second = tasks_from(1, 99, 3, 2)
    CrewFactory(worker_id="van-1", system="lyon")

    assert [claim("van-1") for _ in range(3)] == [first, second, None]


@pytest.mark.parametrize("areas", [["Centre"], ["Centre", "Elsewhere"]])
def test_areas_of_the_same_name_in_two_systems_do_not_mix(areas):
    _, wanted = tasks_from(1, 2)
    CrewFactory(worker_id="van-1", system="lyon", areas=areas)

    assert [claim("van-1"), claim("van-1")] == [wanted, None]


def test_claim_that_names_an_area_stays_in_the_system_of_its_crew():
    _, wanted = tasks_from(1, 2)
    CrewFactory(worker_id="van-1", system="lyon")

    assert [claim("van-1", area="Centre"), claim("van-1", area="Centre")] == [wanted, None]


def test_crew_of_a_system_gets_no_task_larger_than_its_van():
    TaskFactory(from_station_id=2, qty=11)
    fitting = TaskFactory(from_station_id=2, qty=10).id
    CrewFactory(worker_id="van-1", system="lyon", capacity=10)

    assert [claim("van-1"), claim("van-1")] == [fitting, None]


def test_crews_without_a_system_get_tasks_of_every_system():
    first, second, third = tasks_from(1, 2, 99)
    CrewFactory(worker_id="van-1")

    assert [claim("van-1"), claim("unknown"), claim("unknown")] == [first, second, third]


def test_new_system_of_a_crew_holds_from_its_next_claim():
    in_paris, in_lyon, also_in_lyon = tasks_from(1, 2, 2)
    crew = CrewFactory(worker_id="van-1", system="lyon")
    assert claim("van-1") == in_lyon

    Crew.objects.filter(pk=crew.pk).update(system="paris")

    assert [claim("van-1"), claim("van-1")] == [in_paris, None]
    assert Task.objects.ready().get().id == also_in_lyon


def test_systems_of_open_tasks_follow_their_stations():
    tasks_from(1, 99)
    StationFactory(id=99, system="lyon")
    Station.objects.filter(pk=1).update(system="lyon")

    services.sweep(actor="sweep")

    assert {task.system for task in Task.objects.all()} == {"lyon"}


@pytest.mark.parametrize("area", [None, "Centre"])
def test_crews_that_are_not_on_the_roster_can_be_refused(settings, area):
    settings.UNKNOWN_CREWS = "refuse"
    [task] = tasks_from(1)
    CrewFactory(worker_id="van-1")

    with pytest.raises(Conflict, match=r"Crew van-9 is not on the roster\."):
        claim("van-9", area=area)
    assert claim("van-1", area=area) == task


ABROAD = {"from_station_id": 2, "to_station_id": 1, "qty": 5, "reason": "Full"}
SENTENCE = "Station 2 belongs to lyon, and station 1 to paris. A move stays within one system."


def ingest():
    rows = [SuggestionRow(**{**ABROAD, "to_station_id": 3}), SuggestionRow(**ABROAD)]
    services.ingest_suggestions(rows, source="ml", actor="job")


def add_suggestion():
    services.create_suggestion(Suggestion(**ABROAD), actor="maria")


def add_task():
    services.create_task(Task(**ABROAD), actor="maria")


@pytest.mark.parametrize("enter", [ingest, add_suggestion, add_task])
def test_move_to_another_system_is_not_entered(enter):
    with pytest.raises(Refusal) as refusal:
        enter()

    assert str(refusal.value) == f"Nothing was entered. {SENTENCE}"
    assert not Suggestion.objects.exists()
    assert not Task.objects.exists()


def test_api_answers_400_to_a_move_to_another_system(client):
    answer = client.post("/suggestions", [ABROAD], content_type="application/json")

    assert answer.status_code == 400
    assert answer.json() == {"detail": f"Nothing was entered. {SENTENCE}"}


@pytest.mark.parametrize("kind", ["suggestion", "task"])
def test_form_refuses_a_move_to_another_system_beside_the_field(client, kind):
    Station.objects.filter(pk=1).update(name="Opéra")
    Station.objects.filter(pk=2).update(name="Bellecour")
    client.force_login(UserFactory())

    answer = client.post(f"/admin/dispatch/{kind}/add/", {**ABROAD, "priority": 0})

    assert answer.context["adminform"].form.errors == {
        "to_station_id": [
            "Bellecour belongs to lyon, and Opéra to paris. A move stays within one system."
        ]
    }


@pytest.mark.parametrize("guard", ["off", "warn", "refuse"])
@pytest.mark.parametrize("fit", [False, True])
def test_move_to_another_system_is_never_approved(settings, guard, fit):
    settings.INVENTORY_GUARD = guard
    suggestion = SuggestionFactory(**ABROAD)

    with pytest.raises(Conflict, match=r"A move stays within one system\."):
        services.approve_suggestion(suggestion.id, actor="maria", fit=fit)
    assert not Task.objects.exists()
