"""A suggestion is approved and assigned to a crew in one step."""

import re
from unittest.mock import patch

import pytest
from django.contrib.auth.models import Permission
from django.db import OperationalError

from dispatch import services
from dispatch.exceptions import Conflict
from dispatch.models import Suggestion, Task, TaskEvent

from ..support.cities import station
from ..support.factories import CrewFactory, SuggestionFactory, TaskFactory, UserFactory
from ..support.pages import words

pytestmark = pytest.mark.django_db

SUGGESTIONS = "/admin/dispatch/suggestion/"


@pytest.fixture
def suggestion():
    return SuggestionFactory(qty=12)


def assign(client, suggestion, **answers):
    form = {"confirmed": "1", **answers} if answers else {}
    return client.post(f"{SUGGESTIONS}{suggestion.pk}/assign/?page=1", form, follow=True)


def test_suggestion_becomes_a_task_of_the_chosen_crew(dispatcher, suggestion):
    CrewFactory(worker_id="van-1")

    question = assign(dispatcher, suggestion).content.decode()
    assert f"Approve suggestion {suggestion.pk} and assign it to a crew?" in question
    assert Suggestion.objects.exists()

    answer = words(assign(dispatcher, suggestion, worker_id="van-1").content.decode())
    task = Task.objects.get()
    assert (task.status, task.worker_id, task.suggestion_id) == ("assigned", "van-1", suggestion.pk)
    assert f"Suggestion {suggestion.pk} approved as task {task.pk} (12 bikes) for van-1" in answer
    assert [*TaskEvent.objects.order_by("id").values_list("kind", "actor")] == [
        ("approved", "maria"),
        ("reassigned", "maria"),
    ]


def test_choices_are_those_of_assign(dispatcher, suggestion):
    station(100, lat=37.80)
    station(2, lat=37.81)
    station(3, lat=37.3)
    for number in (1, 2, 3):
        CrewFactory(worker_id=f"van-{number}")
    TaskFactory(completed=True, worker_id="van-1", to_station_id=3)
    TaskFactory(completed=True, worker_id="van-2", to_station_id=2)
    TaskFactory(assigned=True, worker_id="van-3")

    page = assign(dispatcher, suggestion).content.decode()

    found = re.findall(r"<opt(?:ion|group)[^>]*(?:value|label)=\"([^\"]*)\"", page)
    assert found == ["", "Free", "van-2", "van-1", "Busy", "van-3"]


def test_unknown_name_needs_a_tick(dispatcher, suggestion):
    CrewFactory(worker_id="van-1")

    assign(dispatcher, suggestion, other="vann-7")
    assert not Task.objects.exists()

    assign(dispatcher, suggestion, other="vann-7", unlisted="on")
    assert Task.objects.get().worker_id == "vann-7"


def test_crew_that_does_not_suit_gets_the_task_with_a_warning(dispatcher, suggestion):
    CrewFactory(worker_id="van-1", capacity=10)

    page = assign(dispatcher, suggestion, worker_id="van-1").content.decode()

    assert "Crew van-1 has a van for 10 bikes." in page


def test_task_stays_ready_if_the_assignment_is_refused(dispatcher, suggestion):
    CrewFactory(worker_id="van-1")

    with patch("dispatch.services.assignments.reassign_task", side_effect=Conflict("No.")):
        answer = words(assign(dispatcher, suggestion, worker_id="van-1").content.decode())

    task = Task.objects.get()
    assert task.status == "ready"
    assert f"approved as task {task.pk} (12 bikes), not assigned" in answer
    assert f"Task {task.pk} was approved, but not assigned to van-1: No." in answer


def test_lost_database_after_the_approval_is_reported(suggestion):
    with patch("dispatch.services.assignments.reassign_task", side_effect=OperationalError):
        result = services.approve_and_assign(suggestion.pk, "van-1", actor="maria")

    assert result.task.status == "ready"
    assert result.refusal.endswith("The database did not respond. Check whether it was assigned.")


def test_task_that_a_crew_claims_meanwhile_is_not_taken_from_it(suggestion):
    def claim_first(*args, **options):
        services.claim_next_task("van-2", actor="api")
        return services.reassign_task(*args, **options)

    with patch("dispatch.services.assignments.reassign_task", claim_first):
        result = services.approve_and_assign(
            suggestion.pk, "van-1", actor="maria", reason="Nearest"
        )

    assert "has been claimed again, by van-2." in result.refusal
    assert Task.objects.get().worker_id == "van-2"


def test_refused_approval_assigns_nothing(dispatcher, suggestion):
    CrewFactory(worker_id="van-1")
    services.approve_suggestion(suggestion.pk, actor="tom")

    answer = assign(dispatcher, suggestion, worker_id="van-1").content.decode()

    assert "was already approved as task" in answer
    assert Task.objects.get().worker_id is None


@pytest.mark.parametrize(("guard", "ticked"), [("warn", False), ("refuse", True)])
def test_form_offers_to_approve_what_fits(dispatcher, settings, guard, ticked):
    settings.INVENTORY_GUARD = guard
    station(100, bikes=4, docks=16)
    station(200)
    CrewFactory(worker_id="van-1")
    suggestion = SuggestionFactory(qty=12)

    question = assign(dispatcher, suggestion)
    assert question.context["form"].fields["fit"].initial == ticked
    assert "Only" in words(question.content.decode())

    assign(dispatcher, suggestion, worker_id="van-1", fit="on")
    task = Task.objects.get()
    assert (task.worker_id, task.qty < 12) == ("van-1", True)


def test_form_has_no_tick_if_all_bikes_fit(dispatcher, suggestion):
    assert "fit" not in assign(dispatcher, suggestion).context["form"].fields


def test_button_is_disabled_if_no_bike_can_be_approved(dispatcher, settings):
    settings.INVENTORY_GUARD = "refuse"
    station(100, bikes=0, docks=20)
    station(200)
    suggestion = SuggestionFactory()
    board = dispatcher.get("/admin/board/").content.decode()
    page = dispatcher.get(f"{SUGGESTIONS}{suggestion.pk}/change/").content.decode()

    for markup in (board, page):
        (button,) = re.findall(r'<button class="row-action assign"[^>]*>', markup)
        assert button.endswith(" disabled>")


@pytest.mark.parametrize("missing", ["approve_suggestion", "reassign_task"])
def test_both_rights_are_needed(client, suggestion, missing):
    able = {"view_suggestion", "view_task", "approve_suggestion", "reassign_task"}
    user = UserFactory(is_superuser=False)
    user.user_permissions.set(Permission.objects.filter(codename__in=able - {missing}))
    client.force_login(user)

    assert assign(client, suggestion, worker_id="van-1").status_code == 403
    assert not Task.objects.exists()
    page = client.get("/admin/board/").content.decode()
    assert f"{SUGGESTIONS}{suggestion.pk}/assign/" not in page


def test_several_suggestions_are_approved_for_one_crew(dispatcher, suggestion):
    CrewFactory(worker_id="van-1")
    other = SuggestionFactory(from_station_id=300)
    form = {"action": "assign_selected", "_selected_action": [suggestion.pk, other.pk]}

    answer = dispatcher.post(
        SUGGESTIONS, {**form, "confirmed": "1", "worker_id": "van-1"}, follow=True
    )

    assert "2 approved." in words(answer.content.decode())
    assert {*Task.objects.values_list("worker_id", flat=True)} == {"van-1"}
