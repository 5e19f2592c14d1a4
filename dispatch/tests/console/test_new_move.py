"""The form of a new task or suggestion: stations by name, choices, and the verdict while typing."""

import re

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dispatch.models import Station, Suggestion, Task

from ..support.cities import station
from ..support.factories import StationFactory, TaskFactory, UserFactory
from ..support.pages import words

pytestmark = pytest.mark.django_db

TASKS, SUGGESTIONS = "/admin/dispatch/task/", "/admin/dispatch/suggestion/"
CHOICES, VERDICT = "/admin/stations.json", "/admin/verdict/"


@pytest.fixture
def stations():
    """Ferry Pier (3) and Old Market (58), in different areas; Twin (70, 71)."""
    station(3, 18, 2, name="Ferry Pier")
    station(58, 0, 11, name="Old Market", lat=37.34, lon=-121.89)
    station(70, name="Twin")
    station(71, name="twin")
    Station.objects.filter(pk=3).update(short_name="SF-A1", area="SF")
    Station.objects.filter(pk=58).update(short_name="SJ-N6", area="San José")


def add(client, url=TASKS, **fields):
    move = {
        "from_station_id": "3",
        "to_station_id": "58",
        "qty": 4,
        "priority": 0,
        "reason": "Seen",
    }
    return client.post(f"{url}add/", {**move, **fields})


def ends(move):
    return move.from_station_id, move.to_station_id


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("3", "58"),
        ("#3", " 58 "),
        ("SF-A1", "sj-n6"),
        ("ferry pier", "OLD MARKET"),
        ("Ferry Pier #3", "Old Market #58"),
        ("An older name #3", "Old Market (closed?) #58"),
    ],
)
def test_stations_are_named_by_number_short_name_or_exact_name(
    dispatcher, stations, source, target
):
    for url, model in ((TASKS, Task), (SUGGESTIONS, Suggestion)):
        answer = add(dispatcher, url, from_station_id=source, to_station_id=target)

        assert answer.status_code == 302, answer.context["errors"]
        assert ends(model.objects.get()) == (3, 58)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("harbour", "No station is called “harbour”."),
        ("ferry", "No station is called “ferry”. Similar: Ferry Pier #3."),
        ("Twin", "2 stations are called “Twin”. Enter a number: #70, #71."),
        ("424242", "Station 424242 is not in the feed. Check the number."),
        ("9999999999", "No station is called “9999999999”."),
        ("-3", "No station is called “-3”."),
        ("३", "No station is called “३”."),
        ("\0", "Null characters are not allowed."),
        ("x" * 251, "at most 250 characters"),
        ("", "This field is required."),
    ],
)
def test_refused_station_keeps_everything_typed(dispatcher, stations, text, error):
    page = add(dispatcher, from_station_id=text, qty=7).content.decode()

    assert error in page
    assert f'name="from_station_id" value="{text}"' in page or text in ("", "\0")
    assert 'name="to_station_id" value="Old Market #58"' in page
    assert 'name="qty" value="7"' in page
    assert not Task.objects.exists()


def test_any_number_is_accepted_without_a_feed(dispatcher):
    add(dispatcher, from_station_id="100", to_station_id="#424242")

    assert ends(Task.objects.get()) == (100, 424242)


def test_number_wins_over_an_equal_short_name(dispatcher):
    StationFactory(id=5, name="By number")
    StationFactory(id=6, name="By short name", short_name="5")
    StationFactory(id=7, name="Alone", short_name="30")

    add(dispatcher, from_station_id="5", to_station_id="30")

    assert ends(Task.objects.get()) == (5, 7)


def test_station_that_left_the_feed_is_accepted_with_a_warning(dispatcher, stations):
    Station.objects.filter(pk=3).update(gone_at="2020-01-01T00:00Z")

    answer = dispatcher.get(add(dispatcher)["Location"])

    assert Task.objects.exists()
    assert "Ferry Pier is no longer in the feed." in answer.content.decode()


def test_links_prefill_stations_by_name(dispatcher, stations):
    page = dispatcher.get(f"{TASKS}add/?from_station_id=3&to_station_id=99").content.decode()

    assert 'name="from_station_id" value="Ferry Pier #3"' in page
    assert 'name="to_station_id" value="99"' in page


def test_task_added_from_the_board_leads_back_to_it(dispatcher, stations):
    link = re.search(r'href="([^"]*)">New task', dispatcher.get("/admin/board/").content.decode())

    move = {"from_station_id": 3, "to_station_id": 58, "qty": 1, "priority": 0}
    assert dispatcher.post(link[1], move)["Location"] == "/admin/board/"
    assert add(dispatcher)["Location"] == TASKS


# Choices


