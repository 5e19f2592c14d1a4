"""Numbers that no feed has listed are reported or, with UNKNOWN_STATIONS=refuse, refused."""

import json

import pytest
from django.core.management import CommandError, call_command

from dispatch import services
from dispatch.exceptions import UnknownStations
from dispatch.models import Suggestion, Task, TaskEvent
from dispatch.services import SuggestionRow

from ..support.factories import MORNING, StationFactory, TaskFactory, UserFactory

pytestmark = pytest.mark.django_db
KNOWN, UNKNOWN = 100, 424242
MOVE = {"from_station_id": KNOWN, "to_station_id": UNKNOWN, "qty": 5, "reason": "Full"}
SENTENCE = f"Stations that no feed has listed: 1 ({UNKNOWN})."
ON_THE_FIELD = f"Station {UNKNOWN} is not in the feed. Check the number."


@pytest.fixture(autouse=True)
def feed():
    return StationFactory(id=KNOWN)


@pytest.fixture
def refusing(settings):
    settings.UNKNOWN_STATIONS = "refuse"


@pytest.fixture
def dispatcher(client):
    client.force_login(UserFactory())
    return client


def ingest():
    rows = [SuggestionRow(**MOVE)]
    return services.ingest_suggestions(rows, source="ml", actor="test")


def propose(client):
    return client.post("/suggestions", [MOVE], content_type="application/json")


def nothing_was_entered():
    tables = (Suggestion, Task, TaskEvent)
    return not any(table.objects.exists() for table in tables)


def test_ingest_reports_the_numbers():
    result = ingest()

    assert (result.unknown_stations, result.unknown_station_ids) == (1, [UNKNOWN])
    assert result.warning == SENTENCE


def test_only_the_first_numbers_are_listed():
    rows = [SuggestionRow(**{**MOVE, "to_station_id": 500 + n}) for n in range(12)]

    result = services.ingest_suggestions(rows, source="ml", actor="test")

    assert (result.unknown_stations, result.unknown_station_ids) == (12, [*range(500, 510)])
    assert result.warning.endswith(": 12 (500, 501, 502, 503, 504, 505, 506, 507, 508, 509, ...).")


def test_a_station_that_left_the_feed_is_not_unknown(refusing):
    StationFactory(id=UNKNOWN, gone_at=MORNING)

    assert ingest().unknown_stations == 0


def test_refusing_ingest_enters_nothing(refusing):
    with pytest.raises(UnknownStations) as refusal:
        ingest()

    assert str(refusal.value) == f"Nothing was entered. {SENTENCE}"
    assert nothing_was_entered()


def test_refusing_command_names_the_line_and_can_skip_it(refusing, tmp_path):
    good = {**MOVE, "to_station_id": StationFactory(id=200).pk}
    moves, rejects = tmp_path / "moves.jsonl", tmp_path / "rejects.jsonl"
    moves.write_text("\n".join(map(json.dumps, [good, MOVE])))

    with pytest.raises(CommandError) as refusal:
        call_command("ingest_suggestions", moves)
    assert f"line 2: to_station_id: no feed has listed this station: {UNKNOWN}" in str(
        refusal.value
    )
    assert nothing_was_entered()

    call_command("ingest_suggestions", moves, skip_bad=True, rejects=rejects)
    assert Suggestion.objects.get().to_station_id == 200
    assert json.loads(rejects.read_text())["line"] == 2


def test_proposals_get_a_warning(client):
    answer = propose(client)

    assert answer.headers["X-Warning"] == SENTENCE
    assert Suggestion.objects.get().to_station_id == UNKNOWN


@pytest.mark.parametrize("door", [ingest, propose])
def test_moves_under_way_are_not_counted(client, door):
    TaskFactory(from_station_id=KNOWN, to_station_id=UNKNOWN)

    door(*[client] if door is propose else [])

    details = TaskEvent.objects.get(kind="ingested").details
    assert (details["under_way"], details["unknown_stations"]) == (1, 0)


def test_refusing_api_answers_422(refusing, client):
    answer = propose(client)

    assert answer.status_code == 422
    assert answer.json() == {"detail": f"Nothing was entered. {SENTENCE}"}
    assert nothing_was_entered()


@pytest.mark.parametrize("kind", ["suggestion", "task"])
def test_form_always_refuses_beside_the_field(dispatcher, kind):
    answer = dispatcher.post(f"/admin/dispatch/{kind}/add/", {**MOVE, "priority": 0})

    form = answer.context["adminform"].form
    assert form.errors == {"to_station_id": [ON_THE_FIELD]}
    assert nothing_was_entered()


def test_refusing_services_enter_nothing_by_hand(refusing):
    with pytest.raises(UnknownStations):
        services.create_task(TaskFactory.build(to_station_id=UNKNOWN), actor="maria")
    with pytest.raises(UnknownStations):
        services.create_suggestion(Suggestion(**MOVE), actor="maria")
    assert nothing_was_entered()


def test_without_a_feed_any_number_is_accepted(refusing, feed):
    feed.delete()

    assert ingest().warning == ""
