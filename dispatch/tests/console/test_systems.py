"""Several systems in the console; with one, no page shows it."""

import pytest

from dispatch.models import Crew, Station
from dispatch.overview.crew_choices import crew_choices
from dispatch.overview.roster import misfits, read_roster

from ..support.factories import CrewFactory, StationFactory, SuggestionFactory, TaskFactory

pytestmark = pytest.mark.django_db
CREWS, TASKS, SUGGESTIONS = (
    f"/admin/dispatch/{model}/" for model in ("crew", "task", "suggestion")
)
BOARD = "/admin/board/"
LISTS = [CREWS, TASKS, SUGGESTIONS, "/admin/dispatch/station/"]


@pytest.fixture
def lyon():
    StationFactory(id=1, system="lyon", area="Centre")
    StationFactory(id=2, system="lyon", area="Confluence")


@pytest.fixture
def paris():
    StationFactory(id=3, system="paris", area="Centre")


def shown(client, path, **query):
    return list(client.get(path, query).context["cl"].result_list)


def text(client, path):
    return client.get(path).content.decode()


def saved(client, **fields):
    """Add a crew. Returns the form's errors, if there are any."""
    answer = client.post(
        f"{CREWS}add/", {"worker_id": "van-1", "language": "en", "active": "on", **fields}
    )
    return answer.context and answer.context["adminform"].form.errors


@pytest.mark.parametrize("path", [*LISTS, f"{CREWS}add/"])
@pytest.mark.usefixtures("lyon")
def test_pages_show_systems_only_if_there_are_several(dispatcher, path):
    for create in (SuggestionFactory, TaskFactory):
        create(from_station_id=1, to_station_id=2)
    assert "system" not in text(dispatcher, path).lower()

    StationFactory(id=3, system="paris")

    assert "system" in text(dispatcher, path).lower()


@pytest.mark.usefixtures("lyon", "paris")
def test_lists_filter_by_system(dispatcher):
    for create in (SuggestionFactory, TaskFactory):
        create(id=1, from_station_id=1, to_station_id=2)
        create(id=3, from_station_id=3, to_station_id=99)
    for name, system in (("a", "lyon"), ("b", "paris"), ("c", "")):
        CrewFactory(worker_id=name, system=system)

    for path in (TASKS, SUGGESTIONS):
        assert [move.id for move in shown(dispatcher, path, system="paris")] == [3]
    assert [crew.worker_id for crew in shown(dispatcher, CREWS, system="lyon")] == ["a", "c"]


@pytest.mark.usefixtures("lyon", "paris")
def test_crew_gets_a_system_and_the_list_shows_it(dispatcher):
    assert not saved(dispatcher, system="lyon", areas=["Confluence"])

    assert Crew.objects.get().places == ["lyon", "Confluence"]
    assert "lyon, Confluence" in text(dispatcher, CREWS)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"areas": ["Centre"]}, "Centre is an area of lyon and paris; name the crew's system."),
        (
            {"areas": ["Confluence"], "system": "paris"},
            "No station of paris lies in Confluence.",
        ),
    ],
)
@pytest.mark.usefixtures("lyon", "paris")
def test_areas_of_a_crew_lie_in_its_system(dispatcher, fields, error):
    assert saved(dispatcher, **fields) == {"areas": [error]}
    assert not Crew.objects.exists()


@pytest.mark.usefixtures("lyon", "paris")
def test_system_of_a_crew_stays_when_its_stations_are_gone(dispatcher):
    crew = CrewFactory(worker_id="van-1", system="rome")
    Station.objects.all().delete()

    dispatcher.post(
        f"{CREWS}{crew.pk}/change/",
        {"name": "Night", "system": "rome", "language": "en", "active": "on"},
    )

    assert Crew.objects.values_list("name", "system").get() == ("Night", "rome")


@pytest.mark.usefixtures("lyon", "paris")
def test_crews_of_other_systems_are_not_offered():
    for name, system in (("a", "lyon"), ("b", "paris"), ("c", "")):
        CrewFactory(worker_id=name, system=system)

    offered = crew_choices([TaskFactory(from_station_id=1)])

    assert [choice.crew.worker_id for choice in offered] == ["a", "c"]


@pytest.mark.usefixtures("lyon", "paris")
def test_task_that_only_crews_of_another_system_could_take_has_no_crew():
    crew = CrewFactory(worker_id="van-1", system="lyon")
    stuck, _ = TaskFactory(from_station_id=3), TaskFactory(from_station_id=1)
    stuck.refresh_from_db()
    roster = read_roster()

    assert list(roster.without_crew()) == [stuck]
    assert roster.why_no_crew(stuck.system, stuck.area, stuck.qty) == (
        "No active crew works in Centre."
    )
    assert list(misfits(crew, stuck)) == ["Crew van-1 belongs to lyon."]


@pytest.mark.usefixtures("lyon", "paris")
def test_board_filters_by_system_and_its_address_remembers_it(dispatcher):
    for create in (SuggestionFactory, TaskFactory):
        create(id=1, from_station_id=1, to_station_id=2)
        create(id=3, from_station_id=3, to_station_id=99)

    board = dispatcher.get(BOARD, {"system": "paris"}).context["board"]

    assert [row.suggestion.pk for row in board.suggestions.rows] == [3]
    assert [row.task.pk for row in board.tasks.rows] == [3]
    assert board.filters.query == "system=paris"
    assert board.options.areas == ["Centre"]


@pytest.mark.usefixtures("lyon")
def test_board_of_one_system_has_no_filter_for_it(dispatcher):
    assert 'name="system"' not in text(dispatcher, BOARD)

    StationFactory(id=3, system="paris")

    assert 'name="system"' in text(dispatcher, BOARD)