def choices(client, text):
    return client.get(CHOICES, {"q": text}).json()["choices"]


def test_choices_show_area_fill_short_name_and_number(dispatcher, stations):
    assert choices(dispatcher, "jose") == [
        {
            "text": "Old Market #58",
            "name": "Old Market",
            "detail": "San José · 0 bikes · 11 docks free · SJ-N6 · #58",
            "level": "empty",
        }
    ]


def test_choices_are_limited_and_leave_out_stations_that_are_gone(dispatcher):
    StationFactory.create_batch(20, name="Pier")
    StationFactory(name="Pier", gone_at="2020-01-01T00:00Z", id=9999)

    assert len(choices(dispatcher, "pier")) == 12
    assert choices(dispatcher, "9999") == []


@pytest.mark.parametrize("text", ["", "\0", "%", "x" * 50_000, "1 " * 1900, "\u202e"])
def test_hostile_texts_are_answered(dispatcher, stations, text):
    assert dispatcher.get(CHOICES, {"q": text}).status_code == 200
    query = {"from_station_id": text, "to_station_id": text, "qty": text}
    assert dispatcher.get(VERDICT, query).status_code == 200


# Verdict


def verdict(client, **fields):
    query = {"from_station_id": "SF-A1", "to_station_id": "Old Market #58", "qty": "4", **fields}
    answer = client.get(VERDICT, query)
    assert answer.status_code == 200
    return words(answer.content.decode())


def test_verdict_shows_fills_areas_distance_and_the_guards_sentences(dispatcher, stations):
    shown = verdict(dispatcher, qty="15")

    for expected in (
        "Ferry Pier 18 bikes · 2 docks free",
        "Old Market 0 bikes · 11 docks free",
        "SF → San José · 67 km · bikes 18 → 3, 0 → 11",
        "From SF to San José, 67 km: different areas.",
        "Only 11 of 15 bikes fit at Old Market (11 docks free).",
        "As many as fit: 11 of 15 bikes.",
    ):
        assert expected in shown, shown


def test_verdict_counts_bikes_that_open_tasks_promise(dispatcher, stations):
    TaskFactory(from_station_id=3, to_station_id=9, qty=16)

    assert "Only 2 of 4 bikes can leave Ferry Pier (18 there, 16 already promised)." in verdict(
        dispatcher
    )


def test_verdict_names_open_tasks_that_already_make_the_move(dispatcher, stations):
    task = TaskFactory(from_station_id=3, to_station_id=58, qty=1)
    TaskFactory(from_station_id=3, to_station_id=58, qty=1, completed=True)

    shown = verdict(dispatcher, from_station_id="3", to_station_id="58", qty="1")

    sentence = "already moves bikes from Ferry Pier to Old Market."
    assert f"Task {task.pk} (ready) {sentence}" in shown
    assert shown.count(sentence) == 1
    assert "No warnings" not in shown


@pytest.mark.parametrize(
    "half", [{"from_station_id": "Ferr"}, {"to_station_id": ""}, {"to_station_id": "3"}]
)
def test_verdict_waits_for_both_stations(dispatcher, stations, half):
    assert verdict(dispatcher, **half).startswith("Choose both stations")


def test_verdict_names_a_wrong_number_at_once(dispatcher, stations):
    assert verdict(dispatcher, to_station_id="424242").startswith(
        "Station 424242 is not in the feed. Check the number."
    )


@pytest.mark.parametrize("qty", ["", "0", "-1", "x", "99999999999999"])
def test_verdict_without_a_number_of_bikes_is_about_the_route(dispatcher, stations, qty):
    shown = verdict(dispatcher, qty=qty)

    assert "From SF to San José, 67 km: different areas." in shown
    assert "fit" not in shown
    assert "18 → " not in shown


def test_choices_and_verdicts_are_for_users_who_may_add_moves(client, viewer):
    for address in (CHOICES, VERDICT):
        assert viewer.get(address).status_code == 403
        assert viewer.post(address).status_code in (403, 405)
    user = UserFactory(is_superuser=False)
    user.user_permissions.set(Permission.objects.filter(codename="add_task"))
    client.force_login(user)
    for address in (CHOICES, VERDICT):
        assert client.get(address).status_code == 200
        assert client.post(address).status_code == 405


def test_cost_does_not_grow_with_the_city(dispatcher):
    def costs():
        counts = []
        for address in (
            f"{CHOICES}?q=station",
            f"{VERDICT}?from_station_id=1&to_station_id=2&qty=3",
        ):
            with CaptureQueriesContext(connection) as captured:
                dispatcher.get(address)
            counts.append(len(captured))
        return counts

    for number in (1, 2):
        station(number)
    few = costs()
    for number in range(3, 60):
        station(number)

    assert costs() == few
